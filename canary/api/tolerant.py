"""What can be read of a Canary that can't be read as a whole: its deletion must not wait for its author."""

from canary.api.canary import Canary
from canary.api.meta import JsonObject
from canary.api.parsing import Location, unreadable_parts, without_nulls


def readable(raw: JsonObject) -> JsonObject | None:
    """A Canary without the parts of it that can't be read, each of them as small as can be.

    Where a part is missing that must be there, what it belongs to goes too.

    Returns:
        An object that `parse_canary` reads; None where not even the target can be told.
    """
    left: JsonObject = without_nulls(raw)
    while paths := {_there(left, path) for path in unreadable_parts(Canary, left)}:
        if () in paths:
            return None
        # The last ones of a list first, so that the places of the others stay what they are.
        for path in sorted(paths, reverse=True):
            _take_out(left, path)
    return left


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
