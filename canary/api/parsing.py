"""From the API server's JSON to a model, or to problems that name the field and the remedy."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from canary.api import durations
from canary.api.meta import JsonObject, Model
from canary.api.problems import InvalidResource, Problem

M = TypeVar("M", bound=Model)

_SHOWN = 60


def parse(model: type[M], raw: JsonObject) -> M:
    """Read a resource; a null is the same as an absent field.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    try:
        return model.model_validate(without_nulls(raw))
    except ValidationError as error:
        found = (_problem(each) for each in error.errors(include_url=False))
        raise InvalidResource(dict.fromkeys(found)) from error


Location = tuple[int | str, ...]
"""Where a part of an object is: names of fields, and places in lists."""


def unreadable_parts(model: type[Model], raw: JsonObject) -> list[Location]:
    """Where an object without nulls can't be read; empty where it can."""
    try:
        model.model_validate(raw)
    except ValidationError as error:
        return [each["loc"] for each in error.errors(include_url=False)]
    return []


def without_unreadable(model: type[Model], raw: JsonObject) -> JsonObject | None:
    """An object without nulls, and without the parts that can't be read, each of them as small as can be.

    Where a part is missing that must be there, what it belongs to goes too.

    Args:
        model: what it is to be read as.
        raw: the object without nulls, which is changed.

    Returns:
        What can be read; None where nothing is left.
    """
    while paths := {_there(raw, path) for path in unreadable_parts(model, raw)}:
        if () in paths:
            return None
        # The last ones of a list first, so that the places of the others stay what they are.
        for path in sorted(paths, reverse=True):
            _take_out(raw, path)
    return raw


def _there(here: object, path: Location) -> Location:
    """As much of a path as leads to something."""
    for length, part in enumerate(path):
        match here, part:
            case dict(), str() if part in here:
                here = here[part]
            case list(), int() if part < len(here):
                here = here[part]
            case _:
                return path[:length]
    return path


def _take_out(obj: JsonObject, path: Location) -> None:
    *parents, last = path
    here = obj
    for part in parents:
        here = here[part]  # type: ignore[index]  # places of lists are among them
    del here[last]  # type: ignore[arg-type]


def without_nulls(value: Any) -> Any:
    """A copy in which a null is the same as an absent field."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def _problem(detail: ErrorDetails) -> Problem:
    kind = detail["type"]
    field = field_path(detail["loc"])
    if kind == "missing":
        return Problem(field, "is missing", f"set {field}")
    if kind == "go_duration":
        return Problem(field, detail["msg"], durations.REMEDY)
    if kind == "enum":
        expected = detail.get("ctx", {}).get("expected", "")
        return Problem(field, f"{detail['input']!r} is not known", f"write one of {expected}")
    remedy = _REMEDIES.get(kind.partition("_")[0], "write a value of the type that the field has")
    why = detail["msg"][:1].lower() + detail["msg"][1:]
    return Problem(field, f"{_shown(detail['input'])} can't be read: {why}", remedy)


_REMEDIES = {
    "int": "write a whole number",
    "float": "write a number",
    "finite": "write a finite number",
    "bool": "write true or false",
    "string": "write a string (quote it, if it looks like a number)",
    "tuple": "write a list",
    "dict": "write a map",
    "model": "write a map of fields",
    "time": "write an RFC 3339 time, such as 2025-01-31T12:00:00Z",
    "port": "write a number or a name of a port",
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def field_path(location: Iterable[int | str]) -> str:
    """`("spec", "metrics", 0, "name")` as `spec.metrics[0].name`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path
