"""Since when the workloads of a Canary are seen ready: the data plane learns of their pods some time later."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from canary.rollout.facts import Workload

W = TypeVar("W", bound=Workload | None)


@dataclass(slots=True)
class ReadySince:
    """What a controller remembers of one Canary's workloads while it runs, each by its part in the rollout.

    To another controller they are ready from its first look on, which is later: nobody is led anywhere too soon.
    """

    _since: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def told(self, part: str, workload: W, ready_threshold: int, now: datetime) -> W:
        """The workload, with since when it is ready as what it runs.

        Args:
            part: its part in the rollout.
            workload: as it is seen now; None where there is none.
            ready_threshold: percent of its pods that must be available.
            now: the time.
        """
        if workload is None or not workload.settled(ready_threshold):
            self._since.pop(part, None)
            return workload
        revision, since = self._since.get(part, (workload.revision, now))
        since = since if revision == workload.revision else now
        self._since[part] = (workload.revision, since)
        return replace(workload, ready_since=since)
