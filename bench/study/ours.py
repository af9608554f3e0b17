"""Rollouts that the judge decides: the same code as in the controller, asked at every look."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import log

import numpy as np

from bench.study.worlds import Traffic, World
from metrics.judge import Compared, Counts, Look, Outcome, Rule, judge
from metrics.judge.evidence import no_worse, worse

STEPS = (0.1, 0.2, 0.3, 0.4, 0.5)
STEP = 60.0
MIN_SAMPLES = 100


@dataclass(frozen=True)
class Plan:
    """How a rollout goes.

    Args:
        look: seconds from one look to the next.
        looks: after so many it ends, where not before.
        steps: the weights.
        stays: whether it stays at each weight for an equal part of the looks, rather than for a minute.
        on_evidence: whether a step ends once the canary is surely no worse than the margin.
        margin: that margin.
        tolerance: beyond it the canary is worse.
        metrics: how many such metrics there are.
        before: looks at the promoted version alone, before the rollout: half an hour.
    """

    look: float = 10.0
    looks: int = 400
    steps: tuple[float, ...] = STEPS
    stays: bool = False
    on_evidence: bool = False
    margin: float = 0.015
    tolerance: float = 0.0
    metrics: int = 1
    before: int = 180


@dataclass(frozen=True)
class Ended:
    """How a rollout ended.

    Args:
        found: the seconds after which it was rolled back; None where it wasn't.
        requests: the canary's until then.
        bad: those of them that were bad.
        seconds: how long it took in all.
    """

    found: float | None
    requests: float
    bad: float
    seconds: float


Usual = Sequence[Sequence[Counts]]

FALSE_ROLLBACK = 0.05
_CHUNK = 250


def rollouts(traffic: Traffic, plan: Plan, number: int, seed: Sequence[int], pool: ProcessPoolExecutor) -> list[Ended]:
    """Simulate many.

    Args:
        traffic: what comes.
        plan: how they go.
        number: how many.
        seed: the same seed gives the same rollouts, on however many cores.
        pool: the cores.
    """
    chunks = [(traffic, plan, min(_CHUNK, number - first), (*seed, first)) for first in range(0, number, _CHUNK)]
    return [ended for some in pool.map(_some, chunks) for ended in some]


def _some(chunk: tuple[Traffic, Plan, int, Sequence[int]]) -> list[Ended]:
    traffic, plan, number, seed = chunk
    chance = np.random.default_rng(seed)
    worlds = [World(traffic, number, chance) for _ in range(plan.metrics)]
    ended: list[Ended] = []
    if plan.on_evidence:
        return [_on_evidence(World(traffic, 1, chance), plan) for _ in range(number)]
    usual = [[world.look(np.zeros(number), plan.look) for _ in range(plan.before)] for world in worlds]
    seen = [[] for _ in range(plan.metrics)]
    step, spent, had = np.zeros(number, int), np.zeros(number), np.zeros(number)
    length = np.full(number, plan.looks)
    for look in range(plan.looks):
        if plan.stays:
            step[:] = look * len(plan.steps) // plan.looks
        weights = np.array(plan.steps)[np.minimum(step, len(plan.steps) - 1)]
        for metric, world in enumerate(worlds):
            seen[metric].append(world.look(weights, plan.look))
        spent, had = spent + plan.look, had + seen[0][-1][0]
        ends = (spent >= STEP) & (had >= MIN_SAMPLES) & (not plan.stays)
        step, spent, had = step + ends, np.where(ends, 0, spent), np.where(ends, 0, had)
        length = np.where((step >= len(plan.steps)) & (length == plan.looks), look + 1, length)
        if (length <= look).all():
            break
    for each in range(number):
        metrics = [list(_looks(metric, each, int(length[each]), plan.look)) for metric in seen]
        known = [[Counts(float(m[each]), float(j[each])) for _, _, m, j in metric] for metric in usual]
        ended.append(_judged(metrics, known, plan))
        if not each:
            _agrees(metrics, known, plan, ended[0])
    return ended


def _agrees(metrics: Sequence[Sequence[Look]], usual: Usual, plan: Plan, ended: Ended) -> None:
    """All that the judge is asked in a rollout says no other than the evidence of its last look."""
    rule = Rule(tolerance=plan.tolerance)
    compared = [
        Compared(name="", looks=looks, rule=rule, usual=known) for looks, known in zip(metrics, usual, strict=True)
    ]
    assert (judge(compared).outcome is Outcome.WORSE) == (ended.found is not None)


def _looks(seen: Sequence[Sequence[np.ndarray]], number: int, length: int, seconds: float) -> Iterator[Look]:
    for n, k, m, j in seen[:length]:
        yield Look(Counts(float(n[number]), float(k[number])), Counts(float(m[number]), float(j[number])), seconds)


def _judged(metrics: Sequence[Sequence[Look]], usual: Usual, plan: Plan) -> Ended:
    """A rollback, by Holm's method, is when the first of the metrics is clear for all of them."""
    level = FALSE_ROLLBACK / len(metrics)
    since = [worse(looks, plan.tolerance, known).since(level) for looks, known in zip(metrics, usual, strict=True)]
    first = min((each for each in since if each is not None), default=None)
    looks = metrics[0]
    until = looks if first is None else looks[: first + 1]
    return Ended(
        found=None if first is None else (first + 1) * plan.look,
        requests=sum(look.canary.requests for look in until),
        bad=sum(look.canary.bad for look in until),
        seconds=len(until) * plan.look,
    )


def _on_evidence(world: World, plan: Plan) -> Ended:
    """A rollout whose steps end once the canary is surely no worse, each after one look at least, or by the clock."""
    usual = [
        Counts(float(m[0]), float(j[0]))
        for _, _, m, j in (world.look(np.zeros(1), plan.look) for _ in range(plan.before))
    ]
    looks: list[Look] = []
    step, spent, had, enough = 0, 0.0, 0.0, -log(FALSE_ROLLBACK)
    while step < len(plan.steps) and len(looks) < plan.looks:
        counts = world.look(np.array([plan.steps[step]]), plan.look)
        looks += _looks([counts], 0, 1, plan.look)
        spent, had = spent + plan.look, had + looks[-1].canary.requests
        if had >= MIN_SAMPLES and (spent >= STEP or max(no_worse(looks, plan.margin, usual).trail) >= enough):
            step, spent, had = step + 1, 0.0, 0.0
    return _judged([looks], [usual], plan)
