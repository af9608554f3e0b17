"""Files that people write for rehearsals: YAML to models, or to problems that name the field and the remedy."""

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from pydantic import ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from canary.api.durations import REMEDY
from canary.api.meta import Model
from canary.api.parsing import field_path
from canary.api.problems import InvalidResource, Problem
from canary.cli.failures import CommandError
from canary.cli.rehearse.documents import Document, NotYamlError, read

MOST_BYTES: Final = 5_000_000
"""Of one file: the specs of a large cluster have a fifth of that, and take a second to read."""


class Written(Model):
    """A part of what people write here: nothing is accepted and ignored."""

    model_config = ConfigDict(extra="forbid")


W = TypeVar("W", bound=Written)


class UnreadableError(CommandError):
    """A file that can't be used.

    Args:
        where: the file, or a place in it.
        problems: what is wrong, at least one, as lines of text.
    """

    def __init__(self, where: str, *problems: str) -> None:
        self.where = where
        self.problems = problems
        super().__init__(*(f"{where}: {each}" for each in problems))


def documents(text: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a YAML or JSON stream with their places, counted from 1; lists of Kubernetes are taken apart.

    Raises:
        UnreadableError: it is no YAML, a document is no map, or a field is written twice.
    """
    for document in documents_of(text, where):
        for each in document.repeated:
            line, column = each.place
            raise UnreadableError(where, f"line {line}, column {column}: {each.field} is written twice; keep one")
        yield document.number, document.content


def documents_of(text: str, where: str) -> tuple[Document, ...]:
    """The objects of a stream as they are written.

    Raises:
        UnreadableError: it is no YAML, or a document is no map.
    """
    try:
        found = tuple(read(text))
    except NotYamlError as error:
        raise UnreadableError(where, str(error)) from error
    for each in found:
        if not isinstance(each.content, dict):
            kind = type(each.content).__name__
            raise UnreadableError(where, f"document {each.number} is a {kind}; write a map of fields")
    return found


def text_of(path: Path) -> str:
    """What a file says.

    Raises:
        UnreadableError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return bounded(file, str(path))
    except OSError as error:
        raise UnreadableError(str(path), f"it can't be read: {error.strerror or error}") from error


def text_of_input() -> str:
    """What the standard input says.

    Raises:
        UnreadableError: it can't be read.
    """
    try:
        return bounded(sys.stdin.buffer, "standard input")
    except OSError as error:
        raise UnreadableError("standard input", f"it can't be read: {error.strerror or error}") from error


def bounded(file: BinaryIO, where: str) -> str:
    """The text of a file that is not too large.

    Raises:
        UnreadableError: it is, or is no text.
    """
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnreadableError(where, f"it has more than {MOST_BYTES:,} bytes; give the specs alone")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(where, "it is no text; write YAML or JSON in UTF-8") from error


def model_of(model: type[W], raw: object) -> W:
    """Read one document.

    Raises:
        InvalidResource: it can't be read; the error holds every problem.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InvalidResource(
            dict.fromkeys(_problem(model, each) for each in error.errors(include_url=False))
        ) from error


def wrong(message: str, remedy: str) -> PydanticCustomError:
    """What a validator raises: a message and, for the problem, the remedy."""
    return PydanticCustomError("written", "{message}", {"message": message, "remedy": remedy})


_REMEDIES = {
    "int": "write a whole number",
    "float": "write a number",
    "bool": "write true or false",
    "string": "write a string (quote it, if it looks like a number)",
    "tuple": "write a list",
    "dict": "write a map",
    "model": "write a map of fields",
    "greater": "write a greater number",
    "less": "write a smaller number",
}


def _problem(model: type[Model], detail: ErrorDetails) -> Problem:
    kind, field = detail["type"], field_path(detail["loc"]) or "the document"
    context = detail.get("ctx", {})
    match kind:
        case "written":
            return Problem(field, detail["msg"], str(context["remedy"]))
        case "missing":
            return Problem(field, "is missing", f"set {field}")
        case "extra_forbidden":
            return Problem(field, "is not known", _instead(model, detail["loc"]))
        case "go_duration":
            return Problem(field, detail["msg"], REMEDY)
        case "enum":
            return Problem(field, f"{detail['input']!r} is not known", f"write one of {context.get('expected', '')}")
        case "string_pattern_mismatch":
            return Problem(field, f"{detail['input']!r} is no name", "write lower-case letters, digits and dashes")
        case _:
            why = detail["msg"][:1].lower() + detail["msg"][1:]
            remedy = _REMEDIES.get(kind.partition("_")[0], "write a value of the type that the field has")
            return Problem(field, f"{detail['input']!r} can't be read: {why}", remedy)


def _instead(model: type[Model], location: tuple[int | str, ...]) -> str:
    """The field that was meant, as far as it can be guessed, or all that there are."""
    names = sorted(field.alias or name for name, field in _holder(model, location[:-1]).model_fields.items())
    close = difflib.get_close_matches(str(location[-1]), names, 1)
    return f"did you mean {close[0]}?" if close else f"take it out, or write one of {', '.join(names)}"


def _holder(model: type[Model], location: tuple[int | str, ...]) -> type[Model]:
    """The model that the last of these fields holds."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                model = next((each for each in _models(field.annotation)), model)
    return model


def _models(annotation: object) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)
