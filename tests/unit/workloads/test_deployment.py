import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.problems import Problem
from canary.api.traffic import Readiness
from canary.kube.types import Json
from canary.workloads.base import Rules
from canary.workloads.deployment import Deployment

DEPLOYMENT = Deployment()
RULES = Rules()

names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
labels = st.dictionaries(st.sampled_from(["tier", "name", "version"]), names, max_size=3)
env = st.lists(st.fixed_dictionaries({"name": names, "value": names}), max_size=4)


@st.composite
def deployments(draw: st.DrawFn) -> Json:
    """Deployments that the API server would store: the selector matches the template's labels."""
    selected = {**draw(labels), "app": draw(names)}
    return {
        "metadata": {"name": draw(names), "namespace": "shop", "labels": draw(labels)},
        "spec": {
            "selector": {"matchLabels": selected},
            "template": {
                "metadata": {"creationTimestamp": None, "labels": {**draw(labels), **selected}},
                "spec": {"containers": [{"name": "app", "env": draw(env), "resources": None}]},
            },
        },
    }


def canary_of(deployment: Json) -> Canary:
    name = deployment["metadata"]["name"]
    return parse_canary(
        {
            "metadata": {"name": name, "namespace": "shop", "uid": "uid-1"},
            "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}},
        }
    )


def primary_of(deployment: Json, tracked: dict[str, str] | None = None, existing: Json | None = None) -> Json:
    return DEPLOYMENT.primary(deployment, canary_of(deployment), tracked=tracked or {}, rules=RULES, existing=existing)


def problems(canary: Canary, target: Json) -> tuple[Problem, ...]:
    return DEPLOYMENT.problems(canary, target, rules=RULES, observed={})


def selects(workload: Json, template: Json) -> bool:
    pod_labels = template["metadata"]["labels"]
    return all(pod_labels.get(key) == value for key, value in workload["spec"]["selector"]["matchLabels"].items())


@given(deployments())
def test_neither_version_selects_pods_of_the_other(target: Json) -> None:
    primary = primary_of(target)
    assert selects(target, target["spec"]["template"])
    assert selects(primary, primary["spec"]["template"])
    assert not selects(target, primary["spec"]["template"])
    assert not selects(primary, target["spec"]["template"])


@given(deployments(), st.dictionaries(names.map("configmap/{}".format), names, max_size=2))
def test_cloning_is_idempotent_and_leaves_the_target_alone(target: Json, tracked: dict[str, str]) -> None:
    before = copy.deepcopy(target)
    first = primary_of(target, tracked)
    assert primary_of(target, tracked, existing=first) == first
    assert target == before


@given(deployments())
def test_the_primary_says_which_revision_it_carries(target: Json) -> None:
    tracked = {"configmap/settings": "0123"}
    assert DEPLOYMENT.primary_revision(primary_of(target, tracked)) == DEPLOYMENT.carried(target, tracked)


@given(deployments())
def test_the_manifest_holds_no_null_and_leaves_replicas_to_the_scaler(target: Json) -> None:
    def has_null(value: Any) -> bool:
        if isinstance(value, dict):
            return any(has_null(item) for item in value.values())
        return value is None or (isinstance(value, list) and any(map(has_null, value)))

    primary = primary_of(target)
    assert not has_null(primary)
    assert "replicas" not in primary["spec"]


@given(deployments())
def test_applied_lists_have_unique_keys(target: Json) -> None:
    for container in primary_of(target)["spec"]["template"]["spec"]["containers"]:
        keys = [entry["name"] for entry in container["env"]]
        assert len(keys) == len(set(keys))


def test_a_primary_that_nobody_marked_carries_an_unknown_revision() -> None:
    assert DEPLOYMENT.primary_revision({"metadata": {"name": "my-app-primary"}}) is None


class TestRevision:
    def test_ignores_what_makes_no_other_pods(self, make_deployment: Callable[..., Json]) -> None:
        """Replicas, status, null fields, empty metadata and the order of fields are not part of a revision."""
        plain = make_deployment()
        noisy = copy.deepcopy(plain)
        noisy["spec"]["replicas"] = 7
        noisy["status"] = {"readyReplicas": 7}
        noisy["spec"]["template"]["metadata"] |= {"creationTimestamp": None, "annotations": {}}
        noisy["spec"]["template"]["spec"]["affinity"] = None
        noisy["spec"]["template"] = dict(reversed(noisy["spec"]["template"].items()))
        assert DEPLOYMENT.revision(noisy) == DEPLOYMENT.revision(plain)

    @pytest.mark.parametrize(
        "change",
        [
            {"containers": [{"name": "app", "image": "my-app:2"}]},
            {"containers": [{"name": "app", "image": "my-app:1", "env": [{"name": "A", "value": "1"}]}]},
            {"volumes": [{"name": "scratch", "emptyDir": {}}]},
            {"serviceAccountName": "other"},
        ],
    )
    def test_changes_with_the_pod_spec(self, make_deployment: Callable[..., Json], change: dict[str, Any]) -> None:
        assert DEPLOYMENT.revision(make_deployment(**change)) != DEPLOYMENT.revision(make_deployment())

    def test_a_restart_is_a_new_revision(self, make_deployment: Callable[..., Json]) -> None:
        restarted = make_deployment()
        restarted["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
        assert DEPLOYMENT.revision(restarted) != DEPLOYMENT.revision(make_deployment())

    def test_new_contents_of_a_configuration_are_carried_too(self, make_deployment: Callable[..., Json]) -> None:
        target = make_deployment()
        carried = {DEPLOYMENT.carried(target, {"configmap/a": checksum}) for checksum in ("1", "2")}
        assert len(carried | {DEPLOYMENT.carried(target, {})}) == 3
        assert DEPLOYMENT.carried(target, {}) == DEPLOYMENT.revision(target)

    def test_the_primary_makes_new_pods_when_only_the_configuration_changed(
        self, make_deployment: Callable[..., Json]
    ) -> None:
        target = make_deployment()
        old, new = (primary_of(target, {"configmap/a": checksum})["spec"]["template"] for checksum in ("1", "2"))
        assert old != new

    def test_is_the_same_in_every_release(self, make_deployment: Callable[..., Json]) -> None:
        """Statuses hold it: another hash would roll out every Canary when the controller is updated."""
        assert DEPLOYMENT.revision(make_deployment()) == "63f0f3264c4cdc56"
        assert DEPLOYMENT.carried(make_deployment(), {"configmap/a": "1"}) == "63f0f3264c4cdc56-5350febf"


class TestSelectorLabel:
    def test_is_the_first_allowed_that_the_target_selects_by(self, make_deployment: Callable[..., Json]) -> None:
        target = make_deployment(labels={"tier": "front", "app.kubernetes.io/name": "b", "name": "a"})
        label = DEPLOYMENT.selector_label(target, RULES)
        assert label is not None
        assert (label.key, label.value, label.primary) == ("name", "a", "a-primary")

    def test_follows_the_command_line(self, make_deployment: Callable[..., Json]) -> None:
        label = DEPLOYMENT.selector_label(make_deployment(labels={"tier": "x"}), Rules(selector_labels=("tier",)))
        assert label is not None
        assert label.key == "tier"

    def test_none_is_a_problem_that_names_the_labels(
        self, make_deployment: Callable[..., Json], make_canary: Callable[..., Canary]
    ) -> None:
        target = make_deployment(labels={"tier": "front"})
        (problem,) = problems(make_canary(), target)
        assert problem.field == "spec.targetRef"
        assert "app, name, app.kubernetes.io/name" in problem.message
        assert "--selector-labels" in problem.remedy
        with pytest.raises(ValueError, match="selector labels"):
            primary_of(target)

    def test_a_value_that_leaves_no_room_for_the_suffix_is_a_problem(
        self, make_deployment: Callable[..., Json], make_canary: Callable[..., Canary]
    ) -> None:
        (problem,) = problems(make_canary(), make_deployment(labels={"app": "x" * 56}))
        assert "longer than 63" in problem.message
        assert not problems(make_canary(), make_deployment(labels={"app": "x" * 55}))


def test_a_name_that_leaves_no_room_for_the_suffix_is_a_problem(make_deployment: Callable[..., Json]) -> None:
    target = make_deployment()
    target["metadata"]["name"] = "d" * 246
    (problem,) = problems(canary_of(target), target)
    assert problem.field == "spec.targetRef.name"


def test_a_port_declared_twice_is_a_problem_as_it_cannot_be_applied(
    make_deployment: Callable[..., Json], make_canary: Callable[..., Canary]
) -> None:
    twice = [{"name": "http", "containerPort": 9898}, {"name": "metrics", "containerPort": 9898, "protocol": "TCP"}]
    target = make_deployment(containers=[{"name": "app", "ports": twice}])
    (problem,) = problems(make_canary(), target)
    assert "declares port 9898 more than once" in problem.message


def test_host_aliases_of_one_address_are_merged(make_deployment: Callable[..., Json]) -> None:
    aliases = [{"ip": "10.0.0.1", "hostnames": ["a"]}, {"ip": "10.0.0.1", "hostnames": ["b", "a"]}]
    made = primary_of(make_deployment(hostAliases=aliases))
    assert made["spec"]["template"]["spec"]["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]


def test_every_label_is_included_on_demand_but_none_of_gitops_tools(make_deployment: Callable[..., Json]) -> None:
    target = make_deployment()
    target["metadata"]["labels"] = {"team": "blue", "kustomize.toolkit.fluxcd.io/name": "apps"}
    target["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x"}
    made = DEPLOYMENT.primary(target, canary_of(target), tracked={}, rules=Rules(include_label_prefixes=("*",)))
    assert made["metadata"]["labels"] == {"team": "blue", "app": "my-app-primary"}
    assert made["metadata"]["annotations"].keys() == {"note", "flagger.app/revision"}


class TestReadiness:
    def test_reads_the_status(self) -> None:
        workload = {
            "metadata": {"generation": 3},
            "spec": {"replicas": 4},
            "status": {
                "observedGeneration": 3,
                "replicas": 5,
                "updatedReplicas": 4,
                "readyReplicas": 3,
                "availableReplicas": 2,
            },
        }
        assert DEPLOYMENT.readiness(workload) == Readiness(4, updated=4, ready=3, available=2, total=5)

    def test_what_is_absent_is_none_and_replicas_are_one(self) -> None:
        assert DEPLOYMENT.readiness({"spec": {}}) == Readiness(1, updated=0, ready=0, available=0, total=0)

    def test_a_status_of_an_older_generation_is_not_observed_and_not_stalled(self) -> None:
        seen = DEPLOYMENT.readiness({"metadata": {"generation": 4}, "status": stalled_status(3)})
        assert not seen.observed
        assert seen.stalled == ""

    def test_a_missed_deadline_is_told_with_what_keeps_pods_from_being_made(self) -> None:
        seen = DEPLOYMENT.readiness({"metadata": {"generation": 3}, "status": stalled_status(3)})
        assert seen.stalled == "ReplicaSet x has timed out progressing.: exceeded quota: pods=0"

    def test_a_quota_is_told_at_once(self) -> None:
        """Not only when the Deployment's own deadline is over, ten minutes later by default."""
        status = stalled_status(3)
        status["conditions"][0] |= {"status": "True", "reason": "ReplicaSetUpdated"}
        assert (
            DEPLOYMENT.readiness({"metadata": {"generation": 3}, "status": status}).stalled == "exceeded quota: pods=0"
        )


def stalled_status(generation: int) -> Json:
    return {
        "observedGeneration": generation,
        "conditions": [
            {
                "type": "Progressing",
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "message": "ReplicaSet x has timed out progressing.",
            },
            {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=0"},
        ],
    }


def test_scaling_patches_replicas_alone_and_nothing_where_they_are_so(make_deployment: Callable[..., Json]) -> None:
    assert DEPLOYMENT.scaled(make_deployment(), 0) == {"spec": {"replicas": 0}}
    assert DEPLOYMENT.scaled(make_deployment(), 2) == {}


class TestPrimaryThatIsThere:
    """A selector can't be changed: the primary keeps the one that it was made with, and Services go by that."""

    OLD: ClassVar[dict[str, str]] = {"app": "my-app-primary"}

    def primary(self, canary: Canary, target: Json, existing: Json | None) -> Json:
        return DEPLOYMENT.primary(target, canary, tracked={}, rules=RULES, existing=existing)

    @pytest.mark.parametrize(
        ("labels", "rules"),
        [
            ({"app": "other"}, RULES),
            ({"name": "my-app"}, RULES),
            ({"app": "my-app", "tier": "web"}, Rules(selector_labels=("tier", "app"))),
        ],
        ids=["the target has another value", "the target has another label", "the controller prefers another label"],
    )
    def test_its_pods_and_services_follow_its_own_selector(
        self, make_canary: Callable[..., Canary], make_deployment: Callable[..., Json], labels: Json, rules: Rules
    ) -> None:
        canary = make_canary()
        before = self.primary(canary, make_deployment(), None)
        target = make_deployment(labels=labels)
        made = DEPLOYMENT.primary(target, canary, tracked={}, rules=rules, existing=before)
        (apex,) = DEPLOYMENT.apex_services(target, canary, rules=rules, observed={}, primary=before)
        first, follower = DEPLOYMENT.version_services(target, canary, rules=rules, observed={}, primary=before)

        pods = made["spec"]["template"]["metadata"]["labels"]
        assert made["spec"]["selector"] == before["spec"]["selector"] == {"matchLabels": self.OLD}
        assert self.OLD.items() <= pods.items()
        assert apex["spec"]["selector"] == first["spec"]["selector"] == self.OLD
        assert not labels.items() <= pods.items(), "the target would take the primary's pods for its own"
        assert follower["spec"]["selector"].items() <= labels.items()
        assert not follower["spec"]["selector"].items() <= pods.items()

    def test_ports_that_are_discovered_are_those_of_the_pods_behind_them(
        self, make_canary: Callable[..., Canary], make_deployment: Callable[..., Json]
    ) -> None:
        """A new version without a port takes it from no user of the old one before it is promoted."""

        def with_port(name: str, number: int) -> Json:
            ports = [{"name": name, "containerPort": number}]
            return make_deployment(containers=[{"name": "app", "image": "x", "ports": ports}])

        canary, target = make_canary(portDiscovery=True), with_port("new", 9000)
        before = self.primary(canary, with_port("old", 8000), None)
        (apex,) = DEPLOYMENT.apex_services(target, canary, rules=RULES, observed={}, primary=before)
        versions = DEPLOYMENT.version_services(target, canary, rules=RULES, observed={}, primary=before)
        assert [[port["port"] for port in each["spec"]["ports"]] for each in (apex, *versions)] == [
            [9898, 8000],
            [9898, 8000],
            [9898, 9000],
        ]

    def test_its_pods_keep_away_from_each_other_by_the_label_that_they_have(
        self, make_canary: Callable[..., Canary], make_deployment: Callable[..., Json]
    ) -> None:
        term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "other"}}}
        affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        target = make_deployment(labels={"app": "other"}, affinity=affinity)
        before = self.primary(make_canary(), make_deployment(), None)
        made = self.primary(make_canary(), target, before)["spec"]["template"]["spec"]["affinity"]
        (kept,) = made["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert kept["labelSelector"]["matchLabels"] == self.OLD

    def test_it_carries_the_target_whatever_label_is_preferred_now(
        self, make_canary: Callable[..., Canary], make_deployment: Callable[..., Json]
    ) -> None:
        """Taken over from Flagger with other --selector-labels, no rollout begins."""
        target = make_deployment(labels={"app": "my-app", "tier": "web"})
        before = self.primary(make_canary(), target, None)
        rules = Rules(selector_labels=("tier",))
        assert DEPLOYMENT.carries(before, target, tracked={}, copies={}, rules=rules)


def test_a_label_without_a_value_tells_nothing_apart(make_deployment: Callable[..., Json]) -> None:
    """As a file may have it, which no API server has looked at."""
    target = make_deployment()
    target["spec"]["selector"]["matchLabels"] = {"app": None}
    assert DEPLOYMENT.selector_label(target, RULES) is None
