"""Istio's own analyzers judge objects without a cluster: what tests of a router may ask of whatever it makes."""

from canary.kube.types import Json
from tests.tools.analyzer import analyzed
from tests.tools.two_versions import CANARY, PORT, PRIMARY, deployment, service

NAMESPACE = "test"


def cluster_of(*objects: Json) -> list[Json]:
    """An application in two versions, and these objects beside it."""
    workloads = [typed("apps/v1", "Deployment", deployment(name, "1")) for name in (PRIMARY, CANARY)]
    services = [typed("v1", "Service", service(name)) for name in (PRIMARY, CANARY)]
    return [*workloads, *services, *objects]


def typed(version: str, kind: str, obj: Json) -> Json:
    return {"apiVersion": version, "kind": kind, **obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}}


def virtual_service(*weights: tuple[str, int]) -> Json:
    routes = [{"destination": {"host": name, "port": {"number": PORT}}, "weight": weight} for name, weight in weights]
    spec = {"hosts": ["app.example"], "http": [{"route": routes}]}
    return typed("networking.istio.io/v1", "VirtualService", {"metadata": {"name": "app"}, "spec": spec})


def test_a_virtual_service_whose_destinations_are_there_is_fine() -> None:
    assert analyzed(cluster_of(virtual_service((PRIMARY, 90), (CANARY, 10)))) == []


def test_a_destination_that_is_not_there_is_named() -> None:
    [message] = analyzed(cluster_of(virtual_service((PRIMARY, 90), ("app-canery", 10))))
    assert (message.code, message.level, message.origin) == ("IST0101", "Error", "VirtualService test/app")
    assert "app-canery" in message.text


def test_what_istiod_would_not_take_is_an_error() -> None:
    """The analyzers validate as istiod does."""
    messages = analyzed(cluster_of(virtual_service((PRIMARY, 100), (CANARY, -10))))
    assert ("IST0106", "Error") in {(message.code, message.level) for message in messages}
