"""How long a rollout can take, by the spec alone."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from canary.api.analysis import GATES, Advance, HookType, NoDataPolicy, UnavailablePolicy, Webhook
from canary.api.canary import Canary
from canary.cli.rehearse.staging import Stage
from canary.cli.rehearse.story import NOTHING
from canary.rollout.approvals import approval_of
from canary.rollout.glance import time_between
from canary.rollout.plan import Plan, plan_of

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)
"""The wait before a webhook is asked again; it doubles each time, up to a limit."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long it can take from a change of the target to its promotion.

    Args:
        shortest: nothing holds it up, gates are open, webhooks answer at once, and evidence is there at the first
            glance, where steps end by it.
        longest: it uses every deadline and every failed check that the spec allows, and is promoted still: pods and
            primary are ready just in time, each check comes just before its hold ends, webhooks take all their time.
            Not counted: closed gates, steps that wait for a person, pods that are lost on the way, changes by others.
            None for pods that are rolled out in place.
        gates: the webhooks that make it wait as long as they say no, without a deadline.
        resumed: the numbers of the steps that wait for a person, without a deadline, from 1 on.
    """

    shortest: timedelta
    longest: timedelta | None
    gates: tuple[str, ...]
    resumed: tuple[int, ...] = ()


def bounds_of(canary: Canary, stage: Stage) -> Bounds:
    """How long a rollout of this Canary can take, where the new version stands beside the old one."""
    judged = not canary.skip_analysis
    plan = plan_of(canary, weighted=stage.weighted, replicas=stage.replicas)
    back = _steps_back(canary, plan) if judged else 0
    ready, interval, deadline = stage.ready_after, canary.analysis_interval, canary.progress_deadline
    # Requests are led to pods once the routers know of them, and pods go once requests are known to have left them.
    turns = 2 + (judged and _led(plan))
    ending = back * interval + turns * stage.settle
    grown = _grown(plan) if judged else 0
    step = min(interval, time_between(canary)) if canary.analysis.advance is Advance.EVIDENCE else interval
    steady = plan.least(step) if judged else NOTHING
    shortest = ready + steady + grown * ready + ready + ending
    longest = _patience(canary, HookType.CONFIRM_ROLLOUT) + deadline + deadline + ending
    if judged:
        hold = canary.patience if _can_hold(canary) else NOTHING
        longest += plan.least(interval) + plan.looks * hold + (canary.threshold - 1) * (interval + hold)
        longest += grown * (deadline + hold) + _asked(canary, plan.looks + grown)
    return Bounds(shortest, longest, gates_of(canary), resumed_by_people(canary) if judged else ())


def gates_of(canary: Canary) -> tuple[str, ...]:
    """The webhooks that make rollouts wait without a deadline, by name."""
    gates = (HookType.CONFIRM_ROLLOUT,) if canary.skip_analysis else GATES
    hooks = (hook for gate in gates for hook in canary.hooks(gate))
    return tuple(hook.name for hook in hooks if (asks := approval_of(hook)) is None or asks.timeout is None)


def resumed_by_people(canary: Canary) -> tuple[int, ...]:
    """The steps that wait until a person resumes them, by their numbers from 1 on."""
    steps = enumerate(canary.analysis.steps, start=1)
    return tuple(number for number, step in steps if step.pause is not None and step.pause.duration is None)


def _asked(canary: Canary, steps: int) -> timedelta:
    """How long all looks of an analysis can wait for webhooks; those of one type are asked side by side."""
    tested = _patience(canary, HookType.PRE_ROLLOUT, HookType.ROLLBACK)
    looked = _patience(canary, HookType.ROLLOUT, HookType.ROLLBACK)
    first = tested + _patience(canary, HookType.ROLLOUT) + _patience(canary, HookType.CONFIRM_TRAFFIC_INCREASE)
    later = looked + _patience(canary, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)
    # Who confirms the promotion is asked after who confirms the increase of traffic that it is.
    last = min(_patience(canary, gate) for gate in (HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION))
    return first + steps * later + last + (canary.threshold - 1) * max(tested, looked)


def _can_hold(canary: Canary) -> bool:
    """Whether a check can hold a step by saying nothing, or nothing that counts."""
    return any(hook.gate is not None for hook in canary.analysis.webhooks) or any(
        check.no_data is NoDataPolicy.HOLD or check.unavailable is UnavailablePolicy.HOLD or check.is_counted
        for check in (*canary.analysis.metrics, *canary.analysis.conditions)
    )


def _steps_back(canary: Canary, plan: Plan) -> int:
    """How many intervals it takes until the primary has all the traffic back."""
    step, last = canary.analysis.step_weight_promotion, plan.steps[-1].split if plan.steps else None
    if not step or last is None or last.matched or not last.canary:
        return 0
    return -(-last.canary // step) - 1


def _led(plan: Plan) -> bool:
    """Whether the primary gets requests back that the canary had."""
    return bool(plan.steps) and plan.steps[-1].split.canary > 0


def _grown(plan: Plan) -> int:
    """How many steps wait for pods that the step before did not have."""
    pods = [step.replicas for step in plan.steps if step.replicas]
    return sum(after > before for before, after in pairwise(pods))


def _patience(canary: Canary, *types: HookType) -> timedelta:
    """How long it can take until all webhooks of these types, asked side by side, have answered."""
    return max((_time_limit(canary, hook) for type_ in types for hook in canary.hooks(type_)), default=NOTHING)


def _time_limit(canary: Canary, hook: Webhook) -> timedelta:
    if (asks := approval_of(hook)) is not None:
        return asks.timeout or NOTHING
    retries = max(hook.retries, 0)
    waits = sum((min(FIRST_WAIT * 2**retry, LONGEST_WAIT) for retry in range(retries)), NOTHING)
    return canary.time_for(hook) * (retries + 1) + waits
