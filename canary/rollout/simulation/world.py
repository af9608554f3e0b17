"""Virtual time: the loop of the controller over a modelled cluster, as fast as decisions can be made.

It keeps the rules of the real loop. What protects is done first, one by one; what is refused is a fact of the next
decision. The status is stored in one write, which fails if the Canary has changed since it was looked at; then what
stands in its outbox is told, and upkeep is done. Answers count for the look that asked for them, and are dropped when a
decision asks for another one, or for none. A pass that wrote something is followed by another at once.
"""

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.rules import problems
from canary.api.status import CanaryStatus
from canary.api.traffic import ALL_PRIMARY, TOTAL_WEIGHT
from canary.rollout.decide import AT_WORK, decide
from canary.rollout.decision import Action, Decision
from canary.rollout.deletion import FINALIZER
from canary.rollout.facts import Answer, BudgetQuestion, Facts, MetricQuestion, Question, TrafficQuestion, Workload
from canary.rollout.ready_since import Part, ReadySince
from canary.rollout.refusals import Refusals
from canary.rollout.simulation.apiserver import collect, hear, permit, reach, unseen
from canary.rollout.simulation.arrivals import Arrivals
from canary.rollout.simulation.audience import Audience
from canary.rollout.simulation.cluster import Cluster, Refused
from canary.rollout.simulation.failures import Conflict, Crash, Denied, NotSettlingError, Unavailable
from canary.rollout.simulation.questions import Questions
from canary.rollout.simulation.recorder import Told, entry, post_rollout
from canary.rollout.simulation.responders import Since, ample, answer, loaded
from canary.rollout.simulation.scenario import Annotate, Change, Delete, Edit, Scenario, SetClock, Side
from canary.rollout.simulation.timeline import Entry, Timeline
from canary.rollout.simulation.voters import annotated, cleared, voted

MOST_PASSES = 30
"""Passes at one moment; a rollout that needs more would never settle."""

RETRY, MOST_RETRY = timedelta(seconds=1), timedelta(seconds=30)
"""How long a pass that failed is left alone: longer each time, up to a limit."""


class World:
    """A cluster, the world outside it, and the controller, at one moment.

    A subclass may override the methods named `before_` and `after_` to watch, or to raise what can go wrong there.

    Args:
        scenario: what happens.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.canary = scenario.canary
        self.cluster = Cluster(scenario)
        self.arrivals = Arrivals(scenario)
        self.now = scenario.start
        self.clock = timedelta(0)
        """How far the controller's clock is ahead."""
        self.gone = False
        """Whether the Canary is deleted."""
        self.entries: list[Entry] = []
        """What has happened so far."""
        self.served: dict[str, timedelta] = {}
        """How long each revision has answered users, weighted by its share; see `Timeline`."""
        self.passes = 0
        """How many decisions were made."""
        self._wake: datetime | None = scenario.start
        self._changes = sorted(scenario.changes, key=lambda each: each.at)
        self._questions = Questions()
        self._failures = 0
        self._refusals = Refusals()
        self.audience = Audience()
        """Who is told."""
        self._since = {side: Since() for side in Side}
        self._ready = ReadySince()
        self._looked_at: datetime | None = None
        self._version = 0
        self._problems: tuple[int, tuple[Problem, ...]] | None = None

    def twin(self, scenario: Scenario) -> Self:
        """One like it, to go another way.

        Args:
            scenario: what happens from now on; up to now it tells the same as this world's own.
        """
        other = copy.copy(self)
        other.scenario, other.cluster = scenario, self.cluster.twin()
        other.cluster.scenario = scenario
        other.arrivals = self.arrivals.twin(scenario)
        for side in Side:
            if (workload := other.cluster.side(side)) is not None:
                workload.scenario = scenario
        other.entries, other.served = list(self.entries), dict(self.served)
        changes = sorted((x for x in scenario.changes if scenario.start + x.at > self.now), key=lambda each: each.at)
        vars(other).update(_questions=copy.copy(self._questions), _changes=changes, _since=dict(self._since))
        vars(other).update(_ready=copy.deepcopy(self._ready))
        vars(other).update(_refusals=copy.copy(self._refusals), audience=copy.copy(self.audience))
        return other

    def keep(self, status: CanaryStatus) -> CanaryStatus:
        """What the API server has of a status that is stored: JSON. What does not survive is written for ever."""
        return CanaryStatus.model_validate(status.to_json())

    def before_action(self, action: Action, index: int) -> None:
        """Called before each action of a decision; `index` counts them from 0."""

    def after_action(self, action: Action, *, wrote: bool) -> None:
        """Called when an action is done; `wrote` tells whether it has changed anything."""

    def before_store(self, canary: Canary, facts: Facts, decision: Decision) -> None:
        """Called when all actions of a decision on a Canary are done and nothing is stored yet."""

    def after_store(self, canary: Canary, decision: Decision) -> None:
        """Called when the status is stored, where it has changed, and nothing is told yet."""

    def run(self, limit: timedelta | None = None) -> Timeline:
        """Let time pass until nothing more would happen, or until the limit.

        Args:
            limit: when to stop, since the start of the scenario; the scenario's own where absent.

        Raises:
            NotSettlingError: the controller does not come to rest while time stands still.
        """
        end = self.scenario.start + (self.scenario.limit if limit is None else limit)
        over = False
        while True:
            self.settle()
            moment = self.next_moment()
            if moment is None or moment > end:
                over = moment is None
                break
            self.advance(moment)
        if not over:
            self.advance(end)
        return Timeline(
            entries=tuple(self.entries),
            status=self.canary.status,
            lasted=self.now - self.scenario.start,
            served=dict(self.served),
            passes=self.passes,
            over=over,
        )

    def next_moment(self) -> datetime | None:
        """When something happens next; None if nothing will."""
        moments = [self.cluster.next_change(self.now), self.arrivals.next_change(self.now), *self._questions.due]
        if self._changes:
            moments.append(self.scenario.start + self._changes[0].at)
        if self._wake is not None and not self.gone:
            moments.append(self._wake)
        ends = (self.scenario.start + each.window.end for each in self.scenario.blind)
        moments += [end for end in ends if end > self.now and not self.gone]
        return min((max(each, self.now) for each in moments if each is not None), default=None)

    def advance(self, moment: datetime) -> None:
        """Let time pass until a moment at which, or before which, nothing else happens."""
        for revision, share in self.cluster.served(self.now).items():
            self.served[revision] = self.served.get(revision, timedelta(0)) + (moment - self.now) * share
        self.arrivals.flow(self.now, moment, self.cluster.shares(self.now))
        self.now = moment
        self.cluster.settle(moment)
        self._since = loaded(self._since, self.cluster, self.now)
        while self._changes and self.scenario.start + self._changes[0].at <= moment:
            self.change(self._changes.pop(0).change)

    def settle(self) -> None:
        """Make passes until the controller has nothing to do at this moment.

        Raises:
            NotSettlingError: that does not happen.
        """
        for _ in range(MOST_PASSES):
            self._questions.receive(self.now, self.answer)
            self.canary = voted(self.scenario, self.canary, self.now - self.scenario.start)
            if self.gone or not self.pass_once():
                return
        msg = f"{MOST_PASSES} passes at {self.now - self.scenario.start}: {self.entries[-1].reason}"
        raise NotSettlingError(msg)

    def pass_once(self) -> bool:
        """Observe, decide, act, record: once. Whether the next pass is due at once."""
        self.passes += 1
        canary, version, facts = self.canary, self._version, self.facts()
        decision = decide(canary, facts)
        self._looked_at = decision.looked_at or self._looked_at
        self._refusals.heed(canary, decision, facts.now)
        try:
            acted = wrote = self._act(decision.protect, 0)
            self.before_store(canary, facts, decision)
            wrote |= self._store(canary, decision, version)
            self.after_store(canary, decision)
            self._since = loaded(self._since, self.cluster, self.now)
            self._tell(decision, canary.status, acted=acted, wrote=wrote)
            wrote |= self._keep_up(decision)
        except (Refused, Unavailable, Conflict) as error:
            self._retry_after(error)
            return False
        except Denied as error:
            self._note(f"refused: {error}")
            return error.answered or self._to_be_told(canary) or self._retry_after(error)
        except Crash:
            self.restart()
            return True
        self._failures = 0
        self._since = loaded(self._since, self.cluster, self.now)
        self._questions.ask(decision.asks, self.now + self.scenario.latency)
        wakes = [each for each in (decision.wake, self._refusals.next_due(facts.now)) if each is not None]
        wake = min(wakes) - self.clock if wakes else None
        tidy = None if decision.tidy is None else decision.tidy - self.clock
        self._wake = min((each for each in (wake, tidy) if each is not None), default=None)
        return self.goes_on(wrote=wrote, wake=wake)

    def _to_be_told(self, canary: Canary) -> bool:
        """Whether the status is to be stored without what is not answered."""
        until = self._refusals.quiet_until(canary)
        return until is not None and self.now + self.clock >= until

    def _retry_after(self, error: Exception) -> bool:
        until = self._refusals.quiet_until(self.canary)
        self._wake = self.now + min(RETRY * 2**self._failures, MOST_RETRY)
        if until is not None and until - self.clock > self.now:
            self._wake = min(self._wake, until - self.clock)
        self._failures = min(self._failures + 1, 10)
        self._note(f"failed: {error}")
        return False

    def goes_on(self, *, wrote: bool, wake: datetime | None) -> bool:
        """Whether the next pass is due at once, after one that wrote something or not and looks again at `wake`."""
        return wrote or (wake is not None and wake <= self.now)

    def facts(self) -> Facts:
        """What the controller sees now."""
        cluster, now, taken = self.cluster, self.now, self.cluster.taken_at
        return Facts(
            now=now + self.clock,
            target=self._seen(Part.TARGET, None if cluster.target is None else cluster.target.observe(now)),
            primary=self._seen(Part.PRIMARY, None if cluster.primary is None else cluster.primary.observe(now)),
            split=(cluster.split if self.scenario.weighted else ALL_PRIMARY) if cluster.managed else None,
            settle=self.scenario.settle,
            unsettled="the gateway has not yet seen the route" if taken is not None and now < taken else "",
            caught_up=taken + self.clock if taken is not None and now >= taken else None,
            left=cluster.former.canary + cluster.former.baseline if cluster.former is not None else 0,
            baseline=self._seen(Part.BASELINE, cluster.observe_baseline(now)),
            baseline_left=cluster.baseline is not None,
            partitions=cluster.partitions(now),
            weighted=self.scenario.weighted,
            countable=self.scenario.requests > 0,
            followed=cluster.followed,
            kept=cluster.kept,
            problems=self._find_problems(),
            answers=self.answers(),
            refused=self._refusals.facts(self.canary, now + self.clock),
            unseen=tuple(unseen(self.scenario, now, self.clock)),
            told=self.audience.told,
            looked_at=self._looked_at,
        )

    def _seen(self, part: Part, workload: Workload | None) -> Workload | None:
        return self._ready.told(part, workload, self.canary.analysis, self.now + self.clock)

    def answers(self) -> Mapping[Question, Answer]:
        """What the outside world has said to the questions of the current look."""
        return dict(self._questions.answers)

    def answer(self, question: Question) -> Answer:
        """What the outside world says to a question now."""
        if isinstance(question, BudgetQuestion):
            return ample(self.canary, self.now)
        if isinstance(question, TrafficQuestion):
            return self.arrivals.answer(question.since - self.clock, self.now, self.canary.analysis_interval)
        side = Side.PRIMARY if isinstance(question, MetricQuestion) and question.primary else Side.CANARY
        workload, split = self.cluster.side(side), self.cluster.division(self.now) or ALL_PRIMARY
        since = self._since[side].loaded or self._since[side].ready
        return answer(
            self.scenario,
            self.canary,
            question,
            now=self.now,
            side=side,
            revision=workload.revision if workload is not None else "",
            age=self.now - since if since is not None else timedelta(0),
            weight=split.canary if side is Side.CANARY else split.primary,
            unheard=isinstance(question, MetricQuestion)
            and 0 < split.canary < TOTAL_WEIGHT
            and self.arrivals.unheard(side, self.canary.analysis.metrics[question.index].interval, self.now),
        )

    def restart(self) -> None:
        """Another controller takes over: what was asked is lost."""
        self._questions, self._refusals, self._ready = Questions(), Refusals(), ReadySince()
        self._looked_at = None
        self.audience.told = 0
        self._wake = self.now
        self._note("the controller starts")

    def change(self, change: Change) -> None:
        """Something happens around the controller, at this moment."""
        self._wake = self.now
        match change:
            case Edit(spec):
                # What is under way was asked of the spec before; no look waits for it any more.
                self._questions.drop()
                self.cluster.edited(self.canary.spec, spec, self.now)
                metadata = self.canary.metadata.replace(generation=self.canary.metadata.generation + 1)
                self._touch(self.canary.replace(spec=spec, metadata=metadata))
            case Annotate(key, value):
                self._touch(annotated(self.canary, {**self.canary.metadata.annotations, key: value}))
            case Delete():
                self._delete()
            case SetClock(by):
                self.clock += by
            case _:
                self.cluster.happen(change, self.now)
        self._note(str(change))

    def _touch(self, canary: Canary) -> None:
        self.canary = canary
        self._version += 1

    def _delete(self) -> None:
        metadata = self.canary.metadata
        if metadata.deletion_timestamp is not None:
            return
        changed = metadata.replace(deletion_timestamp=self.now, generation=metadata.generation + 1)
        self._touch(self.canary.replace(metadata=changed))
        self._collect()

    def _collect(self) -> None:
        """What belongs to a Canary goes with it."""
        self.gone = self.canary.metadata.deletion_timestamp is not None and not self.cluster.finalizer
        if self.gone:
            collect(self.cluster)

    def _find_problems(self) -> tuple[Problem, ...]:
        generation = self.canary.metadata.generation
        if self._problems is None or self._problems[0] != generation:
            routed = self.scenario.weighted and not self.scenario.in_place
            provider = self.canary.spec.provider or ("traefik" if routed else "kubernetes")
            self._problems = (generation, problems(self.canary, provider))
        if self.cluster.target is not None or self.canary.status.phase in AT_WORK:
            return self._problems[1]
        return (*self._problems[1], Problem("spec.targetRef", "the target does not exist", "create it"))

    def _act(self, actions: tuple[Action, ...], begin: int) -> bool:
        wrote = False
        for index, action in enumerate(actions, begin):
            try:
                changed = self._do(action, index)
            except Denied as error:
                urgent = not begin
                self._refusals.add(action, str(error), self.now + self.clock, answered=error.answered, urgent=urgent)
                raise
            self._refusals.remove(action, wrote=changed)
            wrote |= changed
        return wrote

    def _do(self, action: Action, index: int) -> bool:
        self.before_action(action, index)
        permit(self.scenario, self.cluster, action, self.now)
        changed = self.cluster.do(action, self.now)
        self.canary = cleared(self.canary, action)
        self.after_action(action, wrote=changed)
        held = (FINALIZER,) if self.cluster.finalizer else ()
        if held != self.canary.metadata.finalizers:
            self.canary = self.canary.replace(metadata=self.canary.metadata.replace(finalizers=held))
            self._collect()
        return changed

    def _keep_up(self, decision: Decision) -> bool:
        """Each is tried, whatever becomes of the others; what was refused is told by the next decision."""
        wrote = False
        for index, action in enumerate(decision.upkeep, len(decision.protect)):
            new = len(self._refusals)
            try:
                wrote |= self._act((action,), index)
            except Denied:
                wrote |= len(self._refusals) > new
        return wrote

    def _store(self, canary: Canary, decision: Decision, version: int) -> bool:
        if decision.status == canary.status:
            return False
        reach(self.scenario, self.now)
        if self.gone or version != self._version:
            msg = "the Canary has changed since it was looked at"
            raise Conflict(msg)
        self.canary = self.canary.replace(status=self.keep(decision.status))
        hear(self.scenario, self.now)
        return True

    def _tell(self, decision: Decision, before: CanaryStatus, *, acted: bool, wrote: bool) -> None:
        """Tell what stands in the outbox and was not told."""
        status = self.canary.status
        events, alerts, ending = self.audience.hear(status)
        if ending is not None:
            events += tuple(post_rollout(self.scenario, self.canary, self.now - self.scenario.start))
        marked = status.replace(outbox=before.outbox, told=before.told) == before
        if events or alerts or acted or (wrote and not (marked and status != before)):
            self._enter(Told("", decision.reason, events, alerts, ending))

    def _note(self, note: str) -> None:
        self._enter(Told(note))

    def _enter(self, told: Told) -> None:
        split = self.cluster.division(self.now)
        self.entries.append(entry(self.now - self.scenario.start, self.canary.status, split, told))
