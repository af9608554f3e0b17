"""Since when the workloads of a Canary are seen ready: the data plane learns of their pods some time later."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import TypeVar

from canary.api.analysis import Analysis
from canary.rollout.facts import Workload

W = TypeVar("W", bound=Workload | None)


class Part(Enum):
    """What a workload is in a rollout."""

    TARGET = auto()
    PRIMARY = auto()
    BASELINE = auto()


@dataclass(slots=True)
class ReadySince:
    """What a controller remembers of one Canary's workloads while it runs, each by its part in the rollout.

    To another controller they are ready from its first look on, which is later: nobody is led anywhere too soon.
    """

    _since: dict[Part, tuple[str, datetime]] = field(default_factory=dict)

    def told(self, part: Part, workload: W, analysis: Analysis, now: datetime) -> W:
        """The workload, with since when it is ready as what it runs.

        Args:
            part: its part in the rollout.
            workload: as it is seen now; None where there is none.
            analysis: says how many of its pods must be available.
            now: the time.
        """
        primary = part is Part.PRIMARY
        threshold = analysis.primary_ready_threshold if primary else analysis.canary_ready_threshold
        if workload is None or not workload.settled(threshold):
            self._since.pop(part, None)
            return workload
        revision, since = self._since.get(part, (workload.revision, now))
        since = since if revision == workload.revision else now
        self._since[part] = (workload.revision, since)
        return replace(workload, ready_since=since)
