"""Puts our small curl on PATH where there is no real one, such as on a laptop that runs the sandbox."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.tasks import HOME


@contextmanager
def small_curl() -> Iterator[None]:
    """Give every program that is started meanwhile a `curl`: the real one where there is one."""
    if shutil.which("curl") is not None:
        yield
        return
    before = os.environ.get("PATH", os.defpath)
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        script = Path(folder) / "curl"
        python = f"PYTHONPATH={shlex.quote(str(HOME))} exec {shlex.quote(sys.executable)} -P -m loadtest.curl"
        script.write_text(f'#!/bin/sh\n{python} "$@"\n')
        script.chmod(0o755)
        os.environ["PATH"] = f"{before}{os.pathsep}{folder}"
        try:
            yield
        finally:
            os.environ["PATH"] = before
