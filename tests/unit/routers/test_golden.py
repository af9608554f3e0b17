"""The golden files are the specification of every object that routers make: each states its rule."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import Split
from canary.kube.types import Json
from canary.routers.base import Observed, Patch, Provider
from canary.routers.registry import ROUTERS
from tests.tools.routes import by_ref, made, manifests

HERE = Path(__file__).parent
SCHEMAS = {
    "ApisixRoute": json.loads((HERE / "schemas/apisixroute-v2.json").read_text()),
    "DestinationRule": json.loads((HERE / "schemas/destinationrule-v1.json").read_text()),
    "GRPCRoute": json.loads((HERE / "schemas/grpcroute-v1.json").read_text()),
    "HTTPProxy": json.loads((HERE / "schemas/httpproxy-v1.json").read_text()),
    "HTTPRoute": json.loads((HERE / "schemas/httproute-v1.json").read_text()),
    "MeshHTTPRoute": json.loads((HERE / "schemas/meshhttproute-v1alpha1.json").read_text()),
    "RouteTable": json.loads((HERE / "schemas/routetable-v1.json").read_text()),
    "Ingress": json.loads((HERE / "schemas/ingress-v1.json").read_text()),
    "Route": json.loads((HERE / "schemas/route-v1.json").read_text()),
    "TCPRoute": json.loads((HERE / "schemas/tcproute-v1.json").read_text()),
    "TLSRoute": json.loads((HERE / "schemas/tlsroute-v1.json").read_text()),
    "TraefikService": json.loads((HERE / "schemas/traefikservice-v1alpha1.json").read_text()),
    "VirtualService": json.loads((HERE / "schemas/virtualservice-v1.json").read_text()),
    "TrafficSplit": json.loads((HERE / "schemas/trafficsplit-v1alpha3.json").read_text()),
    "Upstream": json.loads((HERE / "schemas/upstream-v1.json").read_text()),
}

golden = pytest.mark.parametrize(
    "case",
    [
        pytest.param(yaml.safe_load(path.read_text()), id=f"{path.parent.name}/{path.stem}")
        for path in sorted(HERE.glob("golden/*/*.yaml"))
    ],
)


def parts_of(case: Json) -> tuple[Provider, Canary, Observed]:
    return ROUTERS[case["provider"]], parse_canary(case["canary"]), by_ref(case.get("observed", []))


@golden
def test_objects_are_as_written(case: Json) -> None:
    router, canary, observed = parts_of(case)
    assert made(router, canary, Split(**case["split"]), observed) == case["expected"], case["rule"]
    if "patched" in case:
        writes = router.plan(canary, Split(**case["split"]), observed)
        assert [write.patch for write in writes if isinstance(write, Patch)] == case["patched"], case["rule"]
    if "handed_back" in case:
        assert manifests(router.hand_back(canary, observed)) == case["handed_back"]


@golden
def test_objects_fit_the_schemas_of_those_who_read_them(case: Json) -> None:
    for obj in [*case["expected"], *case.get("handed_back", [])]:
        jsonschema.validate(obj["spec"], SCHEMAS[obj["kind"]])


@golden
def test_a_spec_that_is_routed_has_no_problem(case: Json) -> None:
    router, canary, _ = parts_of(case)
    assert router.problems(canary) == ()


@golden
def test_the_split_can_be_read_back(case: Json) -> None:
    router, canary, _ = parts_of(case)
    if case["expected"]:
        assert router.split(canary, by_ref(case["expected"])) == Split(**case["split"])


@golden
def test_making_the_objects_again_changes_nothing(case: Json) -> None:
    router, canary, observed = parts_of(case)
    split = Split(**case["split"])
    first = made(router, canary, split, observed)
    assert made(router, canary, split, {**observed, **by_ref(first)}) == first


@golden
def test_the_provider_says_what_it_makes(case: Json) -> None:
    router, canary, _ = parts_of(case)
    assert by_ref(case["expected"]).keys() <= {*router.makes(canary), *router.adjusts(canary)}
