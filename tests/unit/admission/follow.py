"""Does what a remedy says, word by word, as far as its words can be followed without thinking."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

Raw = dict[str, Any]
GONE: Final = object()

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_VALUES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Any]], ...]] = tuple(
    (re.compile(pattern), value)
    for pattern, value in (
        (r"take (it|them) out", lambda _: GONE),
        (r"keep one of the two", lambda _: GONE),
        (r"write true or false", lambda _: True),
        (r"write a list", lambda _: []),
        (r"write a whole number|write a number, without|write a number$|write fewer", lambda _: 1),
        (r"write a string", lambda _: "text"),
        (r"write a map", lambda _: {}),
        (r"write (-?\d+) to \d+", lambda found: int(found[1])),
        (r"write a number from (\d+) to", lambda found: int(found[1])),
        (r"write (-?\d+) or (more|less)", lambda found: int(found[1])),
        (r"write (\w+) or (more|less)", lambda found: found[1]),
        (r"write more than (\d+)", lambda found: int(found[1]) + 1),
        (r"write a number of seconds such as (\d+)", lambda found: int(found[1])),
        (r"write a number of seconds", lambda _: 1),
        (r"write a duration such as (\w+)|write one such as ([^ ,]+)", lambda found: found[1] or found[2]),
        (r"write one of '(\w+)'|write one of (?:the types )?([\w:-]+)", lambda found: found[1] or found[2]),
        (r"write (request-\w+-\w+),", lambda found: found[1]),
        (r"set the port that users call, such as (\d+)", lambda found: int(found[1])),
        (r"set kind, such as (\w+)", lambda found: found[1]),
    )
)
"""What stands in the field once it is done."""


def places(path: str) -> list[str | int]:
    """`spec.metrics[0].name` in its parts."""
    return [int(found[1]) if found[1] else found[2] for found in _PART.finditer(path)]


def put(raw: Raw, path: str, value: object) -> None:
    """Set a field, or take it out."""
    *parents, last = places(path)
    here: Any = raw
    for part in parents:
        here = here[part] if isinstance(part, int) else here.setdefault(part, {})
    if value is GONE and isinstance(here, list):
        del here[int(last)]
    elif value is GONE:
        here.pop(last, None)
    elif isinstance(here, list) and last == len(here):
        here.append(value)
    else:
        here[last] = deepcopy(value)


def followed(field: str, remedy: str, raw: Raw) -> Iterator[Raw]:
    """What comes of each of the ways that a remedy names, and that take no thinking."""
    parent = field.rpartition(".")[0]
    for way in re.split(r"; |, or |,? or (?=set|take|write)", remedy):
        made = deepcopy(raw)
        found = next(((value, each) for pattern, value in _VALUES if (each := pattern.match(way))), None)
        if found is not None:
            put(made, field, found[0](found[1]))
            yield made
        elif number := re.match(r"set (\w+) \(such as (\d+)\)", way):
            put(made, f"{parent}.{number[1]}", int(number[2]))
            yield made
        elif named := re.match(r"set (\w+): ([\w:.]+)$", way):
            where = "spec" if named[1] in ("provider", "skipAnalysis") else parent
            put(made, f"{where}.{named[1]}", named[2] == "true" or named[2])
            yield made
        elif taken := re.match(r"take (\w+)(?: and (\w+))? out", way):
            for each in filter(None, taken.groups()):
                put(made, f"{parent}.{each}", GONE)
            yield made
