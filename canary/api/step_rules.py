"""What can't work of steps that are written out, found in the spec alone."""

from collections.abc import Iterator
from datetime import timedelta

from canary.api.analysis import Advance, Analysis, CompareTo, HookType
from canary.api.canary import Canary
from canary.api.durations import duration_text
from canary.api.problems import Problem
from canary.api.steps import KINDS, MAX_STEPS, SETTINGS, AnalysisStep, Experiment, Scale
from canary.api.traffic import TOTAL_WEIGHT


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Everything in `analysis.steps` that can't be, with what the rest of the spec says."""
    analysis, field = canary.analysis, canary.analysis_field
    if not analysis.steps:
        return
    if canary.in_place:
        kind = canary.spec.target_ref.kind
        message = f"the pods of a {kind} are replaced one after the other, which stepWeight says"
        yield Problem(f"{field}.steps", message, "take it out, or set stepWeight (such as 10) in its place")
        return
    if len(analysis.steps) > MAX_STEPS:
        yield Problem(f"{field}.steps", f"has {len(analysis.steps)} steps", f"write {MAX_STEPS} at most")
    yield from _beside(field, analysis)
    for index, step in enumerate(analysis.steps):
        yield from _step(f"{field}.steps[{index}]", step, canary)
    yield from _in_order(field, analysis)


def _beside(field: str, analysis: Analysis) -> Iterator[Problem]:
    """What other fields say of the same."""
    others = {
        "stepWeight": (analysis.step_weight, "write weight steps in its place"),
        "stepWeights": (analysis.step_weights, "write weight steps in its place"),
        "maxWeight": (analysis.max_weight, "end with the weight that is meant"),
        "iterations": (analysis.iterations, "write a step analysis, with looks, in its place"),
        "match": (analysis.match, "write a step header in its place"),
        "alwaysMatch": (analysis.always_match, "write a step header in its place"),
        "mirror": (analysis.mirror, "write a step mirror in its place"),
        "mirrorWeight": (analysis.mirror_weight, "write a step mirror, with weight, in its place"),
    }
    for name, (value, remedy) in others.items():
        if value:
            yield Problem(f"{field}.{name}", "has no effect beside steps, which say it", f"take it out; {remedy}")
    if analysis.advance is Advance.EVIDENCE:
        message = "steps say themselves how long each lasts"
        yield Problem(f"{field}.advance", message, "take it out, or set stepWeight in place of steps")
    chosen = any(each.header is not None or each.mirror is not None for each in analysis.steps)
    if analysis.session_affinity is not None and chosen:
        message = "keeps users on a version by weight alone, and a step says header or mirror"
        yield Problem(f"{field}.sessionAffinity", message, "take it out, or the steps header and mirror")


def _step(where: str, step: AnalysisStep, canary: Canary) -> Iterator[Problem]:
    kinds = step.kinds
    if len(kinds) != 1:
        said = f"says {' and '.join(kinds)}" if kinds else "says nothing"
        yield Problem(where, f"{said}; a step is one thing", f"write exactly one of {', '.join(KINDS)}")
        return
    mirrored = step.mirror.weight if step.mirror is not None else None
    for name, share in (("weight", step.weight), ("mirror.weight", mirrored)):
        if share is not None and not 0 <= share <= TOTAL_WEIGHT:
            yield Problem(f"{where}.{name}", f"{share} is no percentage", f"write 0 to {TOTAL_WEIGHT}")
    if step.pause is not None and step.pause.duration is not None and step.pause.duration <= timedelta(0):
        text = duration_text(step.pause.duration)
        remedy = "write a duration such as 10m, or {} to wait for a person"
        yield Problem(f"{where}.pause.duration", f"{text} is no pause", remedy)
    if step.scale is not None:
        yield from _scale(f"{where}.scale", step.scale, canary)
    if step.analysis is not None:
        yield from _checks(f"{where}.analysis.checks", step.analysis.checks, canary.analysis)
    if step.experiment is not None:
        yield from _experiment(f"{where}.experiment", step.experiment, canary.analysis)
    if step.gate is not None:
        yield from _gate(f"{where}.gate.name", step.gate.name, canary.analysis)


def _scale(where: str, scale: Scale, canary: Canary) -> Iterator[Problem]:
    said = [
        name
        for name, is_set in (
            ("replicas", scale.replicas is not None),
            ("weight", scale.weight is not None),
            ("matchTraffic", scale.match_traffic),
        )
        if is_set
    ]
    if len(said) != 1:
        words = f"says {' and '.join(said)}" if said else "says nothing of how many pods"
        yield Problem(where, words, "write exactly one of replicas, weight and matchTraffic")
    if scale.weight is not None and not 0 <= scale.weight <= TOTAL_WEIGHT:
        yield Problem(f"{where}.weight", f"{scale.weight} is no percentage", f"write 0 to {TOTAL_WEIGHT}")
    if canary.spec.target_ref.kind != "Deployment":
        message = f"the number of pods of a {canary.spec.target_ref.kind} is not the controller's to say"
        yield Problem(where, message, "take the step out, or roll out a Deployment")
    elif canary.spec.autoscaler_ref is not None:
        message = "the number of the canary's pods is its autoscaler's to say"
        yield Problem(where, message, "take the step out, or autoscalerRef")
    elif canary.analysis.replica_ratio:
        message = "with replicaRatio requests are divided by the numbers of pods, which follow from each weight"
        yield Problem(where, message, "take the step out, or replicaRatio")


def _checks(where: str, names: tuple[str, ...], analysis: Analysis) -> Iterator[Problem]:
    hooks = (each.name for each in analysis.webhooks if each.type is HookType.ROLLOUT)
    known = sorted({*(each.name for each in analysis.metrics), *(each.name for each in analysis.conditions), *hooks})
    for index, name in enumerate(names):
        if name not in known:
            message = f"there is no metric, condition or rollout webhook {name!r}"
            remedy = f"write one of {', '.join(known)}" if known else "add a metric of that name to analysis.metrics"
            yield Problem(f"{where}[{index}]", message, remedy)


def _experiment(where: str, step: Experiment, analysis: Analysis) -> Iterator[Problem]:
    if step.duration <= timedelta(0):
        yield Problem(f"{where}.duration", f"{duration_text(step.duration)} is no time", "write one such as 10m")
    yield from _checks(f"{where}.checks", step.checks, analysis)
    compared = [each.name for each in analysis.metrics if each.compare_to is CompareTo.BASELINE]
    if not {*step.checks} & {*compared}:
        message = "none of them compares the canary with the baseline that stands beside it"
        remedy = f"add {compared[0]}" if compared else "set compareTo: baseline of one of these metrics"
        yield Problem(f"{where}.checks", message, f"{remedy}, or write a step analysis in its place")


def _gate(where: str, name: str, analysis: Analysis) -> Iterator[Problem]:
    gates = [each.name for each in analysis.webhooks if each.type is HookType.CONFIRM_TRAFFIC_INCREASE]
    if name not in gates:
        message = f"there is no webhook {name!r} of the type confirm-traffic-increase"
        yield Problem(where, message, f"write one of {', '.join(gates)}" if gates else "add one to analysis.webhooks")


def _in_order(field: str, analysis: Analysis) -> Iterator[Problem]:
    """What needs other steps before it, or none."""
    weight, led = 0, False
    for index, step in enumerate(analysis.steps):
        weight = step.weight if step.weight is not None else weight
        if step.mirror is not None and step.mirror.weight and weight:
            message = "requests are copied to a canary that answers none, and it has some by then"
            yield Problem(f"{field}.steps[{index}].mirror", message, "write it before the first weight")
        if step.header is not None and step.header.match and analysis.replica_ratio:
            message = "with replicaRatio there is no route that could choose requests"
            yield Problem(f"{field}.steps[{index}].header", message, "take the step out, or choose another provider")
        if step.experiment is not None and not 0 < weight < TOTAL_WEIGHT:
            message = f"canary and baseline get as much each, and the canary has {weight} % of the requests by then"
            remedy = "write a weight before it, such as {weight: 5}"
            yield Problem(f"{field}.steps[{index}].experiment", message, remedy)
        led = led or bool(weight) or step.kind in SETTINGS[2:]
    if not led and not any(step.analysis is not None for step in analysis.steps):
        message = "lead no request to the canary, and look at no check, so that every version would pass"
        yield Problem(f"{field}.steps", message, "add a step such as {weight: 10}, or analysis with checks")
