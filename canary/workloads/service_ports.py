"""The ports of the generated Services, and of those that were there before: what others refer to stays as it is."""

from collections.abc import Iterator
from typing import NamedTuple

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.kube.types import Json, items, mapping
from canary.workloads.base import is_owned
from canary.workloads.ports import TCP, container_ports, discovered_ports, free_name


class _Key(NamedTuple):
    """What tells the ports of a Service apart."""

    number: int
    protocol: str


def service_ports(canary: Canary, template: Json, existing: Json | None) -> list[Json]:
    """The ports to apply to a Service: the spec's own, then those that are discovered.

    Those of a Service that isn't the Canary's keep the names that they have there, also that they have none: routes
    refer to them by it, and find nothing for a moment when it changes. One that comes beside them gets a free name.

    Args:
        canary: the Canary.
        template: the target's pod template.
        existing: the Service as it is there already; None where it is made.
    """
    own = [_port(port) for port in canary.spec.service.all_ports]
    others = [
        {"name": other.name, "protocol": other.protocol, "port": other.number, "targetPort": other.number}
        for other in discovered_ports(canary, template)
    ]
    made: list[Json] = [*own, *others]
    if existing is None or is_owned(canary, existing):
        return made
    there = _ports_of(existing)
    taken = {str(port.get("name") or "") for port in there.values()}
    return [_beside(port, there, taken) for port in made]


def conflicts(canary: Canary, name: str, existing: Json, template: Json) -> Iterator[Problem]:
    """What keeps the ports that the spec asks for from standing in a Service that isn't the Canary's."""
    there = _ports_of(existing)
    wanted = {_key(port): port for port in service_ports(canary, template, existing)}
    nameless = next((port for port in there.values() if not port.get("name")), None)
    if nameless is not None and wanted.keys() - there.keys():
        number, others = nameless.get("port"), ", ".join(str(key.number) for key in wanted.keys() - there.keys())
        message = f"port {number} of Service {name} has no name, and beside it no other can stand, such as {others}"
        yield Problem("spec.service.port", message, f"name it in Service {name}, or ask for no port but {number}")
    if name == canary.service_name and not canary.spec.service.target_port:
        yield from _turned(canary, name, there.get(_Key(canary.spec.service.port, TCP)), template)


def _turned(canary: Canary, name: str, there: Json | None, template: Json) -> Iterator[Problem]:
    """A port that leads to where it works, and that the spec would turn elsewhere without saying so."""
    ours = canary.spec.service.port
    theirs = (there or {}).get("targetPort") or ours
    declared = [port for port in container_ports(template) if port.protocol == TCP]
    leads_to = next((port.number for port in declared if port.declared_name == theirs), theirs)
    if leads_to == ours or any(port.number == ours for port in declared):
        return
    message = f"Service {name} leads from its port {ours} to {theirs}, and this spec would lead to {ours}"
    yield Problem("spec.service.targetPort", message, f"write targetPort: {theirs}, or {ours} where that is meant")


def _beside(port: Json, there: dict[_Key, Json], taken: set[str]) -> Json:
    """A port with the name that it has there already, or with one that no other has."""
    known = there.get(_key(port))
    rest = {key: value for key, value in port.items() if key != "name"}
    if known is not None:
        return {"name": known["name"], **rest} if known.get("name") else rest
    name = free_name(str(port["name"]), int(port["port"]), taken)
    taken.add(name)
    return {"name": name, **rest}


def _ports_of(service: Json) -> dict[_Key, Json]:
    return {_key(port): port for port in items(mapping(service.get("spec")).get("ports"))}


def _key(port: Json) -> _Key:
    return _Key(int(port.get("port") or 0), str(port.get("protocol") or TCP))


def _port(port: ServicePort) -> Json:
    made: Json = {
        "name": port.name,
        "protocol": TCP,
        "port": port.port,
        "targetPort": port.effective_target_port,
    }
    return {**made, "appProtocol": port.app_protocol} if port.app_protocol else made
