"""A baseline is made of the primary, and no Service and no selector of others leads to its pods."""

from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json
from canary.workloads import baseline
from canary.workloads.base import Rules
from canary.workloads.deployment import Deployment

RULES = Rules()
DEPLOYMENT = Deployment()


def canary(**service: object) -> Canary:
    metric = {"name": "request-success-rate", "compareTo": "baseline"}
    return parse_canary(
        {
            "metadata": {"name": "web", "namespace": "shop", "uid": "uid-1"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80, **service},
                "analysis": {"stepWeight": 10, "metrics": [metric]},
            },
        }
    )


def target(**pods: Any) -> Json:
    spread = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
    spec = {
        "containers": [{"name": "c", "image": "i:1", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
        "topologySpreadConstraints": [spread],
    }
    labels = {"app": "web", "tier": "front", "flagger.app/service": "web"}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate"},
            "minReadySeconds": 7,
            "template": {"metadata": {"labels": labels}, "spec": {**spec, **pods}},
        },
    }


def primary() -> Json:
    tracked = {"configmap/settings": "1234"}
    return DEPLOYMENT.primary(target(), canary(), tracked=tracked, rules=RULES, existing=None)


def made(of: Json | None = None, revision: str = "v1.v2", **service: object) -> tuple[Json, Json]:
    return baseline.manifests(
        of or primary(), canary(**service), rules=RULES, observed={}, revision=revision, replicas=3
    )


def test_it_runs_what_the_primary_runs_with_the_primarys_configuration() -> None:
    _, workload = made()
    pods = workload["spec"]["template"]["spec"]
    assert pods["containers"] == primary()["spec"]["template"]["spec"]["containers"]
    assert pods["containers"][0]["envFrom"] == [{"configMapRef": {"name": "settings-primary"}}]
    assert pods["topologySpreadConstraints"][0]["labelSelector"] == {"matchLabels": {"app": "web-baseline"}}
    assert (workload["metadata"]["name"], workload["spec"]["replicas"]) == ("web-baseline", 3)
    assert workload["spec"]["minReadySeconds"] == 7


@pytest.mark.parametrize("selected", [{"app": "web-primary"}, {"app": "web-primary", "tier": "front"}, {"who": "web"}])
def test_only_its_own_service_leads_to_its_pods(selected: dict[str, str]) -> None:
    """Also where another controller has chosen by what the primary is selected."""
    of = primary()
    of["spec"]["selector"] = {"matchLabels": selected}
    of["spec"]["template"]["metadata"]["labels"] |= selected
    service, workload = made(of)
    labels = workload["spec"]["template"]["metadata"]["labels"]

    def selects(selector: Json) -> bool:
        return bool(selector.items() <= labels.items())

    assert selects(service["spec"]["selector"])
    assert selects(workload["spec"]["selector"]["matchLabels"])
    assert not selects(selected), "the primary's own, and those of its Services"
    assert not selects({"app": "web"}), "the target's own, and that of the canary's Service"
    assert "flagger.app/service" not in labels, "that of both versions, by the numbers of pods"


def test_another_rollout_has_its_pods_made_anew_and_the_same_one_has_not() -> None:
    (_, first), (_, same), (_, other) = made(), made(), made(revision="v1.v3")
    assert first == same
    assert first["spec"]["template"] != other["spec"]["template"]
    assert first["spec"]["selector"] == other["spec"]["selector"]


def test_both_are_the_canarys_own_and_marked_so_that_nothing_else_is_ever_deleted() -> None:
    for each in made():
        assert baseline.is_made_for(canary(), each)
        assert baseline.revision_of(each) == "v1.v2"
        stranger = {**each, "metadata": {**each["metadata"], "ownerReferences": []}}
        assert not baseline.is_made_for(canary(), stranger)
    assert not baseline.is_made_for(canary(), primary())


def test_its_service_is_called_as_the_canarys_is() -> None:
    service, _ = made(canary={"annotations": {"scheme": "h2c"}})
    assert service["metadata"]["name"] == "web-baseline"
    assert service["metadata"]["annotations"]["scheme"] == "h2c"
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]


def test_a_label_that_would_be_too_long_is_refused() -> None:
    named = target()
    value = "w" * 55
    named["spec"]["selector"]["matchLabels"]["app"] = named["spec"]["template"]["metadata"]["labels"]["app"] = value
    (problem,) = DEPLOYMENT.problems(canary(), named, rules=RULES, observed={})
    assert "the baseline's label app would be longer" in problem.message
