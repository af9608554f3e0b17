"""What one CanaryFleet says that can't work, found without looking at anything else."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

from pydantic.alias_generators import to_camel

from canary.api import bounds, fleet_traffic, rules, strict
from canary.api.addresses import is_web_address
from canary.api.canary import Canary, parse_canary
from canary.api.durations import duration_text
from canary.api.fleet import CanaryFleet, OnFleetFailure, Wave, WaveGate
from canary.api.fleet_traffic import WHOLE, Strategy
from canary.api.labels import LabelSelector, Operator
from canary.api.meta import API_VERSION, JsonObject
from canary.api.problems import InvalidResource, Problem, together

GATE: Final = "fleet"
"""Name of the webhook by which a member's rollouts wait for their wave."""

_WAVES: Final = "spec.waves"
_TEMPLATE: Final = "spec.template"
_JOINT: Final = "spec.jointVerdict"


def problems(fleet: CanaryFleet) -> tuple[Problem, ...]:
    """Everything in the spec that can't work."""
    found = (
        *_release(fleet),
        *_selector(fleet.spec.members.selector, "spec.members.selector"),
        *_waves(fleet.spec.waves),
        *_traffic(fleet),
        *of_template(fleet),
    )
    named = {each.field for each in found}
    beyond = bounds.of_model(fleet.spec, "spec")
    return (*found, *(each for each in beyond if each.field not in named))


def unheeded(fleet: CanaryFleet) -> Iterator[Problem]:
    """What counts for nothing where nothing is written into members; no reason to refuse a fleet that watches so."""
    for index, wave in enumerate(fleet.spec.waves if fleet.watches else ()):
        for name in ("soak", "gates", "max_parallel"):
            if getattr(wave, name):
                message = "holds nothing up with mode: watch, in which members roll out by themselves"
                yield Problem(f"{_WAVES}[{index}].{to_camel(name)}", message, "take it out, or write mode: manage")


def canary_in(fleet: CanaryFleet) -> JsonObject:
    """The Canary of the template, as its author wrote it, in its namespace."""
    metadata = fleet.spec.template.metadata.to_json()
    metadata["namespace"] = fleet.spec.template.metadata.namespace or fleet.namespace or "default"
    spec = dict(fleet.spec.template.spec)
    return {"apiVersion": API_VERSION, "kind": "Canary", "metadata": metadata, "spec": spec}


def of_template(fleet: CanaryFleet) -> tuple[Problem, ...]:
    """What is wrong with the Canary of the template."""
    raw = canary_in(fleet)
    refused = tuple(strict.problems(raw))
    try:
        canary = parse_canary(raw)
    except InvalidResource as error:
        return tuple(map(_in_template, together(refused, error.problems)))
    found = rules.problems(canary, canary.spec.provider or "kubernetes") if canary.spec.provider else ()
    return (
        *map(_in_template, together(refused, found)),
        *_of_gate(fleet, canary),
        *_way_back(fleet, canary),
        *_joint(fleet, canary),
    )


def _in_template(problem: Problem) -> Problem:
    return Problem(f"{_TEMPLATE}.{problem.field}", problem.message, problem.remedy)


def _release(fleet: CanaryFleet) -> Iterator[Problem]:
    if not fleet.spec.release:
        yield Problem("spec.release", "is empty", "write the name of the release, such as v1.4.2")
    for name, image in fleet.spec.images.items():
        if not image:
            yield Problem(f"spec.images.{name}", "is empty", "write the image of the container, or take it out")


def _of_gate(fleet: CanaryFleet, canary: Canary) -> Iterator[Problem]:
    for index, hook in enumerate(canary.analysis.webhooks):
        if hook.name == GATE and not fleet.watches:
            field = f"{_TEMPLATE}.{canary.analysis_field}.webhooks[{index}].name"
            yield Problem(field, f"{GATE} is the name of the gate that opens with a member's wave", "write another one")


def _way_back(fleet: CanaryFleet, canary: Canary) -> Iterator[Problem]:
    """A promoted version can be taken back for as long as its bake lasts."""
    if fleet.watches or fleet.spec.on_failure is OnFleetFailure.HOLD:
        return
    where, what = f"{_TEMPLATE}.{canary.analysis_field}.bake", fleet.spec.on_failure.value
    bake, soaks = canary.analysis.bake, sum((each.soak for each in fleet.spec.waves), timedelta(0))
    if canary.skip_analysis or bake is None:
        message = f"is missing, and onFailure {what} brings a promoted member back only while it bakes"
        yield Problem(where, message, "set it to as long as the release takes, such as 24h, or onFailure: hold")
    elif fleet.spec.on_failure is OnFleetFailure.ROLLBACK_ALL and bake < soaks:
        message = f"{duration_text(bake)} ends before the soaks of all waves ({duration_text(soaks)})"
        yield Problem(where, message, "write one that is as long as the release takes")


def _joint(fleet: CanaryFleet, canary: Canary) -> Iterator[Problem]:
    """What members have compared is put together: there must be something to compare, and one process a rollout."""
    if fleet.spec.joint_verdict is None:
        return
    promised, analysis = fleet.spec.joint_verdict.false_rollback, canary.analysis
    if not 0.01 <= promised <= 50:
        yield Problem(f"{_JOINT}.falseRollback", f"{promised:g} % is no promise", "write 0.01 to 50")
    if canary.skip_analysis or all(analysis.metrics[index].dry_run for index in analysis.comparisons):
        message = "no metric of the template is compared, so that members have nothing to be put together"
        where = f"{_TEMPLATE}.{canary.analysis_field}.metrics"
        yield Problem(_JOINT, message, f"set compareTo: primary in one of {where}, or take it out")
    elif canary.in_place:
        message = f"each step of a {canary.spec.target_ref.kind} is judged by itself, and can't be put together"
        yield Problem(_JOINT, message, "take it out")


def _waves(waves: tuple[Wave, ...]) -> Iterator[Problem]:
    if not waves:
        yield Problem(_WAVES, "is empty", "write one at least, such as [{name: all}]")
    names: set[str] = set()
    for index, wave in enumerate(waves):
        where = f"{_WAVES}[{index}]"
        if wave.name in names:
            yield Problem(f"{where}.name", f"another wave is called {wave.name}", "give each its own name")
        names.add(wave.name)
        yield from _wave(wave, where, last=index == len(waves) - 1)


def _wave(wave: Wave, where: str, *, last: bool) -> Iterator[Problem]:
    if wave.count is not None and wave.percent is not None:
        yield Problem(f"{where}.percent", "does not go with count", "keep one of the two")
    chosen = [name for name in ("count", "percent") if getattr(wave, name) is not None]
    chosen += ["selector"] if wave.selector != LabelSelector() else []
    if last and chosen:
        message = "is of the last wave, which has all members that are left"
        yield Problem(f"{where}.{chosen[0]}", message, "take it out, or add a wave behind it")
    yield from _selector(wave.selector, f"{where}.selector")
    yield from _gates(wave, where)


def _traffic(fleet: CanaryFleet) -> Iterator[Problem]:
    """What routes are to say, and the waves that shift requests by them."""
    if fleet.spec.traffic is not None:
        yield from fleet_traffic.problems(fleet.spec.traffic)
    for index, wave in enumerate(fleet.spec.waves):
        where = f"{_WAVES}[{index}]"
        if wave.strategy is Strategy.CLUSTER:
            yield from _by_cluster(fleet, wave, where)
        elif stray := next((each for each in ("step_weights", "step_interval") if each in wave.model_fields_set), ""):
            message = "is of waves that shift requests between clusters"
            yield Problem(f"{where}.{to_camel(stray)}", message, "take it out, or write strategy: cluster")


def _by_cluster(fleet: CanaryFleet, wave: Wave, where: str) -> Iterator[Problem]:
    if fleet.watches:
        yield Problem(f"{where}.strategy", "cluster does not go with mode: watch", "take one of the two out")
    elif fleet.spec.traffic is None:
        message = "cluster shifts requests by routes, and none is named"
        yield Problem(f"{where}.strategy", message, "write spec.traffic, or take it out")
    for index, (before, step) in enumerate(pairwise((0, *wave.step_weights))):
        field = f"{where}.stepWeights[{index}]"
        if not 0 < step < WHOLE:
            yield Problem(field, f"{step} is no part of a share", f"write 1 to {WHOLE - 1} percent")
        elif step <= before:
            yield Problem(field, f"{step} is no more than {before}, the step before", "have each be more")


def _gates(wave: Wave, where: str) -> Iterator[Problem]:
    names: set[str] = set()
    for index, gate in enumerate(wave.gates):
        if gate.name in names:
            yield Problem(f"{where}.gates[{index}].name", f"another gate is called {gate.name}", "give it another name")
        names.add(gate.name)
        yield from _answers(gate, f"{where}.gates[{index}]")
        if gate.url and not is_web_address(gate.url):
            remedy = "write one such as https://gates.example.com/release"
            yield Problem(f"{where}.gates[{index}].url", f"{gate.url!r} is no address", remedy)


def _answers(gate: WaveGate, where: str) -> Iterator[Problem]:
    if len(gate.answers) > 1:
        named = " and ".join(map(to_camel, gate.answers))
        yield Problem(where, f"{named} would both answer", "keep one of them, or write two gates")
    if gate.flux is not None and bool(gate.flux.kustomization) == bool(gate.flux.helm_release):
        yield Problem(f"{where}.flux", "names one object", "set either kustomization or helmRelease")


def _selector(selector: LabelSelector, where: str) -> Iterator[Problem]:
    for index, each in enumerate(selector.match_expressions):
        field, listed = f"{where}.matchExpressions[{index}].values", each.operator in (Operator.IN, Operator.NOT_IN)
        if listed and not each.values:
            yield Problem(field, f"is empty, with operator {each.operator.value}", "write one value at least")
        if not listed and each.values:
            yield Problem(field, f"does not go with operator {each.operator.value}", "take it out")
