from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.kube.types import Json
from canary.workloads import configs
from canary.workloads.base import Rules
from canary.workloads.configs import ConfigKind, ConfigRef

CONFIG_MAP, SECRET = ConfigKind.CONFIG_MAP, ConfigKind.SECRET


def template(**pod_spec: object) -> Json:
    return {"spec": pod_spec}


class TestReferences:
    @pytest.mark.parametrize("field", ["containers", "initContainers"])
    def test_env_and_env_from_of_every_kind_of_container(self, field: str) -> None:
        container = {
            "env": [
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}},
                {"name": "C", "value": "plain"},
                {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d"}}],
        }
        assert {ref.key for ref in configs.references(template(**{field: [container]}))} == {
            "configmap/a",
            "secret/b",
            "configmap/c",
            "secret/d",
        }

    def test_volumes_and_projected_volumes(self) -> None:
        volumes = [
            {"name": "a", "configMap": {"name": "a"}},
            {"name": "b", "secret": {"secretName": "b"}},
            {"name": "c", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "d"}}]}},
            {"name": "e", "emptyDir": {}},
        ]
        assert {ref.key for ref in configs.references(template(volumes=volumes))} == {
            "configmap/a",
            "secret/b",
            "configmap/c",
            "secret/d",
        }

    def test_pull_secrets_are_not_configuration(self) -> None:
        assert configs.references(template(imagePullSecrets=[{"name": "registry"}])) == frozenset()

    def test_one_place_that_needs_it_makes_it_required(self) -> None:
        volumes = [
            {"name": "a", "configMap": {"name": "both", "optional": True}},
            {"name": "b", "configMap": {"name": "both"}},
            {"name": "c", "secret": {"secretName": "never", "optional": True}},
        ]
        assert configs.references(template(volumes=volumes)) == {
            ConfigRef(CONFIG_MAP, "both"),
            ConfigRef(SECRET, "never", optional=True),
        }

    def test_an_empty_template_has_none(self) -> None:
        assert configs.references({}) == frozenset()


class TestTracking:
    @pytest.mark.parametrize("value", ["disabled", "disable"])
    def test_an_object_opts_out_by_annotation(self, value: str) -> None:
        obj = {"kind": "ConfigMap", "metadata": {"annotations": {"flagger.app/config-tracking": value}}}
        assert not configs.is_tracked(obj)

    def test_any_other_annotation_tracks(self) -> None:
        obj = {"kind": "ConfigMap", "metadata": {"annotations": {"flagger.app/config-tracking": "enabled"}}}
        assert configs.is_tracked(obj)

    @pytest.mark.parametrize(
        ("type_", "tracked"),
        [
            ("Opaque", True),
            ("kubernetes.io/tls", True),
            ("kubernetes.io/basic-auth", True),
            ("kubernetes.io/ssh-auth", True),
            ("kubernetes.io/dockerconfigjson", False),
            ("kubernetes.io/service-account-token", False),
        ],
    )
    def test_secrets_of_apps_are_tracked_and_those_of_machinery_not(self, type_: str, *, tracked: bool) -> None:
        assert configs.is_tracked({"kind": "Secret", "metadata": {}, "type": type_}) is tracked

    def test_the_status_names_each_tracked_object_that_exists(self) -> None:
        refs = [ConfigRef(CONFIG_MAP, "a"), ConfigRef(SECRET, "b"), ConfigRef(CONFIG_MAP, "gone")]
        objects = {
            "configmap/a": {"kind": "ConfigMap", "metadata": {}, "data": {"k": "v"}},
            "secret/b": {"kind": "Secret", "metadata": {}, "type": "kubernetes.io/dockercfg"},
        }
        assert configs.tracked_configs(refs, objects) == {"configmap/a": "666c1aa02e8068c6"}

    def test_what_pods_need_and_is_not_there_is_missing(self) -> None:
        refs = [ConfigRef(CONFIG_MAP, "a"), ConfigRef(SECRET, "b", optional=True), ConfigRef(SECRET, "c")]
        assert configs.missing(refs, {"secret/c": {}}) == (ConfigRef(CONFIG_MAP, "a"),)


class TestChecksum:
    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (None, "74234e98afe7498f"),
            ({"k": "v"}, "666c1aa02e8068c6"),
            # Whoever kept these escaped `<`, `>`, `&` and the two line separators; other letters stay.
            ({"b": "<a&b>", "a": "é\u2028\n"}, "25805e56453ff77c"),
        ],
    )
    def test_is_what_existing_statuses_hold(self, data: dict[str, str] | None, expected: str) -> None:
        """sha256 over compact JSON with sorted keys, its first 8 bytes in hex."""
        obj = {"metadata": {}} if data is None else {"metadata": {}, "data": data}
        assert configs.checksum(obj) == expected

    def test_binary_data_counts(self) -> None:
        plain = {"data": {"k": "v"}}
        one, two = ({**plain, "binaryData": {"k": value}} for value in ("AA==", "AQ=="))
        assert len({configs.checksum(plain), configs.checksum(one), configs.checksum(two)}) == 3

    @given(st.dictionaries(st.text(), st.text()))
    def test_does_not_depend_on_the_order_of_keys(self, data: dict[str, str]) -> None:
        shuffled = dict(reversed(data.items()))
        assert configs.checksum({"data": data}) == configs.checksum({"data": shuffled})


def test_copies_of_two_canaries_settle(make_canary: Callable[..., Canary]) -> None:
    """Each applies a copy tied to both, and applying again changes nothing."""
    source = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    one = make_canary()
    two = one.replace(metadata=one.metadata.replace(name="other", uid="uid-2"))
    first = configs.primary_copy(source, one, rules=Rules())
    both = configs.primary_copy(source, two, rules=Rules(), existing=first)
    controllers = [owner["uid"] for owner in both["metadata"]["ownerReferences"] if owner["controller"]]
    assert controllers == ["uid-1"]
    assert configs.primary_copy(source, two, rules=Rules(), existing=both) == both
    settled = configs.primary_copy(source, one, rules=Rules(), existing=both)
    assert {owner["uid"] for owner in settled["metadata"]["ownerReferences"]} == {"uid-1", "uid-2"}
    assert configs.primary_copy(source, two, rules=Rules(), existing=settled) == both


def test_a_name_without_room_for_the_suffix_is_a_problem_beforehand() -> None:
    longest, longer = "c" * 245, "c" * 246
    assert configs.problems([f"configmap/{longest}", f"secret/{longest}"]) == ()
    (problem,) = configs.problems([f"configmap/{longest}", f"secret/{longer}"])
    assert problem.message.startswith(f"Secret {longer}-primary would have a name of more than 253 characters")
    assert "mode follow" in problem.remedy


@pytest.mark.parametrize(
    ("existing", "copy", "fixed"),
    [
        ({"kind": "Secret", "type": "Opaque"}, {"kind": "Secret"}, False),
        ({"kind": "Secret", "type": "Opaque"}, {"kind": "Secret", "type": "kubernetes.io/tls"}, True),
        ({"kind": "ConfigMap"}, {"kind": "ConfigMap"}, False),
        ({"kind": "ConfigMap", "immutable": True}, {"kind": "ConfigMap"}, True),
    ],
)
def test_what_can_not_be_changed_is_made_anew(existing: Json, copy: Json, *, fixed: bool) -> None:
    assert configs.is_fixed(existing, copy) is fixed
