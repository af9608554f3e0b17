"""Fields of a JSON object, moved by a table of paths: whatever the object holds, nothing of it is lost.

What is in the way, or what has no map to stand in, is left where it was.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from canary.api.meta import JsonObject

Path = Sequence[str]
Moves = Iterable[tuple[Path, Path]]
"""From where, and to where."""


def moved(value: JsonObject, moves: Moves) -> JsonObject:
    """A copy with fields in other places; a map that has nothing left goes with the last of its fields."""
    made: JsonObject = _opened(value)
    for source, target in moves:
        _move(made, source, target)
    return made


def _opened(value: Any) -> Any:
    """A copy whose maps may be changed; lists are those of the original."""
    return {name: _opened(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _move(value: JsonObject, source: Path, target: Path) -> None:
    holder = _holder(value, source[:-1])
    if holder is None or source[-1] not in holder:
        return
    moving = holder.pop(source[-1])
    left = _put(value, target, moving)
    if left is not None:
        holder[source[-1]] = left[0]
    else:
        _clear(value, source[:-1])


def _holder(value: JsonObject, path: Path) -> JsonObject | None:
    here: Any = value
    for part in path:
        here = here.get(part) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else None


def _put(value: JsonObject, path: Path, moving: Any) -> tuple[Any] | None:
    """Put it there; what is left over of it, as one thing, where something is in the way."""
    here: Any = value
    for part in path[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            return (moving,)
    if path[-1] not in here:
        here[path[-1]] = moving
        return None
    return _merged(here[path[-1]], moving)


def _merged(there: Any, moving: Any) -> tuple[Any] | None:
    if not isinstance(there, dict) or not isinstance(moving, dict):
        return (moving,)
    left: JsonObject = {}
    for name, inner in moving.items():
        if name not in there:
            there[name] = inner
        elif (over := _merged(there[name], inner)) is not None:
            left[name] = over[0]
    return (left,) if left else None


def _clear(value: JsonObject, path: Path) -> None:
    """Take out the maps on the way that hold nothing any more."""
    for length in range(len(path), 0, -1):
        holder = _holder(value, path[: length - 1])
        if holder is None or holder.get(path[length - 1]) != {}:
            return
        del holder[path[length - 1]]
