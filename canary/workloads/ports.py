"""The ports of a target's containers, against what the spec asks its Services to lead to."""

from typing import NamedTuple

from canary.api.canary import Canary
from canary.api.problems import Problem
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

    A number that comes twice is taken once, and never the spec's own.
    """
    service = canary.spec.service
    if not service.port_discovery:
        return ()
    target = service.effective_target_port
    taken = {(service.port, _TCP)}
    names = {service.port_name}
    found = []
    for port in container_ports(template):
        key = (port.number, port.protocol)
        if key in taken or port.name in names or _is_target(port, target):
            continue
        taken.add(key)
        names.add(port.name)
        found.append(port)
    return tuple(found)


def problems(canary: Canary, template: Json) -> tuple[Problem, ...]:
    """What is wrong with the port that the spec's Services lead to.

    A name must be declared by a container. So must a number, once any container declares ports: containers that
    declare none may listen anywhere.
    """
    service = canary.spec.service
    target = service.effective_target_port
    if target == 0:
        return ()
    declared = [port for port in container_ports(template) if port.protocol == _TCP]
    if any(_is_target(port, target) for port in declared):
        return ()
    if not declared and not isinstance(target, str):
        return ()
    field = "spec.service.targetPort" if service.target_port else "spec.service.port"
    there = ", ".join(
        f"{port.number} ({port.declared_name})" if port.declared_name else str(port.number) for port in declared
    )
    remedy = (
        f"write one of those that the containers declare: {there}"
        if there
        else "declare it in a container, or write a number"
    )
    return (Problem(field, f"no container of {canary.target_name} has a port {target}", remedy),)


def _is_target(port: ContainerPort, target: int | str) -> bool:
    return target == (port.declared_name if isinstance(target, str) else port.number)
