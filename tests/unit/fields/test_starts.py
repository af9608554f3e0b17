"""Fields of the providers that start from an Ingress or a Route of the users'."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from canary.api.canary import Canary
from canary.api.rules import problems
from canary.api.traffic import Split
from canary.kube.types import INGRESS, ROUTE, Json
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Scheduled, Version
from canary.routers.registry import ROUTERS
from canary.workloads import services
from canary.workloads.base import SelectorLabel
from tests.tools.routes import after, by_ref
from tests.tools.routes import made as objects_of

PORTS: list[Json] = [{"number": 80}, {"name": "admin"}]
PATHS: list[Json] = [{"path": f"/{port}", "backend": {"service": {"name": "app", "port": port}}} for port in PORTS]
ACTION: list[Json] = [{"path": "/", "backend": {"service": {"name": "app", "port": {"name": "use-annotation"}}}}]


def ingress(name: str, paths: list[Json]) -> Json:
    metadata, spec = {"name": name, "namespace": "shop"}, {"rules": [{"http": {"paths": paths}}]}
    return {"apiVersion": INGRESS.api_version, "kind": "Ingress", "metadata": metadata, "spec": spec}


def route(name: str) -> Json:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": ROUTE.api_version, "kind": "Route", "metadata": metadata, "spec": {"to": {"name": "app"}}}


THERE = {
    "alb": by_ref(ingress(name, ACTION) for name in ("web", "other")),
    "nginx": by_ref(ingress(name, PATHS) for name in ("web", "other")),
    "openshift": by_ref(map(route, ("web", "other"))),
    "skipper": by_ref(ingress(name, PATHS) for name in ("web", "other")),
}
REFERENCES = {name: "spec.routeRef" if name == "openshift" else "spec.ingressRef" for name in THERE}


def named(by: str) -> dict[str, object]:
    """What every spec of a provider has."""
    kind, version = ("Route", ROUTE.api_version) if by == "openshift" else ("Ingress", INGRESS.api_version)
    ref = REFERENCES[by]
    return {"spec.provider": by, f"{ref}.kind": kind, f"{ref}.apiVersion": version, f"{ref}.name": "web"}


STEPS: dict[str, object] = {"spec.analysis.stepWeight": 25, "spec.analysis.maxWeight": 50}
RATE = {"spec.analysis.metrics": [{"name": "request-success-rate", "threshold": 99}], "spec.analysis.threshold": 1}
BACK = [Split(0), Split(25), Split(50), Split(30), Split(10), Split(0)]


def routed(canary: Canary) -> list[Split]:
    """How requests are divided in a rollout of a version that fails at half of them, if it is asked."""
    router, there = ROUTERS[canary.spec.provider], THERE[canary.spec.provider]
    assert router.problems(canary) == ()
    versions = {"v1": Version(), "v2": Version(readings=(Reading(1.0, weight=50),))}
    scheduled = (Scheduled(timedelta(minutes=1), Deploy("v2")),)
    line = SafeWorld(Scenario(canary=canary, versions=versions, changes=scheduled)).run()
    found: list[Split] = []
    for split in (entry.split for entry in line.entries if entry.split is not None):
        seen = router.split(canary, after(router.plan(canary, split, there), there))
        assert seen is not None
        found += [seen] if found[-1:] != [seen] else []
    return found


@pytest.mark.parametrize("by", sorted(THERE))
@pytest.mark.parametrize(
    ("field", "value", "expected", "beside"),
    [
        ("spec.analysis.stepWeight", 50, [Split(0), Split(50), Split(100), Split(0)], {}),
        ("spec.analysis.stepWeightPromotion", 20, BACK, STEPS),
        ("spec.analysis.stepWeightRollback", 20, BACK, {**STEPS, **RATE}),
    ],
)
def test_requests_are_divided_as_the_analysis_says(
    shows: Callable[..., None],
    by: str,
    field: str,
    value: object,
    expected: list[Split],
    beside: Mapping[str, object],
) -> None:
    shows(field, value, routed, expected, {**named(by), **beside})


@pytest.mark.parametrize(("by", "field"), [(by, f"{ref}.name") for by, ref in REFERENCES.items()])
def test_what_is_named_is_what_it_starts_from(shows: Callable[..., None], by: str, field: str) -> None:
    def refs(canary: Canary) -> set[str]:
        return {ref.name.removesuffix("-canary") for ref in ROUTERS[by].refs(canary)}

    shows(field, "other", refs, {"other"}, named(by))


@pytest.mark.parametrize(
    ("by", "field", "value"),
    [
        (by, f"{ref}.{name}", value)
        for by, ref in REFERENCES.items()
        for name, value in (("kind", "Other"), ("apiVersion", "other/v1"))
    ],
)
def test_of_another_kind_or_group_it_is_refused(make: Callable[..., Canary], by: str, field: str, value: str) -> None:
    def refused(changes: Mapping[str, object]) -> set[str]:
        canary = make({**named(by), **changes})
        return {problem.field for problem in (*problems(canary, by), *ROUTERS[by].problems(canary))}

    assert refused({field: value}) - refused({}) == {field}


HEADERS = "spec.analysis.match[].headers.*"


@pytest.mark.parametrize(
    ("by", "field", "key", "value"),
    [
        ("nginx", f"{HEADERS}.exact", "canary-by-header-value", "beta"),
        ("nginx", f"{HEADERS}.regex", "canary-by-header-pattern", "^(?:beta)$"),
    ],
)
def test_a_condition_reaches_the_gateway(shows: Callable[..., None], by: str, field: str, key: str, value: str) -> None:
    def said(canary: Canary) -> object:
        (made,) = objects_of(ROUTERS[by], canary, Split(100, matched=True), THERE[by])
        return made["metadata"]["annotations"].get(f"nginx.ingress.kubernetes.io/{key}")

    shows(field, "beta", said, value, {**named(by), "spec.analysis.iterations": 3})


PORT: Json = {"name": "admin", "port": 8081}
VALUES: dict[str, object] = {"name": "other", "port": 8082, "targetPort": "web", "appProtocol": "grpc"}


@pytest.mark.parametrize(
    ("by", "field"), [(by, f"spec.service.ports[].{name}") for by in ("nginx", "skipper") for name in VALUES]
)
def test_both_versions_have_the_port_that_a_path_leads_to(make: Callable[..., Canary], by: str, field: str) -> None:
    name = field.rpartition(".")[2]
    port = {**PORT, name: VALUES[name]}
    canary = make({**named(by), "spec.service.ports": [port]})
    expected = {"name": port["name"], "port": port["port"], "protocol": "TCP", "targetPort": port["port"], **port}
    for service in services.versions(canary, SelectorLabel("app", "app"), {}, {}):
        assert expected in service["spec"]["ports"]
    (made,) = objects_of(ROUTERS[by], canary, Split(10), THERE[by])
    led = [path["backend"]["service"] for path in made["spec"]["rules"][0]["http"]["paths"]]
    assert {"name": "app-canary", "port": {"name": "admin"}} in led
    assert {"name": "app-canary", "port": {"number": 80}} in led
