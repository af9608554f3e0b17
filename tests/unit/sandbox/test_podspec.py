"""What a pod's spec asks for: variables, files, ports."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.types import Json
from canary.sandbox.node import podspec
from canary.sandbox.node.podspec import Identity, MissingReferenceError

IDENTITY = Identity(namespace="shop", name="web-1", uid="u", ip="10.244.0.2", node="node-1", node_ip="10.0.1.1")
CONTENTS = {("ConfigMap", "settings"): {"color": b"blue", "size": b"9"}, ("Secret", "keys"): {"token": b"hush"}}


def lookup(kind: str, name: str) -> podspec.Data | None:
    return CONTENTS.get((kind, name))


def pod(container: Json, **spec: object) -> Json:
    metadata = {"name": "web-1", "labels": {"app": "web"}, "annotations": {"team/owner": "a"}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def environment(container: Json) -> dict[str, str]:
    return podspec.environment(pod(container), container, IDENTITY, lookup)


def files(container: Json, **spec: object) -> dict[str, bytes]:
    return podspec.files(pod(container, **spec), container, IDENTITY, lookup)


def test_every_program_is_told_where_to_listen() -> None:
    variables = environment({"ports": [{"containerPort": 8080}, {"containerPort": 9090}]})
    assert variables["HOST"] == variables["POD_IP"] == "10.244.0.2"
    assert variables["PORT"] == "8080"


def test_the_specs_own_variables_win() -> None:
    assert environment({"ports": [{"containerPort": 8080}], "env": [{"name": "PORT", "value": "1"}]})["PORT"] == "1"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"configMapKeyRef": {"name": "settings", "key": "color"}}, "blue"),
        ({"secretKeyRef": {"name": "keys", "key": "token"}}, "hush"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web-1"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.244.0.2"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['team/owner']"}}, "a"),
    ],
)
def test_a_variable_can_come_from_elsewhere(source: Json, value: str) -> None:
    assert environment({"env": [{"name": "X", "valueFrom": source}]})["X"] == value


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "a"}}, "ConfigMap none does not exist"),
        ({"secretKeyRef": {"name": "keys", "key": "none"}}, "Secret keys has no key none"),
    ],
)
def test_what_a_variable_comes_from_must_exist_unless_it_is_optional(source: Json, words: str) -> None:
    with pytest.raises(MissingReferenceError, match=words):
        environment({"env": [{"name": "X", "valueFrom": source}]})
    ((kind, reference),) = source.items()
    optional = {kind: {**reference, "optional": True}}
    assert "X" not in environment({"env": [{"name": "X", "valueFrom": optional}]})


def test_all_of_a_config_map_can_become_variables() -> None:
    sources = [{"configMapRef": {"name": "settings"}, "prefix": "CFG_"}, {"secretRef": {"name": "keys"}}]
    variables = environment({"envFrom": sources})
    assert (variables["CFG_color"], variables["CFG_size"], variables["token"]) == ("blue", "9", "hush")


def test_variables_refer_to_those_before_them() -> None:
    entries = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$$(A)"}]
    assert environment({"env": entries})["B"] == "1$(C)$(A)"


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_dollars_stays(text: str) -> None:
    assert podspec.expand(text, {"A": "1"}) == text


def test_volumes_become_files_below_their_mounts() -> None:
    mounts = [{"name": "all", "mountPath": "/etc/all/"}, {"name": "some", "mountPath": "/etc/some"}]
    volumes = [
        {"name": "all", "configMap": {"name": "settings"}},
        {"name": "some", "secret": {"secretName": "keys", "items": [{"key": "token", "path": "deep/t"}]}},
    ]
    found = files({"volumeMounts": mounts}, volumes=volumes)
    assert found == {"/etc/all/color": b"blue", "/etc/all/size": b"9", "/etc/some/deep/t": b"hush"}


def test_a_sub_path_mounts_one_file() -> None:
    mounts = [{"name": "all", "mountPath": "/etc/color.txt", "subPath": "color"}]
    volumes = [{"name": "all", "configMap": {"name": "settings"}}]
    assert files({"volumeMounts": mounts}, volumes=volumes) == {"/etc/color.txt": b"blue"}


def test_a_projected_volume_holds_the_files_of_all_its_sources() -> None:
    downward = {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}}, {"downwardAPI": downward}]
    volumes = [{"name": "all", "projected": {"sources": sources}}]
    found = files({"volumeMounts": [{"name": "all", "mountPath": "/x"}]}, volumes=volumes)
    assert found == {"/x/color": b"blue", "/x/size": b"9", "/x/token": b"hush", "/x/name": b"web-1"}


def test_an_empty_dir_holds_nothing() -> None:
    mounts = [{"name": "scratch", "mountPath": "/scratch"}]
    assert files({"volumeMounts": mounts}, volumes=[{"name": "scratch", "emptyDir": {}}]) == {}


def test_references_are_all_that_the_spec_mentions() -> None:
    container: Json = {
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}}],
        "envFrom": [{"secretRef": {"name": "b"}}],
    }
    sources = [{"secret": {"name": "e"}}]
    volumes = [{"configMap": {"name": "c"}}, {"secret": {"secretName": "d"}}, {"projected": {"sources": sources}}]
    spec = pod(container, volumes=volumes, initContainers=[{"envFrom": [{"configMapRef": {"name": "f"}}]}])
    expected = {("ConfigMap", name) for name in "acf"} | {("Secret", name) for name in "bde"}
    assert podspec.references(spec) == expected


def test_contents_are_bytes() -> None:
    encoded = base64.b64encode(b"\xff").decode()
    assert podspec.contents({"kind": "Secret", "data": {"a": encoded}}) == {"a": b"\xff"}
    assert podspec.contents({"kind": "ConfigMap", "data": {"a": "ü"}, "binaryData": {"b": encoded}}) == {
        "a": "ü".encode(),
        "b": b"\xff",
    }
    assert podspec.contents({"kind": "ConfigMap"}) == {}


@pytest.mark.parametrize(("value", "number"), [(80, 80), ("81", 81), ("http", 9898), ("none", 0)])
def test_ports_go_by_number_or_name(value: int | str, number: int) -> None:
    assert podspec.port_number(value, {"ports": [{"name": "http", "containerPort": 9898}]}) == number
