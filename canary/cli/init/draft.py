"""A first spec for a workload, from what there is around it: a pure function of that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from canary.api.canary import parse_canary
from canary.api.meta import API_VERSION
from canary.api.problems import Problem
from canary.cli.init.routes import Way, ways
from canary.cli.init.surroundings import Surroundings
from canary.cli.rehearse.refusals import problems_of
from canary.cli.rehearse.stream import Neighbours, Stream
from canary.kube.types import (
    CANARY,
    GATEWAY,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    items,
    mapping,
    name_of,
)
from canary.routers.registry import router_of
from canary.workloads.ports import TCP, container_ports

_WEIGHTED: Final = {
    "interval": "1m",
    "threshold": 5,
    "stepWeight": 10,
    "maxWeight": 50,
    "metrics": [
        {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
    ],
}
_UNWEIGHTED: Final = {"interval": "1m", "threshold": 5, "iterations": 5}
_DEADLINE: Final = 600
"""Seconds: the Deployment's and the Canary's where nothing is said."""

_IN_CLUSTER: Final = "the cluster"


@dataclass(slots=True)
class Draft:
    """A first spec.

    Args:
        canary: the object.
        found: what it rests on.
        guessed: what nobody has said.
        todo: what is left to do, in this order.
        problems: what the controller would say of it.
    """

    canary: Json = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()


def draft(seen: Surroundings) -> Draft:
    """Draft a spec for a workload that runs."""
    made = Draft()
    services = list(seen.services())
    service = _service(seen, services)
    name = name_of(service) if service is not None else seen.name
    found = [*ways(seen, name)]
    way = found[0] if found else Way("kubernetes", {}, ())
    spec: Json = {
        "provider": way.provider,
        "targetRef": _reference(seen.resource.api_version, seen.resource.kind, seen),
    }
    spec |= _autoscaler(seen, made) | way.spec | _deadline(seen, made)
    spec["service"] = _ports(seen, service, made)
    spec["analysis"] = _analysis(way, made)
    made.found[:0] = [*_of_services(services, service), *way.found]
    made.canary = {
        "apiVersion": API_VERSION,
        "kind": CANARY.kind,
        "metadata": {"name": seen.name, "namespace": seen.namespace},
        "spec": spec,
    }
    _tell_of_routes(seen, found, made)
    if seen.unread:
        kinds = ", ".join(each.plural for each in seen.unread)
        made.guessed.append(f"that there are no {kinds} that matter: they may not be read with these credentials")
    _tell_what_is_left(seen, way, name, made)
    made.problems = _problems(seen, made.canary)
    return made


def _reference(api_version: str, kind: str, seen: Surroundings) -> Json:
    return {"apiVersion": api_version, "kind": kind, "name": seen.name}


def _service(seen: Surroundings, services: Sequence[Json]) -> Json | None:
    """The Service that users call: one that a route leads to, else the one of the workload's name, else any."""
    routed = (each for each in services if next(ways(seen, name_of(each)), None) is not None)
    named = (each for each in services if name_of(each) == seen.name)
    return next(routed, None) or next(named, None) or next(iter(services), None)


def _of_services(services: Sequence[Json], service: Json | None) -> Iterator[str]:
    if service is not None:
        yield f"Service {name_of(service)} leads to its pods"
    for each in services:
        if each is not service:
            yield f"Service {name_of(each)} leads to its pods, too: see below"


def _autoscaler(seen: Surroundings, made: Draft) -> Json:
    """What scales the workload; KEDA's object and not the HorizontalPodAutoscaler that KEDA makes of it."""
    for kind, field_ in ((SCALED_OBJECT, "scaleTargetRef"), (HORIZONTAL_POD_AUTOSCALER, "scaleTargetRef")):
        for each in seen.of(kind):
            ref = mapping(mapping(each.get("spec")).get(field_))
            if ref.get("name") == seen.name and ref.get("kind", "Deployment") == seen.resource.kind:
                made.found.append(f"{kind.kind} {name_of(each)} scales it; the primary gets one of its own")
                return {
                    "autoscalerRef": {"apiVersion": kind.api_version, "kind": kind.kind, "name": name_of(each)},
                }
    return {}


def _deadline(seen: Surroundings, made: Draft) -> Json:
    seconds = mapping(seen.target.get("spec")).get("progressDeadlineSeconds")
    if not isinstance(seconds, int) or seconds == _DEADLINE:
        return {}
    made.found.append(f"its progressDeadlineSeconds is {seconds}")
    return {"progressDeadlineSeconds": seconds}


def _ports(seen: Surroundings, service: Json | None, made: Draft) -> Json:
    """`spec.service`, with the ports of the Service that there is, else of the containers."""
    if service is None:
        return _ports_of_containers(seen, made)
    spec = mapping(service.get("spec"))
    ports = [each for each in items(spec.get("ports")) if each.get("protocol", TCP) == TCP]
    if others := [each for each in items(spec.get("ports")) if each not in ports]:
        made.todo.append(
            f"Service {name_of(service)} has ports that are not TCP: {_numbers(others)}; they are left out"
        )
    found: Json = {} if name_of(service) == seen.name else {"name": name_of(service)}
    if not ports:
        return found | _ports_of_containers(seen, made)
    made.found.append(f"ports of Service {name_of(service)}: {_numbers(ports)}")
    first, *further = [_port(each) for each in ports]
    name = first.pop("name", "http")
    found |= {"port": first.pop("port"), **({} if name == "http" else {"portName": name}), **first}
    if further:
        found["ports"] = further
    if spec.get("clusterIP") == "None":
        found["headless"] = True
    if spec.get("trafficDistribution"):
        found["trafficDistribution"] = spec["trafficDistribution"]
    return found


def _port(port: Json) -> Json:
    made = {"name": port.get("name"), "port": port.get("port")}
    if port.get("targetPort") not in (None, port.get("port")):
        made["targetPort"] = port["targetPort"]
    if port.get("appProtocol"):
        made["appProtocol"] = port["appProtocol"]
    return {key: value for key, value in made.items() if value is not None}


def _numbers(ports: Sequence[Json]) -> str:
    return ", ".join(str(each.get("port")) for each in ports)


def _ports_of_containers(seen: Surroundings, made: Draft) -> Json:
    template = mapping(mapping(seen.target.get("spec")).get("template"))
    ports = [each for each in container_ports(template) if each.protocol == TCP]
    if not ports:
        made.guessed.append("port 80: no Service leads to its pods, and its containers declare no port")
        return {"port": 80}
    chosen = next((each for each in ports if each.declared_name == "http"), ports[0])
    made.guessed.append(f"port {chosen.number}: that of a container, as no Service leads to its pods")
    return {"port": chosen.number} | ({"portDiscovery": True} if len(ports) > 1 else {})


def _analysis(way: Way, made: Draft) -> Json:
    if way.provider == "kubernetes":
        made.guessed.append(
            "blue/green, five looks a minute apart: no route was found by which requests can be divided"
        )
        made.guessed.append("nothing is measured yet: add metrics or webhooks to spec.analysis")
        return dict(_UNWEIGHTED)
    made.guessed.append("steps of 10 % up to 50 %, a minute each; five failed checks roll back")
    made.guessed.append("99 % of requests succeed, and 99 % of them are answered in 500 ms")
    return dict(_WEIGHTED)


def _tell_of_routes(seen: Surroundings, found: Sequence[Way], made: Draft) -> None:
    for each in found[1:]:
        made.guessed += [f"{words}: that way stays the promoted version's alone" for words in each.found]
    if not found and (gateways := seen.of(GATEWAY)):
        first = gateways[0]
        place = f"{mapping(first.get('metadata')).get('namespace')}/{name_of(first)}"
        made.found.append(f"Gateway {place}, but no HTTPRoute that leads from it to the workload")


def _tell_what_is_left(seen: Surroundings, way: Way, service: str, made: Draft) -> None:
    for each in seen.services():
        if name_of(each) != service:
            made.todo.append(
                f"Service {name_of(each)} would lead to the new version alone, which has no pods between rollouts:"
                f" have it select the pods of {seen.name}-primary once that is there"
            )
    made.todo.append("apply it, and wait until it is Initialized: canary wait " + f"{seen.name} -n {seen.namespace}")
    made.todo += [f"then, in {words}" for words in way.todo]


def _problems(seen: Surroundings, raw: Json) -> tuple[Problem, ...]:
    """What the controller would say, as far as it is known what there is."""
    canary = parse_canary(raw)
    there = [seen.target | {"apiVersion": seen.resource.api_version, "kind": seen.resource.kind}]
    there += [each for resource, objects in seen.objects.items() if resource != CANARY for each in objects]
    stream = Stream((_IN_CLUSTER, each, True) for each in [*there, raw])
    router = router_of(canary, canary.spec.provider)
    return problems_of(canary, Neighbours(stream, _IN_CLUSTER, canary), canary.spec.provider) if router else ()
