"""Canaries that go up together and come back together.

Those of a group that have a new revision begin at once, are promoted once all of them are ready to be, and are taken
back where one of them fails before. Members that have nothing new are no part of that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from canary.api.status import Phase

WAITING_FOR_GROUP: Final = "WaitingForGroup"
"""Reason of a rollout that waits for others of its group: to begin, or to be promoted."""

_QUEUED: Final = "Queued"
_AT_REST: Final = frozenset({Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED})
_ANALYSED: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
_PROMOTED: Final = frozenset({Phase.PROMOTING, Phase.FINALISING})
_TAKEN_BACK: Final = frozenset({"RolledBack", "ProgressDeadlineExceeded"})
_REJECTED: Final = "Rejected"


@dataclass(frozen=True, slots=True)
class Member:
    """Another Canary of the group.

    Args:
        key: NAMESPACE/NAME of it.
        phase: where it stands.
        reason: why it stands there.
        current: whether that is about what is deployed now.
        since: since when it stands there, in whole seconds.
        begun: whether the rollout that it speaks of has begun: one that people refuse before that has not.
    """

    key: str
    phase: Phase
    reason: str = ""
    current: bool = True
    since: datetime | None = None
    begun: bool = True

    @property
    def late(self) -> bool:
        """Whether it has a new revision that can't begin yet."""
        if self.phase is Phase.WAITING:
            return self.reason not in (WAITING_FOR_GROUP, _QUEUED)
        return self.phase in _AT_REST and not self.current

    @property
    def unready(self) -> bool:
        """Whether its version is still judged."""
        return self.phase in _ANALYSED and self.reason != WAITING_FOR_GROUP

    def failed_since(self, moment: datetime) -> bool:
        """Whether its version was taken back at that moment or later."""
        taken_back = self.reason in _TAKEN_BACK or (self.reason == _REJECTED and self.begun)
        back = self.phase is Phase.FAILED and taken_back
        return back and self.since is not None and self.since >= moment.replace(microsecond=0)


def named(members: Iterable[Member]) -> str:
    """Members in words."""
    return ", ".join(each.key for each in members)
