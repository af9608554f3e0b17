"""Services and their endpoints as the watches tell of them: who is behind which address, and what it is called."""

import itertools
from dataclasses import dataclass, field

from canary.kube.store import Change
from canary.kube.types import Json

Endpoint = tuple[str, int]
"""Address and port."""
Key = tuple[str, str]
"""Namespace and name."""
SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Backends:
    """The endpoints of one port of one Service.

    Attributes:
        ready: those that may get connections.
        last: those that serve while they end; they are taken where no other is left, as kube-proxy does.
    """

    ready: tuple[Endpoint, ...] = ()
    last: tuple[Endpoint, ...] = ()

    @property
    def usable(self) -> tuple[Endpoint, ...]:
        """Where a new connection may go."""
        return self.ready or self.last


@dataclass(slots=True)
class Directory:
    """Everything known of Services and EndpointSlices; synchronous, and fed by the watches."""

    _services: dict[Key, Json] = field(default_factory=dict)
    _slices: dict[Key, dict[str, Json]] = field(default_factory=dict)

    def set_service(self, change: Change[Json]) -> None:
        """Take over a changed Service."""
        if change.new is None:
            self._services.pop(change.key, None)
        else:
            self._services[change.key] = change.new

    def set_slice(self, change: Change[Json]) -> None:
        """Take over a changed EndpointSlice."""
        namespace, name = change.key
        for item in (change.old, change.new):
            service = None if item is None else item["metadata"].get("labels", {}).get(SERVICE_LABEL)
            if service is not None:
                slices = self._slices.setdefault((namespace, service), {})
                slices.pop(name, None)
                if item is change.new and item is not None:
                    slices[name] = item

    def listeners(self) -> dict[Endpoint, tuple[Key, str]]:
        """Every address and port that Services ask for: the Service and its port's name."""
        wanted: dict[Endpoint, tuple[Key, str]] = {}
        for key, service in self._services.items():
            spec = service["spec"]
            for port in spec.get("ports") or []:
                if port.get("protocol", "TCP") == "TCP":
                    for address in _addresses(spec):
                        wanted[address, int(port["port"])] = (key, port.get("name", ""))
        return wanted

    def backends(self, service: Key, port: str) -> Backends:
        """The endpoints of a Service's port."""
        ready: list[Endpoint] = []
        last: list[Endpoint] = []
        for item in self._slices.get(service, {}).values():
            ports = [entry for entry in item.get("ports") or [] if (entry.get("name") or "") == port]
            numbers = [int(entry["port"]) for entry in ports if entry.get("port")]
            for endpoint, number in itertools.product(item.get("endpoints") or [], numbers):
                conditions = endpoint.get("conditions", {})
                target = (str(endpoint["addresses"][0]), number)
                if conditions.get("ready", True):
                    ready.append(target)
                elif conditions.get("serving") and conditions.get("terminating"):
                    last.append(target)
        return Backends(tuple(sorted(ready)), tuple(sorted(last)))

    def addresses_of(self, namespace: str, name: str) -> list[str] | str | None:
        """What a Service's name stands for: addresses, another name, or None where there is no such Service."""
        service = self._services.get((namespace, name))
        if service is None:
            return None
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return str(spec["externalName"])
        if spec.get("clusterIP") != "None":
            return _addresses(spec)
        slices = self._slices.get((namespace, name), {}).values()
        endpoints = [endpoint for item in slices for endpoint in item.get("endpoints") or []]
        ready = [e for e in endpoints if e.get("conditions", {}).get("ready", True)]
        return [str(endpoint["addresses"][0]) for endpoint in ready]


def _addresses(spec: Json) -> list[str]:
    address = spec.get("clusterIP")
    own = [address] if address and address != "None" else []
    return own + list(spec.get("externalIPs") or [])
