"""One Canary with its facts: what every phase asks of them, and the small decisions that all phases share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Unpack

from canary.api.analysis import HookType, Webhook
from canary.api.status import CanaryStatus
from canary.api.traffic import ALL_PRIMARY, Split
from canary.rollout.decision import (
    Action,
    Decision,
    Event,
    EventType,
    KeepApexService,
    KeepAutoscaler,
    KeepVersionServices,
    RestAutoscaler,
    Route,
    ScaleTarget,
    WakeAutoscaler,
)
from canary.rollout.facts import Answer, HookAnswer, HookQuestion, PodsAnswer, PodsQuestion, Question, Workload
from canary.rollout.moments import moment, starting
from canary.rollout.new_pods import NewPods
from canary.rollout.plan import Plan, Step, plan_of
from canary.rollout.status_change import StatusChange

SETTLE_AT_MOST = timedelta(seconds=30)
"""How long pods are kept for a gateway that says it has not yet followed: it may never say anything else."""

PRIMARY_NOT_READY = "PrimaryNotReady"
"""Reason to wait: the primary can't do yet what comes next."""

HELD = "Held"
"""Reason of a version that has failed and stays where it is, as its spec asks."""

SKEW = timedelta(minutes=1)
"""How far the clocks of two controllers may be apart."""

RETRY_ANNOTATION = "flagger.app/retry"
"""On a Canary: any new value asks for the rollout of the target's revision anew."""


@dataclass(frozen=True)
class Situation(NewPods):
    """A Canary and what is known around it."""

    @property
    def now(self) -> datetime:
        """The time of this decision."""
        return self.facts.now

    def due(self, since: datetime, span: timedelta) -> datetime:
        """When so much time has passed since then; now, where that would be because the clock was set back since.

        The clock of another controller may be a little ahead, which must not cut a wait short.
        """
        since = self.facts.counted(since)
        return since + span if since - self.now <= SKEW else self.now

    @property
    def patience(self) -> timedelta:
        """How long a rollout is held by what says nothing of its version, such as metrics without data."""
        return self.canary.patience

    def refuses(self, *actions: Action) -> bool:
        """Whether one of these was refused a moment ago, and it is too early to try again."""
        found = (self.facts.refused.get(action) for action in actions)
        return any(refusal is not None and not refusal.due for refusal in found)

    def truthful(self, decision: Decision) -> Decision:
        """The decision with what is seen of the rollout itself, where its status is not what is routed."""
        return decision

    def settled_at(self, moved: datetime) -> datetime:
        """When the data plane has followed a change of that time, as far as is known now.

        A gateway that says it has taken a route has yet to do what it says: the time that this takes counts from then.
        """
        settle = self.facts.settle
        if self.facts.unsettled:
            return self.due(moved, max(SETTLE_AT_MOST, settle))
        return self.due(max(moved, self.facts.caught_up or moved), settle)

    def learning(self, *workloads: Workload | None) -> datetime | None:
        """Until when the data plane may take the pods of ready workloads for others; None where it knows them.

        A workload is ready before the endpoints of its Service are: they are written by another controller, which takes
        a second or more for changes that follow each other, and the data plane takes its time for them as for a route.
        """
        ready = [each.ready_since for each in workloads if each is not None and each.ready_since is not None]
        known = max((self.due(each, self.facts.settle) for each in ready), default=self.now)
        return known if self.now < known else None

    @property
    def at_last_step(self) -> bool:
        """Whether a good look leads to the promotion."""
        return self.plan.next(self.status) is None

    @property
    def stretches(self) -> int:
        """How many parts of a rollout are judged each by what is seen of it alone."""
        return 1

    @cached_property
    def plan(self) -> Plan:
        """The steps of this rollout."""
        return plan_of(self.canary, weighted=self.facts.weighted, replicas=replicas_wanted(self.facts.primary))

    @cached_property
    def step(self) -> Step:
        """The step that it is at; nothing on the canary before the first."""
        return self.plan.current(self.status)

    def steps_done(self, status: CanaryStatus) -> tuple[int, int]:
        """How many steps of the analysis were begun by a status, and how many there are."""
        return self.plan.begun(status), self.plan.count

    def is_off(self, check: str) -> bool:
        """Whether a check is not looked at in the step that it is at."""
        return check in self.step.off

    @property
    def split(self) -> Split:
        """How traffic is divided now; where no router object says otherwise, the primary gets all."""
        return self.facts.split or ALL_PRIMARY

    @property
    def full_name(self) -> str:
        """NAME.NAMESPACE, as events name the Canary."""
        return f"{self.canary.name}.{self.canary.namespace}"

    @property
    def target_name(self) -> str:
        """TARGET.NAMESPACE, as events name the workload."""
        return f"{self.canary.target_name}.{self.canary.namespace}"

    @property
    def starting(self) -> str:
        """What is told of a new revision."""
        return f"New revision detected! Scaling up {self.target_name}"

    @property
    def failing(self) -> str:
        """What is told of a version that has failed."""
        return f"Canary failed! Scaling down {self.full_name}"

    @property
    def changed(self) -> bool:
        """Whether the target carries something else than what was last begun."""
        target = self.facts.target
        return target is not None and target.revision != self.status.last_applied_spec

    @property
    def reverted(self) -> bool:
        """Whether the target was set back to what the primary serves."""
        return self.changed and self.facts.target is not None and self.facts.target.revision == self.promoted

    @property
    def kept(self) -> str:
        """The promoted revision, where the primary can be made from it again; empty where it is not kept."""
        last = self.status.last_promoted_spec
        return last if last in self.facts.kept else ""

    @property
    def retry(self) -> str:
        """The value of the annotation that asks for another try; empty where there is none."""
        return self.canary.metadata.annotations.get(RETRY_ANNOTATION, "")

    @property
    def starting_moment(self) -> str:
        """The moment in which what the target carries waits to be rolled out."""
        return starting(self.canary, self.facts.target.revision if self.facts.target is not None else "", self.retry)

    @property
    def retry_asked(self) -> bool:
        """Whether somebody asks for another try of a revision that the primary does not serve yet."""
        if self.retry in ("", self.status.last_retry):
            return False
        return self.facts.target is not None and self.facts.target.revision != self.promoted

    @property
    def primary_ready(self) -> bool:
        """Whether the primary's pods are ready for all of the traffic."""
        primary = self.facts.primary
        return primary is not None and primary.settled(self.canary.analysis.primary_ready_threshold)

    @property
    def primary_serving(self) -> bool:
        """Whether the primary has a ready pod."""
        return self.facts.primary is not None and self.facts.primary.serving

    @property
    def canary_serving(self) -> bool:
        """Whether the target has a ready pod."""
        return self.facts.target is not None and self.facts.target.serving

    @property
    def primary_can_take_over(self) -> bool:
        """Whether nobody is worse off when the primary gets all traffic: it serves, or the canary has none to lose."""
        return self.primary_serving or not (self.split.canary or self.facts.left) or not self.canary_serving

    def can_route(self, split: Split) -> bool:
        """Whether this division gives no request more than now to a version without ready pods."""
        now = self.split
        canary_gains = split.canary > now.canary or (now.matched and split.canary > 0 and not split.matched)
        primary_gains = split.canary < now.canary or (split.matched and now.canary > 0 and not now.matched)
        if split.header != now.header:
            canary_gains, primary_gains = canary_gains or split.header > 0, primary_gains or now.header > 0
        return (self.canary_serving or not canary_gains) and (self.primary_can_take_over or not primary_gains)

    @cached_property
    def look(self) -> str:
        """Names this moment of the analysis: whatever changes it makes older answers worthless."""
        status = self.status
        asked = status.last_check_time.isoformat() if status.last_check_time else ""
        parts = (
            status.phase,
            self.facts.target.revision if self.facts.target else "",
            self.canary.metadata.generation,
            status.canary_weight,
            status.iterations,
            status.failed_checks,
            asked,
        )
        return "/".join(str(part) for part in parts)

    def evolve(self, **change: Unpack[StatusChange]) -> CanaryStatus:
        """The status with these fields changed; another reason to stand where it does ends a hold."""
        if "reason" in change:
            change.setdefault("held_since", None)
        return self.status.replace(**change)

    def stay(
        self,
        reason: str,
        *,
        actions: tuple[Action, ...] = (),
        first: tuple[Action, ...] = (),
        asks: tuple[Question, ...] = (),
        wake: datetime | None = None,
    ) -> Decision:
        """Store nothing: all is as it should be for now, or what there is to do changes no status."""
        return Decision(status=self.status, reason=reason, actions=actions, first=first, asks=asks, wake=wake)

    def hooks(self, *types: HookType) -> dict[HookQuestion, Webhook]:
        """The question to each webhook of these types, in the spec's order."""
        return {
            HookQuestion(self.look, index, hook.type, self.status.phase, run=self._run_of(hook)): hook
            for index, hook in enumerate(self.canary.analysis.webhooks)
            if hook.type in types and not (hook.type is HookType.ROLLOUT and self.is_off(hook.name))
        }

    def _run_of(self, hook: Webhook) -> str:
        """The moment that what a hook's gate runs is for; empty where it has none."""
        if hook.gate is None:
            return ""
        return self.starting_moment if hook.type is HookType.CONFIRM_ROLLOUT else moment(self.canary)

    def loads(self) -> dict[HookQuestion, Webhook]:
        """The question to each rollout hook that may bring the load which the next step is judged by: no gate does."""
        return {question: hook for question, hook in self.hooks(HookType.ROLLOUT).items() if hook.gate is None}

    def unanswered(self, questions: Iterable[Question]) -> bool:
        """Whether an answer to one of these is still to come."""
        return any(question not in self.facts.answers for question in questions)

    def answer(self, question: Question) -> Answer:
        """The answer to a question that has one.

        Raises:
            KeyError: it has none.
        """
        return self.facts.answers[question]

    def approved(self, question: HookQuestion) -> HookAnswer:
        """What a webhook said.

        Raises:
            KeyError: it has not answered.
            TypeError: the answer is not a webhook's.
        """
        answer = self.facts.answers[question]
        if not isinstance(answer, HookAnswer):
            msg = f"{question} was answered by {answer}"
            raise TypeError(msg)
        return answer

    def pods_reason(self) -> str | None:
        """Why the target's pods are not ready; None while nobody has said."""
        answer = self.facts.answers.get(self.pods_question)
        return answer.reason if isinstance(answer, PodsAnswer) else None

    @property
    def pods_question(self) -> PodsQuestion:
        """The question why the target's pods are not ready, or where they are, those of its baseline."""
        return PodsQuestion(look=self.look, baseline=self.target_ready and not self.canary_ready)

    def keep_services(self) -> tuple[Action, ...]:
        """The Services of a Canary whose primary serves; nothing is written where they are as they should be.

        They take their ports from the target: without one they are left as they are.
        """
        if self.facts.target is None:
            return ()
        scaler = (KeepAutoscaler(self.status.primary_replicas or 0),) if self.autoscaled else ()
        return (KeepVersionServices(), KeepApexService(), *scaler)

    def keep_all_on_primary(self) -> tuple[Action, ...]:
        """Services and route of a Canary at rest.

        Traffic leaves the canary before its Service follows the target: that may lead elsewhere by now.
        """
        routed, kept = Route(ALL_PRIMARY), self.keep_services()
        return (routed, *kept) if self.split.canary else (*kept, routed)

    def keep_share(self) -> tuple[Action, ...]:
        """Services and route of a rollout that stays where it is, whatever has become of its route."""
        share, split = self.status.canary_weight, self.step.split
        split = split if split.canary == share else Split(canary=share)
        kept = (*self.keep_services(), *self.keep_pods())
        if split == self.split or not self.facts.weighted or not self.can_route(split):
            return kept
        return (*kept, Route(split))

    def let_go(self) -> tuple[Action, ...]:
        """The canary's pods go, where there is a workload to have any."""
        if self.facts.target is None:
            return ()
        return (RestAutoscaler(), ScaleTarget(0)) if self.autoscaled else (ScaleTarget(0),)

    def rest(self) -> tuple[Action, ...]:
        """A target whose pods are gone stays without, also where its autoscaler was made anew."""
        return (RestAutoscaler(),) if self.autoscaled and self.facts.target is not None else ()

    def wake(self) -> tuple[Action, ...]:
        """The canary gets pods where it has none: as many as its autoscaler starts with, or as the primary has.

        Those that it had last must be gone: they are counted as ready for a moment, and would pass for the new ones.
        """
        waking: tuple[Action, ...] = (WakeAutoscaler(held=True),) if self.autoscaled else ()
        target = self.facts.target
        if target is None or target.readiness.desired or target.readiness.total:
            return waking
        if self.autoscaled:
            return (*waking, ScaleTarget(self.facts.autoscaler_minimum or 1))
        return (*waking, ScaleTarget(self.pods_wanted or replicas_wanted(self.facts.primary)))

    @property
    def pods_wanted(self) -> int:
        """How many pods the canary has at its step, the first one before that; 0 where their number is not counted."""
        first = self.plan.steps[0].replicas if self.plan.steps else 0
        return self.step.replicas or first

    def keep_pods(self) -> tuple[Action, ...]:
        """Pods that were taken from a canary whose share goes by their number come back.

        Those that neither its step needs nor the next one go once the data plane has followed.
        """
        target, wanted, since = self.facts.target, self.pods_wanted, self.status.step_since
        short = target is not None and 0 < target.readiness.desired < wanted and self.status.canary_weight > 0
        following = self.plan.next(self.status)
        most = max(wanted, following.replicas if following is not None else 0)
        left = target is not None and wanted and since is not None and target.readiness.desired > most
        settled = left and since is not None and self.now >= self.settled_at(since)
        return (ScaleTarget(wanted if short else most),) if short or settled else ()

    def release_autoscaler(self) -> tuple[Action, ...]:
        """A target that has pods is its autoscaler's own again; one that has none stays without."""
        awake = self.facts.target is not None and self.facts.target.readiness.desired > 0
        return (WakeAutoscaler(held=False),) if self.autoscaled and awake else ()

    def wake_for_all(self) -> tuple[Action, ...]:
        """The target gets the primary's number of pods, to serve everybody; its autoscaler goes on from there."""
        waking: tuple[Action, ...] = (WakeAutoscaler(held=False),) if self.autoscaled else ()
        target, wanted = self.facts.target, replicas_wanted(self.facts.primary)
        if target is None or target.readiness.desired >= wanted:
            return waking
        if not target.readiness.desired and target.readiness.total:
            return waking
        return (*waking, ScaleTarget(wanted))

    @property
    def autoscaled(self) -> bool:
        """Whether the target has an autoscaler."""
        return self.canary.spec.autoscaler_ref is not None


def replicas_wanted(workload: Workload | None) -> int:
    """How many replicas a copy of this workload should have: as many, and one at least."""
    return max(1, workload.readiness.desired) if workload is not None else 1


def warning(message: str) -> Event:
    """An event that somebody should look at."""
    return Event(message, EventType.WARNING)
