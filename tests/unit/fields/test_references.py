"""Fields that name what is rolled out, and by what; and the autoscaler of the primary."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytest

from canary.api.canary import Canary
from canary.api.rules import problems
from canary.controller.configs import ConfigReader, Shared
from canary.controller.observe.caches import Caches, Freshness, KindState
from canary.controller.observe.former_routes import Owners
from canary.controller.observe.index import Index
from canary.controller.observe.observer import Observer
from canary.controller.observe.surroundings import Surroundings
from canary.controller.options import Options
from canary.controller.status_memory import StatusMemory
from canary.kube.client import KubeClient
from canary.kube.types import (
    APISIX_ROUTE,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Resource,
)
from canary.routers.kubernetes import KUBERNETES
from canary.routers.registry import ROUTERS
from canary.routers.traefik import TRAEFIK
from canary.workloads import config_sync
from canary.workloads.autoscalers import AUTOSCALERS
from canary.workloads.configs import ConfigKind, ConfigRef

Shows = Callable[..., None]
At = Callable[[Any, str], Any]


def named(resource: Resource, name: str) -> Json:
    return {"kind": resource.kind, "metadata": {"name": name, "namespace": "shop"}, "spec": {}}


OBJECTS = [
    named(DEPLOYMENT, "app"),
    named(DEPLOYMENT, "other"),
    named(DAEMON_SET, "app"),
    named(HORIZONTAL_POD_AUTOSCALER, "app"),
    named(HORIZONTAL_POD_AUTOSCALER, "other"),
    named(SCALED_OBJECT, "app"),
]


class Known:
    """A cluster that holds these objects."""

    owners = Owners()

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        wanted = (resource.kind, namespace, name)
        found = [
            each
            for each in OBJECTS
            if (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]) == wanted
        ]
        return found[0] if found else None

    def named(self, resource: Resource, namespace: str, names: object) -> dict[str, Json]:
        return {}

    async def need(self, key: str, resources: Iterable[Resource]) -> dict[Resource, KindState]:
        """All is known as it is now."""
        return {each: KindState(Freshness.FRESH) for each in resources}

    async def fill(self, refs: object) -> None:
        """All is known whole."""

    def is_known(self, resource: Resource, namespace: str, name: str) -> bool:
        return self.get(resource, namespace, name) is not None

    def count(self, resource: Resource) -> int:
        return 1


class NoConfigs:
    """Pods read no configuration."""

    async def checksums(self, namespace: str, refs: object) -> dict[str, str]:
        return {}

    async def shared(self, canary: Canary, target: Json, primary: Json) -> Shared:
        return Shared()


def look(raw: Json) -> Surroundings:
    """What the controller, whose own provider is traefik, sees around a Canary."""
    client, caches = cast("KubeClient", None), cast("Caches", Known())
    observer = Observer(
        client, caches, cast("ConfigReader", NoConfigs()), Index(), Options(mesh_provider="traefik"), StatusMemory()
    )
    return asyncio.run(observer.look(raw))


def kind_and_name(obj: Json | None) -> tuple[str, str] | None:
    return None if obj is None else (obj["kind"], obj["metadata"]["name"])


SCALED = {"spec.autoscalerRef.kind": "HorizontalPodAutoscaler", "spec.autoscalerRef.name": "app"}
CASES: list[tuple[str, object, Callable[[Surroundings], object], object, Mapping[str, object]]] = [
    ("spec.targetRef.kind", "DaemonSet", lambda seen: kind_and_name(seen.target), ("DaemonSet", "app"), {}),
    ("spec.targetRef.name", "other", lambda seen: kind_and_name(seen.target), ("Deployment", "other"), {}),
    (
        "spec.autoscalerRef.kind",
        "ScaledObject",
        lambda seen: kind_and_name(seen.autoscaler),
        ("ScaledObject", "app"),
        SCALED,
    ),
    (
        "spec.autoscalerRef.name",
        "other",
        lambda seen: kind_and_name(seen.autoscaler),
        ("HorizontalPodAutoscaler", "other"),
        SCALED,
    ),
    ("spec.provider", "kubernetes", lambda seen: seen.router, KUBERNETES, {}),
]


@pytest.mark.parametrize(("field", "value", "read", "expected", "beside"), CASES)
def test_what_is_named_is_what_is_looked_at(
    shows: Shows,
    field: str,
    value: object,
    read: Callable[[Surroundings], object],
    expected: object,
    beside: Mapping[str, object],
) -> None:
    shows(field, value, lambda raw: read(look(raw)), expected, beside, parse=lambda raw: raw)


def test_where_no_provider_is_named_it_is_the_controllers_own(
    document: Callable[..., Json], make: Callable[..., Canary]
) -> None:
    assert look(make({}).to_json()).router is TRAEFIK


@pytest.mark.parametrize(
    ("field", "kind", "ours", "theirs"),
    [
        ("spec.targetRef.apiVersion", "Deployment", ["apps/v1", "apps/v1beta1", "extensions/v1beta1"], "v2"),
        ("spec.targetRef.apiVersion", "DaemonSet", ["apps/v1", "", "v1"], "apps.kruise.io/v1alpha1"),
        ("spec.targetRef.apiVersion", "StatefulSet", ["apps/v1"], "apps.kruise.io/v1beta1"),
        ("spec.autoscalerRef.apiVersion", "HorizontalPodAutoscaler", ["autoscaling/v2", "autoscaling/v2beta2"], "x/v1"),
        ("spec.autoscalerRef.apiVersion", "ScaledObject", ["keda.sh/v1alpha1"], "keda.k8s.io/v1alpha1"),
    ],
)
def test_a_kind_of_another_group_is_refused(
    make: Callable[..., Canary], field: str, kind: str, ours: list[str], theirs: str
) -> None:
    """There are others of the same name, which are not looked at."""
    room = field.rpartition(".")[0]

    def refused(version: str) -> bool:
        canary = make({f"{room}.kind": kind, f"{room}.name": "app", field: version})
        return any(problem.field == field for problem in problems(canary, "kubernetes"))

    assert [version for version in ours if refused(version)] == []
    assert refused(theirs)


SCALER = "spec.autoscalerRef"
TRIGGER = {"type": "prometheus", "name": "lag", "metadata": {"query": "sum(lag)"}}
HPA: Json = {**named(HORIZONTAL_POD_AUTOSCALER, "app"), "spec": {"minReplicas": 2, "maxReplicas": 4}}
KEDA: Json = {**named(SCALED_OBJECT, "app"), "spec": {"triggers": [TRIGGER]}}
LIMITS = f"{SCALER}.primaryScalerReplicas"


@pytest.mark.parametrize(
    ("field", "value", "scaler", "where", "expected"),
    [
        (f"{LIMITS}.minReplicas", 3, HPA, "spec.minReplicas", 3),
        (f"{LIMITS}.maxReplicas", 9, HPA, "spec.maxReplicas", 9),
        (f"{LIMITS}.minReplicas", 3, KEDA, "spec.minReplicaCount", 3),
        (f"{LIMITS}.maxReplicas", 9, KEDA, "spec.maxReplicaCount", 9),
        (f"{SCALER}.primaryScalerQueries", {"lag": "sum(b)"}, KEDA, "spec.triggers.0.metadata.query", "sum(b)"),
    ],
)
def test_the_primarys_autoscaler_is_made_so(
    shows: Shows, at: At, field: str, value: object, scaler: Json, where: str, expected: object
) -> None:
    beside = {f"{SCALER}.kind": scaler["kind"], f"{SCALER}.name": "app"}

    def read(canary: Canary) -> object:
        return at(AUTOSCALERS[scaler["kind"]].primary(scaler, canary, floor=0), where)

    shows(field, value, read, expected, beside)


REF = "spec.configRefs[]"


@pytest.mark.parametrize(
    ("field", "value", "beside"),
    [
        (f"{REF}.mode", "ignore", {f"{REF}.kind": "Secret", f"{REF}.name": "keys", f"{REF}.mode": "snapshot"}),
        (f"{REF}.name", "keys", {f"{REF}.kind": "Secret", f"{REF}.name": "other", f"{REF}.mode": "ignore"}),
        (f"{REF}.kind", "Secret", {f"{REF}.kind": "ConfigMap", f"{REF}.name": "keys", f"{REF}.mode": "ignore"}),
    ],
)
def test_configuration_is_part_of_a_version_unless_the_spec_says_otherwise(
    shows: Shows, field: str, value: object, beside: Mapping[str, object]
) -> None:
    refs = [ConfigRef(ConfigKind.SECRET, "keys")]
    shows(field, value, lambda canary: config_sync.snapshots(canary, refs), [], beside)


@pytest.mark.parametrize(
    ("by", "field"), [("apisix", f"spec.routeRef.{name}") for name in ("apiVersion", "kind", "name")]
)
def test_the_route_that_is_named_is_read(make: Callable[..., Canary], by: str, field: str) -> None:
    """Of the one kind that the definition of Canaries allows."""
    route = {"apiVersion": APISIX_ROUTE.api_version, "kind": APISIX_ROUTE.kind, "name": "web"}
    canary = make({"spec.routeRef": route})
    (read,) = ROUTERS[by].reads(canary)
    (made,) = ROUTERS[by].makes(canary)
    named = {"apiVersion": read.resource.api_version, "kind": read.resource.kind, "name": read.name}
    assert named[field.rpartition(".")[2]] == route[field.rpartition(".")[2]]
    assert made.name == "web-app-canary"
