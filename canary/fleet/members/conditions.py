"""What controllers say of clusters in conditions."""

from collections.abc import Iterable

from canary.fleet.members.parts import Part, said


def condition(kind: str, *lists: Part) -> Part | None:
    """The condition of a type, in the first list that has one; None where none does.

    Raises:
        Refused: a list is none.
    """
    found = (each for one in lists for each in one.each() if each.key("type").value == kind)
    return next(found, None)


def hold(conditions: Iterable[Part | None], status: str = "True") -> None:
    """Go on only where each of the conditions that are there has this status.

    Raises:
        Refused: one has another.
    """
    for each in conditions:
        if each is not None and each.key("status").value != status:
            raise each.refused(_words(each), "see to the cluster, or wait until it is well again")


def _words(part: Part) -> str:
    kind, status = said(part.key("type").value), said(part.key("status").value)
    why = said(part.key("message").value) or said(part.key("reason").value)
    return f"{kind} is {status or 'without a status'}{f': {why}' if why else ''}"
