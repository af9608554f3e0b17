"""The ports of a target's containers, against what the spec asks its Services to lead to."""

from collections.abc import Collection
from typing import NamedTuple

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ServicePort
from canary.kube.types import Json, items, mapping

TCP = "TCP"
NAME_LIMIT = 63
"""Characters of the name of a Service's port."""

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
            port.get("name") or _made_name(str(container.get("name")), index),
            int(port.get("containerPort", 0)),
            str(port.get("protocol") or TCP),
            str(port.get("name") or ""),
        )
        for container in [*items(spec.get("containers")), *sidecars]
        if container.get("name") not in _MESH_PROXIES
        for index, port in enumerate(items(container.get("ports")))
    )


def discovered_ports(canary: Canary, template: Json) -> tuple[ContainerPort, ...]:
    """The ports that the Services get beside the spec's own, where `service.portDiscovery` asks for them.

    A number that comes twice is taken once, and never one of the spec's own. A name that is taken becomes another.
    """
    service = canary.spec.service
    if not service.port_discovery:
        return ()
    targets = [port.effective_target_port for port in service.all_ports]
    taken = {(port.port, TCP) for port in service.all_ports}
    names = {port.name for port in service.all_ports}
    found = []
    for port in container_ports(template):
        key = (port.number, port.protocol)
        if key in taken or any(_is_target(port, target) for target in targets):
            continue
        name = free_name(port.name, port.number, names)
        taken.add(key)
        names.add(name)
        found.append(port._replace(name=name))
    return tuple(found)


def free_name(wanted: str, number: int, taken: Collection[str]) -> str:
    """A name for a port that no other has: the wanted one, or that with the port's number."""
    if wanted not in taken:
        return wanted
    for suffix in (f"-{number}", *(f"-{number}-{count}" for count in range(2, len(taken) + 2))):
        name = wanted[: NAME_LIMIT - len(suffix)] + suffix
        if name not in taken:
            return name
    msg = f"no name is left for port {number}"
    raise RuntimeError(msg)


def _made_name(container: str, index: int) -> str:
    """The name of a port that has none; of a long container's name as much as fits."""
    suffix = f"-{index}"
    return f"tcp-{container}"[: NAME_LIMIT - len(suffix)] + suffix


def problems(canary: Canary, template: Json) -> tuple[Problem, ...]:
    """What is wrong with the ports that the spec's Services lead to.

    A name must be declared by a container. A number needs no declaration: to Kubernetes that is a hint only.
    """
    declared = [port for port in container_ports(template) if port.protocol == TCP]
    service = canary.spec.service
    found = [_problem(canary, "spec.service", service.first_port, declared)]
    for index, port in enumerate(service.ports):
        found.append(_problem(canary, f"spec.service.ports[{index}]", port, declared))
    return tuple(problem for problem in found if problem is not None)


def unknown_to_primary(canary: Canary, template: Json, primary: Json) -> tuple[Problem, ...]:
    """Names of ports that the target's containers declare and the primary's don't yet: its Services would lead nowhere.

    Args:
        canary: the Canary.
        template: the target's pod template.
        primary: the pod template of a primary that serves.
    """
    known = {port.declared_name for port in container_ports(primary) if port.protocol == TCP}
    numbers = {port.declared_name: port.number for port in container_ports(template) if port.protocol == TCP}
    service = canary.spec.service
    named = [("spec.service", service.first_port)]
    named += [(f"spec.service.ports[{index}]", port) for index, port in enumerate(service.ports)]
    found = []
    for field, port in named:
        target = port.effective_target_port
        if isinstance(target, str) and target in numbers and target not in known:
            message = f"no container of {canary.primary_name}, which serves, has a port {target} yet"
            remedy = f"write its number, {numbers[target]}, until a version with that name is promoted"
            found.append(Problem(f"{field}.targetPort", message, remedy))
    return tuple(found)


def _problem(canary: Canary, field: str, port: ServicePort, declared: list[ContainerPort]) -> Problem | None:
    target, field = port.effective_target_port, f"{field}.targetPort"
    if not isinstance(target, str) or any(_is_target(each, target) for each in declared):
        return None
    if target.isdecimal():
        message = f"{target!r} in quotes is the name of a port, not its number"
        return Problem(field, message, f"write {target} without quotes")
    there = ", ".join(
        f"{each.number} ({each.declared_name})" if each.declared_name else str(each.number) for each in declared
    )
    remedy = (
        f"write one of those that the containers declare: {there}"
        if there
        else "declare it in a container, or write a number"
    )
    return Problem(field, f"no container of {canary.target_name} has a port {target}", remedy)


def _is_target(port: ContainerPort, target: int | str) -> bool:
    if port.protocol != TCP:
        return False
    return target == (port.declared_name if isinstance(target, str) else port.number)
