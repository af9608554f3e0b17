"""What can be read of a Canary that can't be read as a whole: its deletion must not wait for its author."""

from canary.api.canary import Canary
from canary.api.meta import JsonObject
from canary.api.parsing import without_nulls, without_unreadable


def readable(raw: JsonObject) -> JsonObject | None:
    """A Canary without the parts of it that can't be read, each of them as small as can be.

    Returns:
        An object that `parse_canary` reads; None where not even the target can be told.
    """
    return without_unreadable(Canary, without_nulls(raw))
