"""A Rollout, as a Canary, its Deployment and its MetricTemplates."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from canary.api.durations import parse_duration
from canary.api.meta import API_VERSION
from canary.api.steps import MAX_LOOKS
from canary.api.traffic import SERVICE_LABEL
from canary.cli.convert import own_routes, steps
from canary.cli.convert.chosen import Chosen
from canary.cli.convert.fields import Part, Source
from canary.cli.convert.measures import Measures
from canary.cli.convert.own_routes import ASKING, Own, own_route
from canary.cli.convert.routing import routed
from canary.cli.rehearse.plausible import is_plausible
from canary.kube.types import CANARY, DEPLOYMENT, SERVICE, Json, items, mapping
from canary.workloads.ports import TCP, container_ports

_THRESHOLD: Final = 1
"""Failed checks: each metric counts its own, as there."""

_SPEC: Final = {
    "rollbackWindow": "every version is analysed; see canary promote",
    "restartAt": "restart the pods by kubectl rollout restart, which is a rollout, too",
    "analysis": "the status keeps the last ten rollouts",
}
_OF_STRATEGY: Final = {
    "antiAffinity": "write it into the pod template",
    "canaryMetadata": "the pods of the two versions differ by a label alone",
    "stableMetadata": "the pods of the two versions differ by a label alone",
    "activeMetadata": "the pods of the two versions differ by a label alone",
    "previewMetadata": "the pods of the two versions differ by a label alone",
    "scaleDownDelaySeconds": "pods stay for as long as the gateway may need them; see --traffic-settle-time",
    "abortScaleDownDelaySeconds": "pods stay for as long as the gateway may need them; see --traffic-settle-time",
    "scaleDownDelayRevisionLimit": "there are two versions, and no more",
    "dynamicStableScale": "the primary keeps its pods, so that it can take everything back at any time",
    "minPodsPerReplicaSet": "the canary has the pods of its target, or of its autoscaler",
    "pingPong": "the Services stay what they are",
    "replicaProgressThreshold": "see analysis.canaryReadyThreshold",
    "previewReplicaCount": "the canary has the pods of its target, or of its autoscaler",
}


def convert(rollout: Source, templates: Sequence[Source], beside: Sequence[Json]) -> list[Json]:
    """What takes a Rollout's place; what has no counterpart is noted at the objects.

    Args:
        rollout: the Rollout.
        templates: the AnalysisTemplates of all files.
        beside: the objects of all files.
    """
    spec, measures = rollout.spec, Measures(rollout, templates)
    spec.all_lost(_SPEC)
    if spec.take("progressDeadlineAbort") is False:
        spec.differs("progressDeadlineAbort", "a version that is not ready in time is taken back in any case")
    target, deployment = _target(spec)
    made: Json = {"targetRef": target}
    deadline = spec.number("progressDeadlineSeconds")
    if deadline:
        made["progressDeadlineSeconds"] = deadline
    if spec.take("paused") is True:
        made["suspend"] = True
    strategy = spec.part("strategy")
    template = _template(deployment)
    if "blueGreen" in strategy:
        _blue_green(strategy.part("blueGreen"), made, measures, beside, template)
    else:
        _canary(strategy.part("canary"), made, measures, beside, deployment)
    rollout.tell_what_is_left()
    order = ("provider", "targetRef", "ingressRef", "routeRef", "routeRefs", "suspend", "progressDeadlineSeconds")
    ordered = {name: made[name] for name in (*order, "service", "analysis") if name in made}
    canary = _object(API_VERSION, CANARY.kind, rollout, rollout.name, ordered)
    return [*([deployment] if deployment else []), *measures.made.values(), canary]


def _template(deployment: Json) -> Json:
    """The pod template, as far as it can be read: no API server has looked at it."""
    return mapping(mapping(deployment.get("spec")).get("template")) if is_plausible(deployment) else {}


def _object(api_version: str, kind: str, rollout: Source, name: str, spec: Json) -> Json:
    metadata = {"name": name} | ({"namespace": rollout.namespace} if rollout.namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _target(spec: Part) -> tuple[Json, Json]:
    """What is rolled out, and the Deployment to be made for it; empty where one is named."""
    rollout = spec.source
    ref = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": rollout.name}
    named = spec.part("workloadRef")
    if named:
        ref["name"] = named.text("name")
        if (kind := named.text("kind")) != DEPLOYMENT.kind:
            named.lost("kind", f"a {kind} is no target; write a Deployment")
        named.take("apiVersion")
        named.differs("scaleDown", "the controller scales it: to no pods between rollouts")
        for each in ("minReadySeconds", "replicas", "revisionHistoryLimit"):
            spec.lost(each, f"write it into Deployment {ref['name']}")
        return ref, {}
    fields: Json = {"replicas": spec.take("replicas")} if "replicas" in spec else {}
    fields |= {name: spec.take(name) for name in ("minReadySeconds", "revisionHistoryLimit") if name in spec}
    if "progressDeadlineSeconds" in spec:
        fields["progressDeadlineSeconds"] = spec.value["progressDeadlineSeconds"]
    fields |= {"selector": spec.mapping("selector"), "template": spec.mapping("template")}
    made = _object(DEPLOYMENT.api_version, DEPLOYMENT.kind, rollout, rollout.name, fields)
    if labels := mapping(rollout.metadata.get("labels")):
        made["metadata"]["labels"] = labels
    return ref, made


def _canary(part: Part, made: Json, measures: Measures, beside: Sequence[Json], deployment: Json) -> None:
    template = _template(deployment)
    stable, canary = part.text("stableService"), part.text("canaryService")
    routing = part.part("trafficRouting")
    root = next(
        (
            str(each["rootService"])
            for each in routing.value.values()
            if isinstance(each, dict) and each.get("rootService")
        ),
        "",
    )
    made["service"] = _service(part, made["targetRef"]["name"], root or stable, beside, template)
    name = str(made["service"].get("name") or made["targetRef"]["name"])
    before = f"{stable or 'the stable Service'} and {canary or 'the canary Service'}"
    rename = f"name {name} and {name}-canary in place of {before}"
    _tell_of_services(part, {"stableService": name, "canaryService": f"{name}-canary"})
    chosen = Chosen(own_route(part, beside))
    if _chooses(part) and isinstance(chosen.own, Own):
        own_routes.take(routing, name)
        made["provider"] = chosen.own.provider
        made["service"] |= chosen.own.service
    else:
        made |= routed(routing, rename) or {"provider": "kubernetes"}
    found = steps.read(part, chosen, scaled=made["provider"] != "kubernetes")
    analysis: Json = found.analysis() | {"threshold": _THRESHOLD}
    if made["provider"] == "kubernetes":
        analysis["replicaRatio"] = True
        _share_one_service(part, deployment, name)
    _rolling(part, deployment)
    for each, step in found.analyses:
        _of_step(each, step, measures)
    _background(part, found, measures)
    part.all_lost(_OF_STRATEGY)
    made["analysis"] = _with(analysis, measures, [], found.last)


def _chooses(part: Part) -> bool:
    """Whether a step needs a route of the controller's own."""
    found = part.value.get("steps")
    return isinstance(found, list) and any(name in each for each in found if isinstance(each, dict) for name in ASKING)


def _of_step(analysis: Part, step: Json, measures: Measures) -> None:
    """An analysis of one step: its metrics are looked at there alone, as often as they are measured."""
    before = len(measures.counts)
    step["checks"] = [each["name"] for each in measures.add(analysis)]
    looks = max(measures.counts[before:], default=1)
    if looks > 1:
        step["looks"] = min(looks, MAX_LOOKS)


def _share_one_service(part: Part, deployment: Json, name: str) -> None:
    """The label by which one Service leads to both versions."""
    labels = mapping(mapping(mapping(deployment.get("spec")).get("template")).get("metadata"))
    if labels:
        labels["labels"] = {**mapping(labels.get("labels")), SERVICE_LABEL: name}
        told = f"weights are those of pods; the label {SERVICE_LABEL} is added to them"
    else:
        told = f"weights are those of pods; add the label {SERVICE_LABEL}: {name} to the template of the Deployment"
    part.source.note(part.path, told, lost=False)


def _rolling(part: Part, deployment: Json) -> None:
    """How the pods of one version take the place of another's."""
    rolling = {name: part.take(name) for name in ("maxSurge", "maxUnavailable") if name in part}
    if rolling and deployment:
        deployment["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    elif rolling:
        for name in rolling:
            part.lost(name, "write it into spec.strategy of the Deployment")


def _background(part: Part, found: steps.Steps, measures: Measures) -> None:
    """The analysis beside all steps, from one of them on."""
    if "analysis" not in part:
        return
    analysis = part.part("analysis")
    start = analysis.number("startingStep") or 0
    delay = found.before(start)
    for metric in measures.add(analysis):
        known = parse_duration(metric["initialDelay"]) if "initialDelay" in metric else timedelta(0)
        if known + delay:
            metric["initialDelay"] = steps.written(known + delay)


def _blue_green(part: Part, made: Json, measures: Measures, beside: Sequence[Json], template: Json) -> None:
    made["provider"] = "kubernetes"
    made["service"] = _service(part, made["targetRef"]["name"], part.text("activeService"), beside, template)
    name = str(made["service"].get("name") or made["targetRef"]["name"])
    _tell_of_services(part, {"previewService": f"{name}-canary"})
    measures.add(part.part("prePromotionAnalysis"))
    before = len(measures.metrics)
    intervals = [parse_duration(each["interval"]) for each in measures.metrics]
    interval = max(intervals, default=timedelta(seconds=30))
    seconds = part.number("autoPromotionSeconds") or 0
    count = max([*measures.counts, math.ceil(seconds / interval.total_seconds()), 1])
    analysis: Json = {
        "interval": steps.written(interval),
        "threshold": _THRESHOLD,
        "iterations": min(count, 10_000),
    }
    if "postPromotionAnalysis" in part:
        _bake(part, analysis, measures, interval, before)
    hooks = []
    if part.take("autoPromotionEnabled") is False:
        hooks.append(steps.gate("confirm-promotion"))
        told = f"a webhook asks {steps.GATE}, which is a guess; canary promote does without"
        part.differs("autoPromotionEnabled", told)
    part.lost("maxUnavailable", "write it into spec.strategy of the Deployment")
    part.all_lost(_OF_STRATEGY)
    made["analysis"] = _with(analysis, measures, hooks, interval * (analysis["iterations"] - 1))


def _bake(part: Part, analysis: Json, measures: Measures, interval: timedelta, before: int) -> None:
    """The checks after the promotion."""
    found = measures.counts[:]
    measures.counts.clear()
    measures.add(part.part("postPromotionAnalysis"))
    looks = max([*measures.counts, 1])
    measures.counts[:0] = found
    analysis["bake"] = steps.written(interval * min(looks, 1000))
    told = "the same metrics are looked at before the promotion and after it"
    part.differs("postPromotionAnalysis", told if before else f"{told}; see analysis.bake")


def _with(analysis: Json, measures: Measures, hooks: list[Json], last: timedelta) -> Json:
    """The analysis with its metrics and hooks; a delay that is longer than all steps would be refused."""
    for each in measures.metrics:
        if "initialDelay" in each and parse_duration(each["initialDelay"]) > last:
            told = f"initialDelay {each['initialDelay']} of {each['name']} is longer than the steps are; it is left out"
            measures.rollout.note("spec.strategy", told, lost=True)
            del each["initialDelay"]
    analysis |= {"metrics": measures.metrics} if measures.metrics else {}
    return analysis | ({"webhooks": hooks} if hooks else {})


def _tell_of_services(part: Part, names: Json) -> None:
    for field, name in names.items():
        if field in part and part.text(field) != name:
            part.differs(field, f"the controller makes Service {name}")


def _service(part: Part, target: str, named: str, beside: Sequence[Json], template: Json) -> Json:
    """`spec.service`: the Service that users call, with the ports that it has in the files."""
    services = [each for each in beside if each.get("kind") == SERVICE.kind]
    known = {str(mapping(each.get("metadata")).get("name")): each for each in services}
    name = named or next((name for name, each in known.items() if _selects(each, template)), target)
    made: Json = {} if name == target else {"name": name}
    ports = items(mapping(mapping(known.get(name)).get("spec")).get("ports"))
    ports = [
        each for each in ports if each.get("protocol", TCP) == TCP and type(each.get("port")) is int and each["port"]
    ]
    if not ports:
        declared = [each for each in container_ports(template) if each.protocol == TCP]
        port = declared[0].number if declared else 80
        told = f"Service {name} is in none of the files; port {port} is a guess"
        part.source.note(part.path, told, lost=False)
        return made | {"port": port}
    first, *further = [_port(each) for each in ports]
    called = first.pop("name", "http")
    made |= {"port": first.pop("port"), **({} if called == "http" else {"portName": called}), **first}
    return made | ({"ports": further} if further else {})


def _selects(service: Json, template: Json) -> bool:
    selector = mapping(mapping(service.get("spec")).get("selector"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _port(port: Json) -> Json:
    made = {name: port[name] for name in ("name", "port") if port.get(name)}
    if port.get("targetPort") not in (None, port["port"]):
        made["targetPort"] = port["targetPort"]
    return made | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})
