"""What is kept of a primary makes the same primary again."""

from collections.abc import Callable
from typing import Any

import pytest

from canary.api.canary import Canary
from canary.kube.types import DEPLOYMENT, Json
from canary.workloads import configs, revisions
from canary.workloads.base import Rules
from canary.workloads.configs import ConfigKind, ConfigRef
from canary.workloads.daemonset import NOWHERE, DaemonSet
from canary.workloads.deployment import Deployment
from canary.workloads.service_target import ServiceTarget

RULES = Rules(include_label_prefixes=("team",))

Make = Callable[..., Canary]
MakeJson = Callable[..., Json]


def kept(primary: Json, canary: Canary, *, number: int = 1, refs: tuple[ConfigRef, ...] = ()) -> Json:
    essence = Deployment().essence(primary)
    return revisions.record(primary, essence, canary, revision="abc", configs=refs, number=number)


def test_a_primary_is_made_again_as_it_was_applied(make_canary: Make, make_deployment: MakeJson) -> None:
    canary, target = make_canary(), make_deployment()
    applied = Deployment().primary(target, canary, tracked={}, rules=RULES)
    revision = Deployment().primary_revision(applied)
    stored = {**applied, "status": {"replicas": 3}, "spec": {**applied["spec"], "replicas": 3, "paused": False}}
    record = revisions.record(
        stored, Deployment().essence(stored), canary, revision=revision or "", configs=(), number=1
    )

    assert revisions.primary(record, DEPLOYMENT, canary, existing=stored) == applied


def test_one_that_is_there_keeps_its_selector(make_canary: Make, make_deployment: MakeJson) -> None:
    """It was made anew since, of a target that selects its pods by another label."""
    canary = make_canary()
    old = Deployment().primary(make_deployment(labels={"name": "old"}), canary, tracked={}, rules=RULES)
    there = Deployment().primary(make_deployment(), canary, tracked={}, rules=RULES)
    made = revisions.primary(kept(old, canary), DEPLOYMENT, canary, existing=there)

    assert made["spec"]["selector"] == {"matchLabels": {"app": "my-app-primary"}}
    assert made["spec"]["template"]["metadata"]["labels"]["app"] == "my-app-primary"


def test_replicas_are_no_part_of_it(make_canary: Make, make_deployment: MakeJson) -> None:
    """They belong to whoever scales."""
    record = kept(make_deployment(), make_canary())

    assert "replicas" not in record["data"]["spec"]


def test_a_daemon_set_that_is_kept_off_all_nodes_is_kept_without_that(make_deployment: MakeJson) -> None:
    essence = DaemonSet().essence(make_deployment(nodeSelector={NOWHERE: "true", "disk": "fast"}))

    assert essence["template"]["spec"]["nodeSelector"] == {"disk": "fast"}


def test_of_a_service_is_kept_where_it_leads() -> None:
    spec = {"selector": {"app": "shop"}, "clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30000}]}
    essence = ServiceTarget().essence({"kind": "Service", "spec": spec})

    assert essence == {"type": "ClusterIP", "selector": {"app": "shop"}, "ports": [{"port": 80}]}


def test_it_goes_with_its_canary_and_is_found_by_its_revision(make_canary: Make, make_deployment: MakeJson) -> None:
    record = kept(make_deployment(), make_canary())

    assert record["metadata"]["name"] == revisions.record_name(make_canary(), "abc") == "my-app-primary-abc"
    assert record["metadata"]["labels"] == {"flagger.app/canary": "my-app"}
    assert [owner["uid"] for owner in record["metadata"]["ownerReferences"]] == ["uid-1"]
    assert revisions.revision_of(record) == "abc"


def test_its_name_fits_however_long_the_primarys_is(make_canary: Make) -> None:
    ref = ConfigRef(ConfigKind.SECRET, "x" * 250)

    assert len(revisions.config_name(ref, "0123456789abcdef-01234567")) == 253


@pytest.mark.parametrize("name", ["a" * 62 + "-b", "a" * 80, "app.v1"])
def test_its_label_is_one(make_canary: Make, name: str) -> None:
    canary = make_canary()
    value = revisions.label_value(canary.replace(metadata=canary.metadata.replace(name=name)))

    assert len(value) <= 63
    assert value[-1].isalnum()


def test_numbers_go_up(make_canary: Make, make_deployment: MakeJson) -> None:
    records = [kept(make_deployment(), make_canary(), number=number) for number in (3, 1)]

    assert revisions.next_number(records) == 4
    assert revisions.next_number([]) == 1


def test_its_number_can_be_told_from_its_metadata_alone(make_canary: Make, make_deployment: MakeJson) -> None:
    record = kept(make_deployment(), make_canary(), number=7)
    metadata_only = {key: record[key] for key in ("apiVersion", "kind", "metadata")}

    assert revisions.is_numbered(metadata_only)
    assert revisions.next_number([metadata_only]) == 8


def test_one_of_before_its_number_stood_there_is_no_numbered_one() -> None:
    assert not revisions.is_numbered({"metadata": {"name": "app-r1"}, "revision": 3})
    assert revisions.next_number([{"metadata": {"name": "app-r1"}, "revision": 3}]) == 4


def test_the_oldest_go_unless_they_are_needed() -> None:
    def numbered(number: int) -> Json:
        annotations = {"flagger.app/revision": f"r{number}"}
        return {"metadata": {"name": f"app-r{number}", "annotations": annotations}, "revision": number}

    records = [numbered(number) for number in (2, 5, 1, 4, 3)]
    gone = revisions.superfluous(records, {"r2"})

    assert [revisions.revision_of(each) for each in gone] == ["r1", "r3"]


class TestConfigs:
    """ConfigMaps and Secrets are kept as what they are, not inside of another kind."""

    REFS = (ConfigRef(ConfigKind.SECRET, "password-primary"), ConfigRef(ConfigKind.CONFIG_MAP, "settings-primary"))

    def test_their_contents_are_no_part_of_the_record(self, make_canary: Make, make_deployment: MakeJson) -> None:
        record = kept(make_deployment(), make_canary(), refs=self.REFS)

        assert set(revisions.configs_of(record)) == set(self.REFS)
        assert record["metadata"]["annotations"]["flagger.app/configs"] == (
            "configmap/settings-primary,secret/password-primary"
        )

    def test_they_are_kept_as_long_as_their_revision(self, make_canary: Make, make_deployment: MakeJson) -> None:
        record = kept(make_deployment(), make_canary(), refs=self.REFS)
        record["metadata"]["uid"] = "uid-2"
        made = revisions.config(secret(), record, make_canary())

        assert made["metadata"]["name"] == revisions.config_name(self.REFS[0], "abc") == "password-primary-abc"
        assert [(each["kind"], each["uid"]) for each in made["metadata"]["ownerReferences"]] == [
            ("ControllerRevision", "uid-2")
        ]
        assert made["immutable"] is True

    def test_what_is_put_back_is_what_was_there(self, make_canary: Make, make_deployment: MakeJson) -> None:
        canary, copy = make_canary(), secret()
        record = kept(make_deployment(), canary, refs=self.REFS)
        made = revisions.config(copy, record, canary)
        again = configs.primary_copy(revisions.put_back(made, self.REFS[0]), canary, rules=RULES, existing=copy)

        assert again == copy


def secret(**fields: Any) -> Json:
    """A primary's copy of a Secret."""
    owner = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "name": "my-app",
        "uid": "uid-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "password-primary",
            "namespace": "shop",
            "labels": {"team": "shop"},
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "data": {"password": "c2VjcmV0"},
        **fields,
    }
