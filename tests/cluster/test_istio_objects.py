"""Istio's own analyzers find nothing wrong with what the provider makes: each golden file, in its cluster."""

from pathlib import Path

import pytest
import yaml

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json
from tests.tools.analyzer import analyzed

GOLDEN = Path(__file__).parents[1] / "unit/routers/golden/istio"
CASES = [
    pytest.param(case, case[made], id=f"{path.stem}-{made}")
    for path in sorted(GOLDEN.glob("*.yaml"))
    for case in [yaml.safe_load(path.read_text())]
    for made in ("expected", "handed_back")
    if made in case
]


def gateway() -> list[Json]:
    """The Gateway `istio-system/public`, with the Service and a pod that serve it."""
    labels, place = {"istio": "ingressgateway"}, {"namespace": "istio-system", "name": "public"}
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    spec = {"selector": labels, "servers": [{"port": port, "hosts": ["*"]}]}
    pod = {"containers": [{"name": "istio-proxy", "image": "proxy"}]}
    own = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}
    service = {"selector": labels, "ports": [own]}
    return [
        {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": place, "spec": spec},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**place, "labels": labels}, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": service},
    ]


def services(canary: Canary) -> list[Json]:
    """Those of the Canary, and one that gets copies."""
    names = [canary.service_name, canary.service_primary_name, canary.service_canary_name]
    names += [canary.service_baseline_name] if canary.wants_baseline else []
    own = [
        {"name": each.name, "port": each.port, **({"appProtocol": each.app_protocol} if each.app_protocol else {})}
        for each in canary.spec.service.all_ports
    ]
    return [*(service(name, own) for name in names), service("shadow", [{"name": "http", "port": 8080}])]


def service(name: str, ports: list[Json]) -> Json:
    metadata = {"namespace": "shop", "name": name}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": name}, "ports": ports},
    }


@pytest.mark.parametrize(("case", "made"), CASES)
def test_nothing_is_wrong_with_it(case: Json, made: list[Json]) -> None:
    found = analyzed([*gateway(), *services(parse_canary(case["canary"])), *made])
    assert [str(each) for each in found if each.level != "Info"] == []
