"""What a backtest found, as one value; every number in it has its unit in its name or its description."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from canary.cli.backtest.pretend import Judged
from canary.cli.backtest.replay import Blame
from canary.cli.backtest.support import Limit
from canary.cli.backtest.traffic import Traffic
from canary.cli.backtest.workload import Workload
from metrics.threshold import Threshold


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without data: its first and last look without any."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class MetricReport:
    """One metric of the spec.

    Args:
        name: its name.
        threshold: the accepted values.
        unit: what stands behind its numbers.
        query: what was asked; empty where nothing was.
        skipped: why nothing was asked; empty where something was.
        series: how many series the query gives.
        looks: looks of the window that have a value.
        failing: looks whose value is not accepted.
        longest_gap: the longest stretch without a value while something is recorded; None where there is none.
        quantiles: values by the part of all values that is not above them.
        blame: what it did to the rollouts that were rolled back.
        limits: the thresholds that the data supports where the other metrics don't fail.
    """

    name: str
    threshold: Threshold
    unit: str
    query: str
    skipped: str
    series: int
    looks: int
    failing: int
    longest_gap: Gap | None
    quantiles: Mapping[float, float]
    blame: Blame
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Rollouts begun one after the other that would have been rolled back.

    Args:
        first: when the first of them begins.
        last: when the last of them begins.
        until: when the last of them is rolled back.
        starts: how many there are.
        metrics: what failed or held them: names, each with the value farthest outside; None for want of data. Empty
            where nothing at all was recorded.
    """

    first: datetime
    last: datetime
    until: datetime
    starts: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Thresholds for all metrics at once, with which no more than a part of the rollouts fails.

    Args:
        allowed: that part, 0 to 1.
        thresholds: by metric of the spec; None for one that has no data to go by.
        share: the part whose checks fail with all of them together, 0 to 1; None where no rollout ended.
    """

    allowed: float
    thresholds: tuple[Threshold | None, ...]
    share: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the window is recorded.

    Args:
        looks: looks of the window.
        recorded: looks at which anything is recorded.
        first: the first of them; None where there is none.
        last: the last of them; None where there is none.
        gaps: stretches in between at which nothing is recorded.
    """

    looks: int
    recorded: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A backtest.

    Args:
        canary: name of the Canary.
        namespace: its namespace.
        prometheus: who was asked, without credentials.
        start: the first look.
        end: the last look.
        interval: between two looks.
        steps: looks that must be good for a promotion.
        threshold: failed checks that roll a version back.
        workload: whose requests were looked at.
        chosen: whether that was chosen by the data there is.
        coverage: how much is recorded.
        starts: rollouts that ended within what is recorded.
        rolled_back: those that were rolled back.
        failed: those of them whose checks failed.
        unrecorded: those of them that were rolled back for nothing but a time in which nothing was recorded; the rest
            was held for too long by a metric without data.
        unfinished: rollouts that were still under way at the end of what is recorded.
        metrics: in the order of the spec.
        failures: in order of time.
        suggestions: by the part that may fail.
        traffic: how far the traffic reaches; None where that isn't known.
        no_traffic: why it isn't known.
        judged: what the judge would have done; None where the spec compares nothing, or that can't be said.
        not_judged: why it can't be said; empty where it can, or the spec compares nothing.
        notes: what else there is to know, in sentences.
    """

    canary: str
    namespace: str
    prometheus: str
    start: datetime
    end: datetime
    interval: timedelta
    steps: int
    threshold: int
    workload: Workload
    chosen: bool
    coverage: Coverage
    starts: int
    rolled_back: int
    failed: int
    unrecorded: int
    unfinished: int
    metrics: tuple[MetricReport, ...]
    failures: tuple[Failure, ...]
    suggestions: tuple[Suggestion, ...]
    traffic: Traffic | None
    no_traffic: str
    judged: Judged | None
    not_judged: str
    notes: tuple[str, ...]

    @property
    def failed_share(self) -> float | None:
        """The part of the rollouts whose checks failed, 0 to 1; None where none ended."""
        return self.failed / self.starts if self.starts else None

    @property
    def share(self) -> float | None:
        """The part of the rollouts that was rolled back, 0 to 1; None where none ended."""
        return self.rolled_back / self.starts if self.starts else None
