"""What can't work of `spec.service.ports`: further ports, whose requests are divided as those of the first one are."""

from collections.abc import Iterator

from canary.api.addresses import MAX_PORT
from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.service import ListenerReference


def number(field: str, port: int) -> Iterator[Problem]:
    """A port's number."""
    if not 1 <= port <= MAX_PORT:
        yield Problem(field, f"{port} is no port", f"write a number from 1 to {MAX_PORT}")


def further(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Each port has a number and a name of its own."""
    service = canary.spec.service
    names, numbers = {service.port_name: "portName"}, {service.port: "port"}
    for index, port in enumerate(service.ports):
        field = f"spec.service.ports[{index}]"
        yield from number(f"{field}.port", port.port)
        if isinstance(port.target_port, int) and port.target_port != 0:
            yield from number(f"{field}.targetPort", port.target_port)
        if port.name in names:
            message = f"{port.name} is spec.service.{names[port.name]} too"
            yield Problem(f"{field}.name", message, "write another name")
        if port.port in numbers:
            message = f"{port.port} is spec.service.{numbers[port.port]} too"
            yield Problem(f"{field}.port", message, "write another number, or take it out")
        names[port.name], numbers[port.port] = f"ports[{index}].name", f"ports[{index}].port"


def listeners(canary: Canary, provider: str) -> Iterator[Problem]:
    """A gateway tells requests for one port from those for another by its listeners, and by nothing else."""
    if not provider.startswith("gatewayapi"):
        return
    taken: list[tuple[str, ListenerReference]]
    taken = [("spec.service.gatewayRefs", ref) for ref in canary.spec.service.gateway_refs]
    for index, port in enumerate(canary.spec.service.ports):
        field = f"spec.service.ports[{index}].gatewayRefs"
        if not port.gateway_refs:
            yield Problem(
                field,
                f"is missing; provider {provider} has to know which requests are for port {port.name}",
                "name a listener by sectionName or port, or take the port out and set portDiscovery",
            )
        for ref in port.gateway_refs:
            shared = next((where for where, other in taken if _overlap(ref, other, canary.namespace)), None)
            if shared is not None:
                yield Problem(
                    field,
                    f"requests for {ref.kind} {ref.name} may be those of {shared} too",
                    "name listeners that differ, by sectionName or port, in both",
                )
        taken += [(field, ref) for ref in port.gateway_refs]


def _overlap(one: ListenerReference, other: ListenerReference, namespace: str) -> bool:
    """Whether a listener may be meant by both."""
    first, second = ((ref.group, ref.kind, ref.namespace or namespace, ref.name) for ref in (one, other))
    if first != second:
        return False
    halves = ((one.section_name, other.section_name), (one.port, other.port))
    return all(None in pair or pair[0] == pair[1] for pair in halves)
