"""What is wrong with a CanaryFleet, by field and remedy, before anything of it is tried."""

from typing import Any

import pytest

from canary.api import strict
from canary.api.fleet import parse_fleet
from canary.api.fleet_rules import problems, unheeded
from canary.api.problems import InvalidResource
from tests.unit.fleet.fleets import fleet_of

TWO: list[dict[str, Any]] = [{"name": "one", "count": 1}, {"name": "rest"}]


def told(**spec: Any) -> list[str]:
    """What is told of a fleet with these fields of its spec."""
    return [str(each) for each in problems(fleet_of(**spec))]


def test_a_fleet_that_can_work_has_no_problems() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"waves": []}, "spec.waves: is empty; write one at least, such as [{name: all}]"),
        ({"waves": [TWO[0], {**TWO[1], "name": "one"}]}, "spec.waves[1].name: another wave is called one"),
        (
            {"waves": [{"name": "one", "count": 1, "percent": 5}, TWO[1]]},
            "spec.waves[0].percent: does not go with count",
        ),
        ({"waves": [TWO[0]]}, "spec.waves[0].count: is of the last wave, which has all members that are left"),
        ({"waves": [{"name": "a", "selector": {"matchLabels": {"a": "b"}}}]}, "spec.waves[0].selector: is of the last"),
        (
            {"waves": [{"name": "a", "gates": [{"name": "g", "url": "no"}]}]},
            "spec.waves[0].gates[0].url: 'no' is no address",
        ),
        (
            {"waves": [{"name": "a", "gates": [{"name": "g"}] * 2}]},
            "spec.waves[0].gates[1].name: another gate is called g",
        ),
        ({"waves": [{"name": "a", "quorum": 101}]}, "spec.waves[0].quorum: 101 is too much; write 100 or less"),
        ({"waves": [{"name": "a", "soak": "-5m"}]}, "spec.waves[0].soak: -5m is less than no time; write 0s or more"),
        ({"waves": [{"name": "a", "soak": "9000h"}]}, "spec.waves[0].soak: 9000h is longer than it can be; write 720h"),
        ({"images": {"app": ""}}, "spec.images.app: is empty"),
        ({"release": ""}, "spec.release: is empty"),
        (
            {"members": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "spec.members.selector.matchExpressions[0].values: is empty, with operator In",
        ),
        (
            {"members": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}},
            "spec.members.selector.matchExpressions[0].values: does not go with operator Exists",
        ),
        (
            {"bake": "", "onFailure": "rollbackWave"},
            "spec.template.spec.analysis.bake: is missing, and onFailure rollbackWave brings a promoted member back",
        ),
        (
            {
                "waves": [
                    {
                        "name": "all",
                        "gates": [{"name": "a", "url": "https://a.example.com/", "argocd": {"application": "x"}}],
                    }
                ]
            },
            "spec.waves[0].gates[0]: url and argocd would both answer",
        ),
        (
            {"waves": [{"name": "all", "gates": [{"name": "a", "flux": {"namespace": "x"}}]}]},
            "spec.waves[0].gates[0].flux: names one object",
        ),
        (
            {"bake": "30m", "onFailure": "rollbackAll", "waves": [{"name": "a", "soak": "1h"}]},
            "spec.template.spec.analysis.bake: 30m ends before the soaks of all waves (1h0m0s)",
        ),
    ],
)
def test_what_can_t_work_is_told_with_its_field(spec: dict[str, Any], says: str) -> None:
    found = told(**spec)
    assert any(each.startswith(says) for each in found), found
    assert all("; " in each for each in found)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({"soak": "1h"}, "soak"),
        ({"gates": [{"name": "people"}]}, "gates"),
        ({"maxParallel": 1}, "maxParallel"),
    ],
)
def test_what_counts_for_nothing_while_a_fleet_watches_is_said_and_not_refused(
    written: dict[str, Any], field: str
) -> None:
    """Members roll out by themselves, whatever is written of their order; the fleet may be switched to and fro."""
    fleet = fleet_of(mode="watch", waves=[{"name": "all", **written}])
    (said,) = unheeded(fleet)
    assert str(said) == (
        f"spec.waves[0].{field}: holds nothing up with mode: watch, in which members roll out by themselves; "
        "take it out, or write mode: manage"
    )
    assert problems(fleet) == ()


@pytest.mark.parametrize(
    ("mode", "wave"), [("manage", {"soak": "1h", "maxParallel": 1}), ("watch", {"soak": "0s", "gates": []})]
)
def test_nothing_is_said_of_what_counts_or_is_not_there(mode: str, wave: dict[str, Any]) -> None:
    assert [*unheeded(fleet_of(mode=mode, waves=[{"name": "all", **wave}]))] == []


@pytest.mark.parametrize(
    ("canary", "says"),
    [
        (
            {"targetRef": {"name": "x"}, "analysis": {"intervall": "1m"}},
            "spec.template.spec.analysis.intervall: unknown field",
        ),
        ({"analysis": {"interval": "1m"}}, "spec.template.spec.targetRef: is missing"),
        ({"targetRef": {"name": "x"}, "analysis": {"interval": "never"}}, "spec.template.spec.analysis.interval: "),
    ],
)
def test_the_canary_of_the_template_is_held_to_a_canary_s_own_rules(canary: dict[str, Any], says: str) -> None:
    """Nobody else does: to the API server it is any object."""
    found = told(template={"metadata": {"name": "shop"}, "spec": canary})
    assert any(each.startswith(says) for each in found), found


def test_the_gate_of_the_fleet_has_its_name_to_itself() -> None:
    hook = {"name": "fleet", "type": "pre-rollout", "url": "http://tests.example.com/"}
    analysis = {"interval": "1m", "threshold": 1, "stepWeight": 50, "webhooks": [hook]}
    canary = {
        "provider": "traefik",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
        "service": {"port": 80},
        "analysis": analysis,
    }
    template = {"metadata": {"name": "shop"}, "spec": canary}
    assert told(template=template)[0].startswith("spec.template.spec.analysis.webhooks[0].name: fleet is the name of")
    assert told(template=template, mode="watch") == []


def test_what_can_t_be_read_is_told_with_every_problem() -> None:
    with pytest.raises(InvalidResource) as raised:
        parse_fleet({"metadata": {"name": "x"}, "spec": {"release": 1, "onFailure": "panic"}})
    fields = {each.field for each in raised.value.problems}
    assert fields == {"spec.release", "spec.onFailure", "spec.template", "spec.waves"}


@pytest.mark.parametrize(
    ("version", "kind", "says"),
    [
        (
            "fleet.canary.dev/v1",
            "CanaryFleet",
            "apiVersion: no server knows fleet.canary.dev/v1; write fleet.canary.dev/v1alpha1",
        ),
        ("fleet.canary.dev/v1alpha1", "Canary", "kind: fleet.canary.dev has no kind Canary; did you mean CanaryFleet?"),
        ("flagger.app/v1beta1", "CanaryFleet", "kind: flagger.app has no kind CanaryFleet; did you mean Canary?"),
    ],
)
def test_each_group_has_its_own_kinds(version: str, kind: str, says: str) -> None:
    raw = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": {}}
    assert says in [str(each) for each in strict.problems(raw)]


ROUTE = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "shop"}
EU_US = [{"name": "eu", "share": 60}, {"name": "us", "share": 40}]
ALL = {"name": "all", "strategy": "cluster"}


def traffic(*, routes: list[Any] | None = None, members: list[Any] | None = None) -> dict[str, Any]:
    """A `spec.traffic`."""
    return {"routes": [ROUTE] if routes is None else routes, "members": EU_US if members is None else members}


def test_a_fleet_that_shifts_requests_between_clusters_has_no_problems() -> None:
    steps = {**ALL, "stepWeights": [10, 50], "stepInterval": "5m"}
    assert told(traffic=traffic(), waves=[steps]) == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"waves": [ALL]},
            "spec.waves[0].strategy: cluster shifts requests by routes, and none is named; write spec.t",
        ),
        ({"waves": [ALL], "mode": "watch"}, "spec.waves[0].strategy: cluster does not go with mode: watch"),
        (
            {"waves": [{"name": "all", "stepInterval": "5m"}]},
            "spec.waves[0].stepInterval: is of waves that shift requests between clusters; take it out, or write",
        ),
        (
            {"waves": [{**ALL, "stepWeights": [50, 10]}]},
            "spec.waves[0].stepWeights[1]: 10 is no more than 50, the step",
        ),
        (
            {"waves": [{**ALL, "stepWeights": [100]}]},
            "spec.waves[0].stepWeights[0]: 100 is no part of a share; write 1",
        ),
        ({"traffic": traffic(routes=[])}, "spec.traffic.routes: is empty; name the route that leads to the clusters"),
        ({"traffic": traffic(routes=[ROUTE, ROUTE])}, "spec.traffic.routes[1]: HTTPRoute shop is named before"),
        (
            {"traffic": traffic(routes=[{**ROUTE, "kind": "Ingress"}])},
            "spec.traffic.routes[0].kind: Ingress divides no",
        ),
        (
            {"traffic": traffic(routes=[{**ROUTE, "apiVersion": "networking.istio.io/v1"}])},
            "spec.traffic.routes[0].apiVersion: networking.istio.io/v1 is none of gateway.networking.k8s.io",
        ),
        ({"traffic": traffic(routes=[{**ROUTE, "host": "a"}])}, "spec.traffic.routes[0].host: is of no HTTPRoute"),
        ({"traffic": traffic(routes=[{**ROUTE, "name": ""}])}, "spec.traffic.routes[0].name: is empty; name the HTTPR"),
        ({"traffic": traffic(members=EU_US[:1])}, "spec.traffic.members: names fewer than two clusters, so that none"),
        (
            {"traffic": traffic(members=[EU_US[0], {**EU_US[1], "share": 50}])},
            "spec.traffic.members: has shares that sum to 110; have them sum to 100, percent of all requests",
        ),
        ({"traffic": traffic(members=[*EU_US, EU_US[0]])}, "spec.traffic.members[0].name: eu is named twice"),
        (
            {"traffic": traffic(members=[EU_US[0], {**EU_US[1], "backend": "eu"}])},
            "spec.traffic.members[0].backend: eu stands for another member, too; name what stands for this one",
        ),
        (
            {"traffic": traffic(members=[{**EU_US[0], "share": 160}, {**EU_US[1], "share": -60}])},
            "spec.traffic.members[0].share: 160 is too much; write 100 or less",
        ),
    ],
)
def test_what_of_traffic_can_t_work_is_told_by_field_and_remedy(spec: dict[str, Any], says: str) -> None:
    assert any(each.startswith(says) for each in told(**spec)), told(**spec)
