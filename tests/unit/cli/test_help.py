"""`canary --help` answers at once."""

import subprocess
import sys


def test_help_waits_for_no_library() -> None:
    """What a command needs is loaded when it runs."""
    code = "import sys, canary.cli.main; print([each for each in ('pydantic', 'yaml', 'rich') if each in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert seen.stdout == "[]\n"
