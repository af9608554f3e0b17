"""The ports of a target's containers, against what the spec asks its Services to lead to."""

from typing import NamedTuple

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.kube.types import Json
from canary.workloads.base import items, mapping

_TCP = "TCP"
# Proxies that a service mesh adds by hand-written templates: their ports are the mesh's.
_MESH_PROXIES = frozenset({"istio-proxy", "envoy"})


class ContainerPort(NamedTuple):
    """A port that a container declares.

    Args:
        name: its name in the Services: its own, or one made from container and place.
        number: 1 to 65535.
        protocol: TCP, UDP or SCTP.
        declared_name: its own name, empty where it has none.
    """

    name: str
    number: int
    protocol: str
    declared_name: str


def container_ports(template: Json) -> tuple[ContainerPort, ...]:
    """The ports that the containers of a pod template declare, without those of mesh proxies."""
    spec = mapping(template.get("spec"))
    sidecars = [c for c in items(spec.get("initContainers")) if c.get("restartPolicy") == "Always"]
    return tuple(
        ContainerPort(
            port.get("name") or f"tcp-{container.get('name')}-{index}",
            int(port.get("containerPort", 0)),
            str(port.get("protocol") or _TCP),
            str(port.get("name") or ""),
        )
        for container in [*items(spec.get("containers")), *sidecars]
        if container.get("name") not in _MESH_PROXIES
        for index, port in enumerate(items(container.get("ports")))
    )


def discovered_ports(canary: Canary, template: Json) -> tuple[ContainerPort, ...]:
    """The ports that the Services get beside the spec's own, where `service.portDiscovery` asks for them.

    A number that comes twice is taken once, and never one of the spec's own.
    """
    service = canary.spec.service
    if not service.port_discovery:
        return ()
    targets = [port.effective_target_port for port in service.all_ports]
    taken = {(port.port, _TCP) for port in service.all_ports}
    names = {port.name for port in service.all_ports}
    found = []
    for port in container_ports(template):
        key = (port.number, port.protocol)
        if key in taken or port.name in names or any(_is_target(port, target) for target in targets):
            continue
        taken.add(key)
        names.add(port.name)
        found.append(port)
    return tuple(found)


def problems(canary: Canary, template: Json) -> tuple[Problem, ...]:
    """What is wrong with the ports that the spec's Services lead to.

    A name must be declared by a container. So must a number, once any container declares ports: containers that
    declare none may listen anywhere.
    """
    declared = [port for port in container_ports(template) if port.protocol == _TCP]
    service = canary.spec.service
    found = [_problem(canary, "spec.service", service.first_port, declared)]
    for index, port in enumerate(service.ports):
        found.append(_problem(canary, f"spec.service.ports[{index}]", port, declared))
    return tuple(problem for problem in found if problem is not None)


def _problem(canary: Canary, field: str, port: ServicePort, declared: list[ContainerPort]) -> Problem | None:
    target = port.effective_target_port
    if target == 0 or any(_is_target(each, target) for each in declared):
        return None
    if not declared and not isinstance(target, str):
        return None
    there = ", ".join(
        f"{each.number} ({each.declared_name})" if each.declared_name else str(each.number) for each in declared
    )
    remedy = (
        f"write one of those that the containers declare: {there}"
        if there
        else "declare it in a container, or write a number"
    )
    part = "targetPort" if port.target_port else "port"
    return Problem(f"{field}.{part}", f"no container of {canary.target_name} has a port {target}", remedy)


def _is_target(port: ContainerPort, target: int | str) -> bool:
    return target == (port.declared_name if isinstance(target, str) else port.number)
