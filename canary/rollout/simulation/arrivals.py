"""The requests that come to each side, as a data plane counts them."""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta

from canary.rollout.facts import Count, Counts, TrafficAnswer
from canary.rollout.simulation.scenario import Scenario, Side

SECOND = timedelta(seconds=1)


class Arrivals:
    """How many requests have come to each side since the start of a scenario.

    Args:
        scenario: how many there are, and when they go astray.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._counted: list[tuple[datetime, dict[Side, float]]] = [(scenario.start, dict.fromkeys(Side, 0.0))]

    def twin(self, scenario: Scenario) -> "Arrivals":
        """One like it, to go another way."""
        other = Arrivals(scenario)
        other._counted = [*self._counted]
        return other

    def next_change(self, now: datetime) -> datetime | None:
        """When requests next go astray, or do so no more."""
        edges = (self.scenario.start + each for window in self.scenario.astray for each in (window.start, window.end))
        return min((each for each in edges if each > now), default=None)

    def flow(self, now: datetime, until: datetime, shares: Mapping[Side, float]) -> None:
        """Let requests come from one moment to another, in these shares, between which no way of theirs changes."""
        if not self.scenario.requests:
            return
        astray = any(each.start <= now - self.scenario.start < each.end for each in self.scenario.astray)
        canary = 0.0 if astray else shares[Side.CANARY]
        came = self.scenario.requests * (until - now).total_seconds()
        before = self._counted[-1][1]
        fresh = shares[Side.BASELINE]
        shared = {Side.CANARY: canary, Side.PRIMARY: 1 - canary - fresh, Side.BASELINE: fresh}
        self._counted.append((until, {side: before[side] + came * share for side, share in shared.items()}))

    def came(self, side: Side, since: datetime, now: datetime) -> float:
        """How many requests have come to a side since a moment."""
        return self._until(side, now) - self._until(side, since)

    def unheard(self, side: Side, window: timedelta, now: datetime) -> bool:
        """Whether requests are counted, and so few have come to a side that a metric has nothing to tell of them."""
        return self.scenario.requests > 0 and not round(self.came(side, now - window, now))

    def answer(self, since: datetime, now: datetime, interval: timedelta) -> TrafficAnswer:
        """What is said to the question for them: of whole seconds, and of one interval at most."""
        since = now - min(now - since, interval) // SECOND * SECOND
        came = {side: round(self.came(side, since, now)) for side in Side}
        canary, primary = (Count(came[side], came[side]) for side in (Side.CANARY, Side.PRIMARY))
        return TrafficAnswer(Counts(now - since, canary, primary, sum(came.values())))

    def _until(self, side: Side, moment: datetime) -> float:
        """The count at a moment: between two that are known, requests come evenly."""
        index = bisect_right(self._counted, moment, key=lambda each: each[0])
        if index == len(self._counted):
            return self._counted[-1][1][side]
        if not index:
            return 0.0
        (start, low), (end, high) = self._counted[index - 1], self._counted[index]
        return low[side] + (high[side] - low[side]) * ((moment - start) / (end - start))
