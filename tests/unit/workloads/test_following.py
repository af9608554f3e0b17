"""Configuration by its mode: what is copied, what is followed, what a restart is needed for, and what is refused."""

from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.kube.types import Json
from canary.workloads import config_sync, configs
from canary.workloads.configs import ConfigRef

KINDS = {"configmap": "ConfigMap", "secret": "Secret"}


def canary_of(**modes: str) -> Canary:
    """A Canary with these modes; `secret_app="follow"` is about the Secret `app`."""
    refs = []
    for key, mode in modes.items():
        kind, _, name = key.partition("_")
        refs.append({"kind": KINDS[kind], "name": name, "mode": mode})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    return parse_canary({"metadata": {"name": "app"}, "spec": {"targetRef": target, "configRefs": refs}})


def template(*containers: Json, **pod_spec: Any) -> Json:
    return {"spec": {"containers": list(containers), **pod_spec}}


ENV_FROM = {"envFrom": [{"secretRef": {"name": "app"}}]}
ENV = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "a"}}}]}
VOLUMES = [
    {"name": "secret", "secret": {"secretName": "app"}},
    {"name": "both", "projected": {"sources": [{"configMap": {"name": "app"}}, {"secret": {"name": "other"}}]}},
]


class TestReadAtStart:
    """What no running pod notices a change of."""

    @pytest.mark.parametrize("field", ["containers", "initContainers"])
    @pytest.mark.parametrize(("container", "key"), [(ENV_FROM, "secret/app"), (ENV, "configmap/app")])
    def test_environment(self, field: str, container: Json, key: str) -> None:
        assert configs.read_at_start({"spec": {field: [container]}}) == {key}

    @pytest.mark.parametrize("mount", [{"subPath": "file"}, {"subPathExpr": "$(NAME)"}])
    def test_a_file_that_is_mounted_by_its_path(self, mount: Json) -> None:
        container = {"volumeMounts": [{"name": "both", **mount}]}
        assert configs.read_at_start(template(container, volumes=VOLUMES)) == {"configmap/app", "secret/other"}

    def test_what_a_container_mounts_that_has_ended_by_then(self) -> None:
        first = {"volumeMounts": [{"name": "secret"}]}
        assert configs.read_at_start(template(initContainers=[first], volumes=VOLUMES)) == {"secret/app"}

    @pytest.mark.parametrize("field", ["containers", "initContainers"])
    def test_not_a_whole_volume_of_a_container_that_runs(self, field: str) -> None:
        """A sidecar is an init container that goes on."""
        container = {"restartPolicy": "Always", "volumeMounts": [{"name": "secret"}, {"name": "both"}]}
        assert configs.read_at_start({"spec": {field: [container], "volumes": VOLUMES}}) == frozenset()


class TestModes:
    REFS = configs.references(template(ENV_FROM, ENV))

    def test_without_a_word_everything_is_part_of_a_version(self) -> None:
        assert {ref.key for ref in config_sync.snapshots(canary_of(), self.REFS)} == {"configmap/app", "secret/app"}

    @pytest.mark.field("spec.configRefs[].kind", "spec.configRefs[].name", "spec.configRefs[].mode")
    @pytest.mark.parametrize("mode", ["follow", "ignore"])
    def test_what_is_shared_is_none_of_a_version(self, mode: str) -> None:
        assert [ref.key for ref in config_sync.snapshots(canary_of(secret_app=mode), self.REFS)] == ["configmap/app"]

    def test_a_snapshot_may_be_named_too(self) -> None:
        assert len(config_sync.snapshots(canary_of(secret_app="snapshot"), self.REFS)) == 2

    def test_only_what_is_followed_and_read_at_start_takes_new_pods(self) -> None:
        pods = template(ENV_FROM, {**ENV, "volumeMounts": [{"name": "both"}]}, volumes=VOLUMES)
        followed = config_sync.followed(
            canary_of(secret_app="follow", secret_other="follow", configmap_app="ignore"), pods
        )
        assert [ref.key for ref in followed] == ["secret/app"]


class TestDigest:
    def test_nothing_followed_has_none(self) -> None:
        assert config_sync.digest({}) == ""

    def test_it_changes_with_contents_and_with_what_there_is(self) -> None:
        digests = [config_sync.digest(each) for each in ({"secret/a": "1"}, {"secret/a": "2"}, {"secret/b": "1"})]
        assert len(set(digests)) == 3

    def test_a_primary_is_marked_with_what_its_pods_read(self) -> None:
        manifest = {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}, "spec": {}}}}
        made = config_sync.marked(manifest, "d1")
        assert config_sync.followed_by(made) == "d1"
        assert made["spec"]["template"]["metadata"]["annotations"]["a"] == "b"
        assert config_sync.followed_by(manifest) == "", "the original stays as it is"
        assert config_sync.marked(manifest, "") == manifest

    def test_the_patch_that_makes_new_pods_says_the_same(self) -> None:
        assert config_sync.followed_by(config_sync.rolled("d2")) == "d2"


class TestProblems:
    READ = (ConfigRef(configs.ConfigKind.SECRET, "app"),)

    def test_what_pods_read_has_none(self) -> None:
        assert config_sync.problems(canary_of(secret_app="follow"), self.READ, tracking=True) == ()

    def test_what_no_pod_reads_is_refused_by_name(self) -> None:
        (problem,) = config_sync.problems(
            canary_of(secret_app="ignore", configmap_app="follow"), self.READ, tracking=True
        )
        assert str(problem) == (
            "spec.configRefs[1]: no pod of app reads ConfigMap app; correct its name, or take it out"
        )

    def test_a_controller_that_looks_at_no_configuration_can_only_ignore_it(self) -> None:
        canary = canary_of(secret_app="follow", configmap_app="ignore")
        (problem,) = config_sync.problems(canary, (), tracking=False)
        assert problem.field == "spec.configRefs[0]"
        assert "--enable-config-tracking=false" in problem.message
