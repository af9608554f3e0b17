"""How requests come to the ports of a Service, and what of them a rule of a VirtualService takes.

A VirtualService has the rules for all ports. Requests come in by a port of the mesh, which is the Service's, or of a
gateway, which is the gateway's own. Those to a further port are told by its number, at a gateway that of one of its
servers; all others are for the first port.
"""

from typing import Final, NamedTuple

from canary.api.canary import Canary
from canary.api.service import ServicePort
from canary.kube.types import Json

MESH: Final = "mesh"
"""What Istio calls all sidecars, where gateways are named."""


class Entrance(NamedTuple):
    """How requests come to one port of the Service.

    Args:
        port: the port.
        condition: the part of a match that tells them from others; empty for whatever is left.
        is_named: whether destinations name the port. Where they don't, it is the only one, or that which was asked for.
        others: the numbers of ports that have entrances of their own.
    """

    port: ServicePort
    condition: Json
    is_named: bool
    others: frozenset[int] = frozenset()

    @property
    def is_tcp(self) -> bool:
        """Whether connections are divided, and not requests: by its protocol's name, as with Flagger."""
        return self.port.app_protocol.lower() == "tcp"


def entrances(canary: Canary) -> tuple[Entrance, ...]:
    """All ways in, the further ports first: what is for the first one has no number to be told by."""
    service = canary.spec.service
    first, others = service.first_port, frozenset(port.port for port in service.ports)
    further = [Entrance(port, {"port": port.port}, is_named=True) for port in service.ports]
    outside = [gateway for gateway in service.gateways if gateway != MESH]
    known = not service.port_discovery
    if known or service.delegation or (outside and MESH not in service.gateways):
        return (*further, Entrance(first, {}, is_named=not known or bool(service.ports), others=others))
    # Whoever calls a port in the mesh that was found at the containers means that one.
    if not outside:
        return (*further, Entrance(first, {}, is_named=False, others=others))
    return (
        *further,
        Entrance(first, {"gateways": outside}, is_named=True, others=others),
        Entrance(first, {"gateways": [MESH]}, is_named=False, others=others),
    )


def within(matches: list[Json], way: Entrance) -> list[Json] | None:
    """The conditions, on requests of one way in only; None where they are all on others."""
    if not matches:
        return [way.condition] if way.condition else []
    found = []
    for match in matches:
        gateways = _common(match.get("gateways"), way.condition.get("gateways"))
        if gateways is not None and _is_for(match.get("port"), way):
            found.append({**match, **way.condition, **({"gateways": gateways} if gateways else {})})
    return found or None


def _is_for(port: int | None, way: Entrance) -> bool:
    """Whether a condition on a port, if it is one, is about requests that come in so."""
    return port is None or (port == way.condition.get("port", port) and port not in way.others)


def _common(wanted: list[str] | None, given: list[str] | None) -> list[str] | None:
    """The gateways of a condition that are among those of a way in, empty for any; None where there are none."""
    if not wanted or not given:
        return wanted or given or []
    return [gateway for gateway in wanted if (gateway == MESH) == (given == [MESH])] or None
