"""The example of one release over several clusters: what its members have, and what the hub's cluster has."""

from typing import Final

from canary.kube.types import CANARY_FLEET, HTTP_ROUTE, Json
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.harness import application, ingress_route
from canary.sandbox.members import names
from canary.sandbox.scenario import LOADTESTER, PORT, SUCCESS_RATE

NAME: Final = "shop"
NAMESPACE: Final = "test"
HOST: Final = f"{NAME}.{NAMESPACE}"
FIRST: Final = "1.0.0"
MOST_WAVES: Final = 3
_LOAD = f"hey -z 10s -q 15 -c 4 -host {HOST} {TRAEFIK.url}"
"""Sent to the gateway of the hub's cluster, so that each member gets its part of it."""


def in_member() -> list[Json]:
    """What each member has: the application, and the way to it from the member's gateway."""
    return [application(NAME, NAMESPACE, FIRST), ingress_route(NAME, NAMESPACE, HOST, PORT)]


def in_hub(count: int) -> list[Json]:
    """What the hub's cluster has: the route over so many members in equal parts, and the fleet."""
    return [_route(count), _fleet(count)]


def _route(count: int) -> Json:
    backends = [{"name": name, "port": TRAEFIK.port, "weight": 1} for name in names(count)]
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"parentRefs": [TRAEFIK.parent], "hostnames": [HOST], "rules": [{"backendRefs": backends}]},
    }


def _fleet(count: int) -> Json:
    """A wave of one member after the other, and the last of all that are left."""
    waves = [{"name": f"wave{number}", "count": 1, "soak": "5s"} for number in range(1, min(count, MOST_WAVES))]
    return {
        "apiVersion": CANARY_FLEET.api_version,
        "kind": CANARY_FLEET.kind,
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "release": FIRST,
            "waves": [*waves, {"name": f"wave{len(waves) + 1}"}],
            "template": {"metadata": {"name": NAME}, "spec": _canary()},
        },
    }


def _canary() -> Json:
    """Three steps of 20 percent, each judged by what the users of that member's gateway have got."""
    load = {"type": "cmd", "cmd": _LOAD}
    hook = {"name": "load-test", "type": "rollout", "url": f"{LOADTESTER}/", "timeout": "5s", "metadata": load}
    return {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
        "service": {"port": PORT},
        "analysis": {
            "interval": "3s",
            "threshold": 3,
            "stepWeight": 20,
            "maxWeight": 60,
            "metrics": [{**SUCCESS_RATE, "interval": "10s"}],
            "webhooks": [hook],
        },
    }
