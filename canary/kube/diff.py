"""Does an object already hold what is desired? So that nothing is written where nothing changes."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from canary.kube.types import Json

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(1000),
    "M": Decimal(1000**2),
    "G": Decimal(1000**3),
    "T": Decimal(1000**4),
    "P": Decimal(1000**5),
    "E": Decimal(1000**6),
    "Ki": Decimal(1024),
    "Mi": Decimal(1024**2),
    "Gi": Decimal(1024**3),
    "Ti": Decimal(1024**4),
    "Pi": Decimal(1024**5),
    "Ei": Decimal(1024**6),
}
# Only where the API has quantities is "1000m" the same as "1": an environment variable isn't a quantity.
_QUANTITY_MAPS = frozenset({"requests", "limits"})
_QUANTITIES = frozenset({"averageValue", "sizeLimit", "divisor"})
# Server-side apply merges these lists by key, so that entries of others may stand beside ours.
_KEYED = {"metadata.ownerReferences": ("uid",), "spec.ports": ("port", "protocol")}
# And takes this object as one value: what others added to it goes with the next apply.
_ATOMIC = frozenset({"spec.selector"})
# The API server keeps no empty map of these (1.36); of others, such as a volume's `emptyDir`, it does.
_DROPPED_EMPTY = frozenset({"metadata.labels", "metadata.annotations"})


def covers(observed: Any, desired: Any) -> bool:
    """Tell whether ``observed`` already holds everything that ``desired`` says.

    Of objects, the desired fields must be there with covering values, others may be there too; a desired null is
    covered by a missing field. Lists must be of equal length and cover element by element, save those that the API
    server merges by key. A selector is one value. Values must be equal, resource quantities by amount.

    It can't see what *should no longer* be there: a field that was applied before and is left out now.
    """
    return next(differences(observed, desired), None) is None


def differences(observed: Any, desired: Any) -> Iterator[str]:
    """Paths at which ``observed`` doesn't hold what ``desired`` says, such as ``spec.ports[0].port``.

    Paths only, never values: they go into logs.
    """
    return _differences(observed, desired, "", quantity=False)


def _differences(observed: Any, desired: Any, path: str, *, quantity: bool) -> Iterator[str]:
    if path in _ATOMIC:
        if observed != desired:
            yield path
    elif path in _KEYED and isinstance(desired, list) and isinstance(observed, list):
        yield from _by_key(observed, desired, path)
    elif isinstance(desired, dict) and isinstance(observed, dict):
        for key, value in desired.items():
            # Most fields are strings, and most are as they should be.
            if isinstance(value, str) and observed.get(key) == value:
                continue
            yield from _field(observed, key, value, f"{path}.{key}" if path else key, quantity=quantity)
    elif isinstance(desired, list) and isinstance(observed, list):
        if len(observed) != len(desired):
            yield path
            return
        for index, (have, want) in enumerate(zip(observed, desired, strict=True)):
            yield from _differences(have, want, f"{path}[{index}]", quantity=quantity)
    elif not _equal(observed, desired) and not (quantity and _same_amount(observed, desired)):
        yield path


def _by_key(observed: list[Json], desired: list[Json], path: str) -> Iterator[str]:
    """Each desired entry must be covered by the observed one of the same key."""
    keys = _KEYED[path]
    have = {tuple(entry.get(key) for key in keys): entry for entry in observed}
    for index, want in enumerate(desired):
        entry = have.get(tuple(want.get(key) for key in keys))
        if entry is None:
            yield f"{path}[{index}]"
        else:
            yield from _differences(entry, want, f"{path}[{index}]", quantity=False)


def _field(observed: Json, key: str, value: Any, path: str, *, quantity: bool) -> Iterator[str]:
    if value is None:
        if observed.get(key) is not None:
            yield path
    elif key not in observed:
        if value != {} or path not in _DROPPED_EMPTY:
            yield path
    else:
        inside = quantity or key in _QUANTITIES or (key in _QUANTITY_MAPS and isinstance(value, dict))
        yield from _differences(observed[key], value, path, quantity=inside)


def _equal(observed: Any, desired: Any) -> bool:
    """Equality in JSON's sense: in Python true is 1."""
    return isinstance(observed, bool) == isinstance(desired, bool) and bool(observed == desired)


def _same_amount(observed: Any, desired: Any) -> bool:
    have, want = _amount(observed), _amount(desired)
    return have is not None and have == want


def _amount(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    number = text.rstrip("numkMGTPEi")
    factor = _SUFFIXES.get(text[len(number) :])
    if factor is None:
        return None
    try:
        amount = Decimal(number) * factor
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
