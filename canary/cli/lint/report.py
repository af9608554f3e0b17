"""What the checks of files came to: lines that editors can jump by, and data for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from canary.cli.lint.files import Unusable
from canary.cli.lint.findings import Checked

Json = dict[str, Any]


def lines(checked: Checked) -> Iterator[str]:
    """A line for each thing that is wrong: FILE:LINE:COLUMN, the object, the field and the remedy."""
    for place, problem in ((each.place, each.problem) for each in checked.findings):
        name = f"{checked.kind} {checked.namespace}/{checked.name}"
        yield f"{checked.where}:{place.line}:{place.column}: {name}: {problem}"


def why(unusable: Unusable) -> str:
    """Why a file could not be checked."""
    at = f":{unusable.place.line}:{unusable.place.column}" if unusable.place != (1, 1) else ""
    return f"{unusable.where}{at}: {unusable.message}"


def tally(seen: Sequence[Checked | Unusable]) -> dict[str, int]:
    """How many there are of each."""
    checked = [each for each in seen if isinstance(each, Checked)]
    return {
        "objects": len(checked),
        "wrong": sum(bool(each.findings) for each in checked),
        "problems": sum(len(each.findings) for each in checked),
        "unusable": sum(isinstance(each, Unusable) and not each.is_harmless for each in seen),
    }


def summary(seen: Sequence[Checked | Unusable]) -> str:
    """The last line."""
    counts = tally(seen)
    objects = f"{counts['objects']:,} object{'' if counts['objects'] == 1 else 's'}"
    problems = f"{counts['problems']:,} problem{'' if counts['problems'] == 1 else 's'}"
    told = f"{problems} in {counts['wrong']:,} of {objects}" if counts["problems"] else f"{objects}, nothing is wrong"
    files = f"{counts['unusable']:,} file{'' if counts['unusable'] == 1 else 's'}"
    return f"{told}; {files} can't be checked" if counts["unusable"] else told


def data(seen: Sequence[Checked | Unusable]) -> Json:
    """Everything, as programs read it; lines and columns are counted from 1."""
    return {
        "problems": [each for checked in seen if isinstance(checked, Checked) for each in _problems(checked)],
        "unusable": [_unusable(each) for each in seen if isinstance(each, Unusable) and not each.is_harmless],
        "summary": tally(seen),
    }


def _problems(checked: Checked) -> Iterator[Json]:
    for place, problem in ((each.place, each.problem) for each in checked.findings):
        yield {
            "file": checked.where,
            "line": place.line,
            "column": place.column,
            "kind": checked.kind,
            "namespace": checked.namespace,
            "name": checked.name,
            "field": problem.field,
            "message": problem.message,
            "remedy": problem.remedy,
        }


def _unusable(unusable: Unusable) -> Json:
    line, column = unusable.place
    return {"file": unusable.where, "line": line, "column": column, "message": unusable.message}
