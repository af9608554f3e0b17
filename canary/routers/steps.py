"""Steps that a spec writes out, for traffic providers, which know none: each is said as if the analysis were it alone.

The conditions of a step stand in the route for as long as its split says so: beside a weight as `alwaysMatch` does,
without one as those of an A/B test. So a provider that can do either can do the step, and what it refuses of either it
refuses of the step.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from canary.api.canary import Canary
from canary.api.istio import AnalysisMatch
from canary.api.problems import Problem
from canary.api.steps import AnalysisStep, conditions_of, header_at
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.routers.base import Observed, Provider

_PLAIN: Final = {
    "stepWeights": ("weight", ""),
    "stepWeight": ("weight", ""),
    "alwaysMatch": ("header", ".match"),
    "match": ("header", ".match"),
    "mirrorWeight": ("mirror", ".weight"),
    "mirror": ("mirror", ""),
    "iterations": ("weight", ""),
}
"""Fields of an analysis, the step that says the same, and where in it."""

_UNTIL_WEIGHTS: Final = (
    "write {header: {}} before the first weight, or choose a provider such as gatewayapi:v1 or istio"
)

_REMEDIES: Final = {
    "weight": "take it out, or choose a provider with weights",
    "header": "take it out, or choose a provider that can, such as gatewayapi:v1 or istio",
    "mirror": "take it out, or choose a provider that can, such as gatewayapi:v1 or istio",
}


def led(canary: Canary, split: Split) -> Canary:
    """The Canary as a provider is to read it, to divide requests so."""
    steps = canary.analysis.steps
    if not steps:
        return canary
    conditions = conditions_of(steps, split.header)
    return _with(canary, match=conditions) if split.matched else _with(canary, always=conditions)


def seen(router: Provider, canary: Canary, observed: Observed) -> Split | None:
    """How the objects that are there divide requests, the conditions of steps among them."""
    steps = canary.analysis.steps
    number = header_at(steps, canary.status.iterations) or next(
        (at for at, each in enumerate(steps, 1) if each.header is not None and each.header.match), 0
    )
    if not number:
        return router.split(canary, observed)
    conditions = conditions_of(steps, number)
    beside = router.split(_with(canary, always=conditions), observed)
    if beside is not None and beside.canary and not beside.matched:
        alone = router.split(_with(canary), observed) == beside
        return beside if alone else replace(beside, header=number)
    chosen = router.split(_with(canary, match=conditions), observed)
    return replace(chosen, header=number) if chosen is not None and chosen.matched else chosen or beside


def problems(canary: Canary, router: Provider) -> Iterator[Problem]:
    """What a provider can't do of the steps, each with its own field."""
    steps = canary.analysis.steps
    if not steps or canary.skip_analysis:
        return
    known = {(each.field, each.message) for each in router.problems(canary)}
    told: set[Problem] = set()
    weight = 0
    for number, step in enumerate(steps, 1):
        weight = step.weight if step.weight is not None else weight
        for plain in _plain(canary, number, step, weight):
            for found in router.problems(plain):
                if (found.field, found.message) in known or (said := _said(canary, router, number, found)) in told:
                    continue
                told.add(said)
                yield said


def _plain(canary: Canary, number: int, step: AnalysisStep, weight: int) -> Iterator[Canary]:
    """The Canaries without written steps that do what this one does, each in one respect."""
    if step.kind == "weight" and weight:
        yield _with(canary, weights=(weight,))
        if header := header_at(canary.analysis.steps, number):
            yield _with(canary, always=conditions_of(canary.analysis.steps, header), weights=(weight,))
    elif step.header is not None and step.header.match:
        if weight:
            yield _with(canary, always=step.header.match, weights=(weight,))
        else:
            yield _with(canary, match=step.header.match, iterations=1)
    elif step.mirror is not None and step.mirror.weight:
        yield _with(canary, mirror=step.mirror.weight, iterations=1)


def _said(canary: Canary, router: Provider, number: int, found: Problem) -> Problem:
    """A problem of a plain field, as one of the step that stands for it."""
    field = canary.analysis_field
    name, dot, rest = found.field.removeprefix(f"{field}.").partition("[")
    if not found.field.startswith(f"{field}.") or name not in _PLAIN:
        return found
    kind, within = _PLAIN[name]
    at = header_at(canary.analysis.steps, number) if kind == "header" else number
    where = f"{field}.steps[{at - 1}].{kind}" + (f"{within}{dot}{rest}" if rest and kind == "header" else "")
    remedy = _UNTIL_WEIGHTS if name == "alwaysMatch" and router.match else _REMEDIES[kind]
    return Problem(where, found.message, found.remedy if rest else remedy)


def _with(
    canary: Canary,
    *,
    match: tuple[AnalysisMatch, ...] = (),
    always: tuple[AnalysisMatch, ...] = (),
    weights: tuple[int, ...] = (),
    mirror: int = 0,
    iterations: int = 0,
) -> Canary:
    """The Canary with an analysis that says this in place of steps."""
    analysis = canary.analysis.replace(
        steps=(),
        match=match,
        always_match=always,
        step_weights=weights,
        mirror=mirror > 0,
        mirror_weight=mirror if mirror < TOTAL_WEIGHT else 0,
        iterations=iterations,
    )
    older = canary.spec.analysis is None
    return canary.replace(
        spec=canary.spec.replace(**{"canary_analysis" if older else "analysis": analysis}),
    )
