"""Any server that answers JSON. The query is a JSONPath (RFC 9535) that leads to the number.

A first line that begins with `/` is put behind the address: a path, with parameters, in which the template's names may
stand. Numbers may be written as text; true is 1, and false is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlsplit

from metrics.access.http import KEYS, authorization
from metrics.errors import MisconfiguredError, QueryError, UnreadableError
from metrics.providers.base import (
    Parse,
    Provider,
    address_of,
    number,
    of_series,
    raise_for_status,
    read_json,
)
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

if TYPE_CHECKING:
    from jsonpath import JSONPath

_NOT_INSIDE = frozenset({"TOKEN_ROOT", "TOKEN_WILD", "TOKEN_COLON", "TOKEN_DDOT", "TOKEN_FILTER"})

_LONGEST_PATH = 500
_MOST = 1000
"""Series that an answer may have."""

_IN_URL = "/:@!$&'()*+,;=-._~%?"


def build(question: Question, now: datetime) -> Request:
    """A GET of the address with what the query puts behind it."""
    path(_path_of(question))
    return _request(question)


def probe(question: Question, now: datetime) -> Request:
    """The same: what else such a server has isn't known."""
    return _request(question)


def accept(response: Response) -> None:
    """See that it is JSON that answers."""
    raise_for_status(response)
    read_json(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read an answer that is the number."""
    return _read(response, "$")


def reads(question: Question) -> Parse:
    """Read what the query leads to."""
    wanted = _path_of(question)
    return lambda response, span=ANY_TIME: _read(response, wanted)


def _read(response: Response, wanted: str) -> Sample:
    raise_for_status(response)
    answer = read_json(response)
    found = list(_found(answer, wanted))
    if len(found) > _MOST:
        raise QueryError(f"the path leads to more than {_MOST} values")
    if not found:
        return Empty("the path leads to nothing in the answer")
    numbers = [value for each in found if (value := _number(each)) is not None]
    return of_series(numbers, len(found), empty="what the path leads to is null or not a number (NaN)")


def _found(answer: object, wanted: str) -> Iterator[object]:
    if wanted == "$":
        yield answer
    elif isinstance(answer, dict | list):
        errors = _library().JSONPathError
        try:
            yield from (match.obj for match in islice(path(wanted).finditer(answer), _MOST + 1))
        except (errors, RecursionError) as error:
            raise UnreadableError("the answer is too deep for the path") from error


def _number(value: object) -> float | None:
    match value:
        case None:
            return None
        case bool():
            return float(value)
        case str():
            try:
                return float(value)
            except ValueError:
                raise QueryError("the path leads to a text, not to a number") from None
        case dict() | list():
            raise QueryError("the path leads to an object or a list, not to a number")
    return number(value)


def _library() -> ModuleType:
    """python-jsonpath, not loaded where no template asks for it: that takes as long as a whole command may.

    Raises:
        MisconfiguredError: it is not installed.
    """
    try:
        import jsonpath  # noqa: PLC0415 - an extra
    except ImportError:
        msg = "a JSONPath needs the package python-jsonpath: pip install 'canary-controller[web]'"
        raise MisconfiguredError(msg) from None
    return jsonpath


@lru_cache(maxsize=256)
def path(wanted: str) -> JSONPath:
    """A path that is read, and takes a time that grows no faster than the answer.

    Raises:
        MisconfiguredError: it is none, or has a part that may take longer: a list of selectors, a second `..`, and in a
            filter anything but names, indexes, comparisons and length().
    """
    words = "a web query is a JSONPath such as $.data.errors, behind a line such as /path?parameter=value at most"
    jsonpath = _library()
    if not wanted.startswith("$") or len(wanted) > _LONGEST_PATH:
        raise MisconfiguredError(words)
    try:
        environment = jsonpath.JSONPathEnvironment(strict=True)
        tokens = [(token.kind, token.value) for token in environment.lexer.tokenize(wanted)]
        read = environment.compile(wanted)
    except (jsonpath.JSONPathError, RecursionError) as error:
        why = error.message if isinstance(error, jsonpath.JSONPathError) else "too deep"
        raise MisconfiguredError(f"the JSONPath can't be read: {why}; {words}") from None
    if (costly := next(_costly(tokens), None)) is not None or not isinstance(read, jsonpath.JSONPath):
        raise MisconfiguredError(f"the JSONPath has {costly or 'several paths'}, which is not supported")
    return cast("JSONPath", read)


def _costly(tokens: Iterable[tuple[str, str]]) -> Iterator[str]:
    depth, inside, far = 0, 0, 0
    for kind, value in tokens:
        depth += {"TOKEN_LBRACKET": 1, "TOKEN_RBRACKET": -1}.get(kind, 0)
        inside = 0 if depth < inside else inside
        far += kind == "TOKEN_DDOT"
        if kind == "TOKEN_COMMA":
            yield "a list of selectors"
        if kind == "TOKEN_FUNCTION" and value != "length":
            yield f"the function {value}()"
        if far > 1 or (inside and kind in _NOT_INSIDE):
            yield f"{value!r} a second time" if far > 1 else f"{value!r} in a filter"
        if kind == "TOKEN_FILTER":
            inside = depth


def _path_of(question: Question) -> str:
    """The path in the answer."""
    return _lines(question)[1]


def _lines(question: Question) -> tuple[str, str]:
    """What stands behind the address, and the path in the answer."""
    query = question.query.strip()
    if not query.startswith("/"):
        return "", query
    first, _, rest = query.partition("\n")
    return first.strip(), rest.strip()


def _request(question: Question) -> Request:
    behind = urlsplit(quote(_lines(question)[0], safe=_IN_URL))
    address = join(address_of(question), behind.path, behind.query)
    return Request("GET", address, (*authorization(question), ("Accept", "application/json")))


WEB = Provider(
    name="web",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
    reads=reads,
)
