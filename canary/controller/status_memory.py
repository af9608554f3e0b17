"""What the API server drops of a status: the installed definition of Canary is another one than ours.

So it is while Flagger's own definitions are there, or those of an older release: the server accepts a status and leaves
out the fields that its schema doesn't name, without a word. What was sent is remembered here, so that rollouts go on as
if it had been stored. Whoever starts anew doesn't have it, and takes the Canary over as it takes one over from Flagger.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from canary.kube.types import Json, name_of, namespace_of


@dataclass(frozen=True, slots=True)
class _Entry:
    """One Canary's status.

    Args:
        uid: which Canary of that name it is.
        stored: what the server has of the status.
        sent: the whole of it.
    """

    uid: str
    stored: Json
    sent: Json


class StatusMemory:
    """The statuses that the API server has not kept the whole of; empty where the definitions are ours."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._read: dict[str, tuple[Json, Json]] = {}

    def keep(self, answer: Json, sent: Json) -> tuple[str, ...]:
        """Remember a status where the server's answer lacks some of it.

        Args:
            answer: the Canary as it is stored now.
            sent: the status that was to be stored.

        Returns:
            The fields that were dropped, as `dropped` names them.
        """
        key, status = _key(answer), answer.get("status") or {}
        self.forget(key)
        fields = dropped(sent, status)
        if fields:
            self._entries[key] = _Entry(answer["metadata"]["uid"], status, sent)
        return fields

    def whole(self, raw: Json) -> Json:
        """A Canary with the status that was sent last.

        It is the object that is given where nothing of it is remembered, or somebody else has written its status since.
        """
        key = _key(raw)
        entry = self._entries.get(key)
        if entry is None or raw["metadata"].get("uid") != entry.uid or raw.get("status") != entry.stored:
            return raw
        last = self._read.get(key)
        if last is None or last[0] is not raw:
            last = self._read[key] = (raw, {**raw, "status": entry.sent})
        return last[1]

    def forget(self, key: str) -> None:
        """Drop what is remembered of a Canary.

        Args:
            key: `NAMESPACE/NAME`.
        """
        self._entries.pop(key, None)
        self._read.pop(key, None)


def dropped(sent: Json, stored: Json) -> tuple[str, ...]:
    """The fields that were sent and are not stored, sorted: `reason`, `bake.heldSince`, `checks[].samples`."""
    # Mostly it is stored as it was sent, and to see that takes next to nothing.
    return () if sent == stored else tuple(sorted(set(_dropped(sent, stored, ""))))


def advice(fields: tuple[str, ...]) -> str:
    """What to do about it, in words, for an event and the log."""
    named = ", ".join(fields)
    return (
        "the definition of Canary in this cluster is not this controller's: it drops fields of the status, such as"
        f" {named}; rollouts go on, but nobody sees these, and a controller that starts anew begins the current step"
        " again; apply the definitions of this release: kubectl apply -k crds"
    )


def _dropped(sent: object, stored: object, path: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(stored, dict):
        for name, value in sent.items():
            field = f"{path}.{name}" if path else name
            if name in stored:
                yield from _dropped(value, stored[name], field)
            else:
                yield field
    elif isinstance(sent, list) and isinstance(stored, list):
        for one, other in zip(sent, stored, strict=False):
            yield from _dropped(one, other, f"{path}[]")


def _key(obj: Json) -> str:
    return f"{namespace_of(obj)}/{name_of(obj)}"
