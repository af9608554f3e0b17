"""Files that are made of what the code says: written, or with `--check` compared with what they are to be."""

import argparse
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


def write_or_check(files: Mapping[Path, str], source: str, arguments: Sequence[str] | None = None) -> int:
    """Write the files, or say where one differs; the exit status is 1 where a check finds a difference.

    Args:
        files: each file, with what it is to hold.
        source: what they are made of, in words.
        arguments: the command line without the program's name; None takes the process's own.
    """
    parser = argparse.ArgumentParser(description=f"Write the files that are made of {source}.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a file differs")
    if not parser.parse_args(arguments).check:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    differences = "".join(_differences(files, source))
    sys.stdout.write(differences)
    return 1 if differences else 0


def _differences(files: Mapping[Path, str], source: str) -> Iterator[str]:
    for path, text in files.items():
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        before, after = there.splitlines(keepends=True), text.splitlines(keepends=True)
        yield from difflib.unified_diff(before, after, fromfile=str(path), tofile=source)
