"""Members as values: what is changed is another one, what is claimed twice is none, and no text shows a credential."""

import base64
import json
import logging
import pickle
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from hypothesis import given
from hypothesis import strategies as st

from canary.fleet.members.base import Member, SecretRef, Unusable
from canary.fleet.members.registry import SOURCES, Roster, members, secrets_of
from canary.kube.access import Access, Hidden
from canary.kube.types import Json
from tests.unit.fleet.members.shapes import as_served, told

CASES: dict[str, list[Json]] = {
    f"{path.parent.name}/{path.stem}": [as_served(each) for each in yaml.safe_load(path.read_text())["objects"]]
    for path in sorted(Path(__file__).parent.glob("golden/*/*.yaml"))
}
"""The objects of each golden file."""

USABLE = {
    case: objects
    for case, objects in CASES.items()
    if isinstance(next(iter(members(objects).values())).connection, Access)
}


def kubeconfig_secret(name: str, token: str, namespace: str = "shop", **labels: str) -> Json:
    (found,) = deepcopy(CASES["kubeconfig/token"])
    found["metadata"] |= {"name": name, "namespace": namespace}
    found["metadata"]["labels"] |= labels
    written = base64.b64decode(found["data"]["kubeconfig"]).decode().replace("eyJ0b2tlbg", token)
    return {**found, "data": {"kubeconfig": base64.b64encode(written.encode()).decode()}}


def one(objects: list[Json]) -> Member:
    (found,) = members(objects).values()
    return found


def usable(member: Member) -> Access:
    assert isinstance(member.connection, Access)
    return member.connection


def unusable(member: Member) -> Unusable:
    assert isinstance(member.connection, Unusable)
    return member.connection


def test_what_is_added_and_removed_is_there_and_is_not() -> None:
    one, two = kubeconfig_secret("one", "t1"), kubeconfig_secret("two", "t2")

    assert {*members([])} == set()
    assert {*members([one, two])} == {"one", "two"}
    assert members([two]) == {"two": members([one, two])["two"]}


def test_rotated_credentials_are_another_value_with_another_fingerprint() -> None:
    before, after = (usable(one([kubeconfig_secret("eu", token)])) for token in ("t1", "t2"))

    assert before != after
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize("case", USABLE)
def test_the_same_objects_are_the_same_value(case: str) -> None:
    first, second = one(USABLE[case]), one(deepcopy(USABLE[case]))

    assert first == second
    assert usable(first).fingerprint == usable(second).fingerprint


def test_a_fingerprint_can_not_be_tried_out_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process has a key of its own: from a fingerprint nobody finds the password that makes it."""
    here = usable(one(USABLE["argocd/password"])).fingerprint
    monkeypatch.setattr("canary.kube.access._KEY", b"of another process")

    assert usable(one(USABLE["argocd/password"])).fingerprint != here


def test_two_clusters_of_one_name_are_none_and_say_who_claims_it() -> None:
    shop, infra = (
        kubeconfig_secret("eu", "t1", env="prod"),
        kubeconfig_secret("eu", "t2", namespace="infra", env="test"),
    )

    found = one([shop, infra])

    assert str(unusable(found)) == (
        "Secret infra/eu: metadata.name: is the name of Secret shop/eu (kubeconfig), too; "
        "give each cluster a name of its own, or leave out one of the sources"
    )
    assert found.labels["env"] == "test"


def test_two_sources_that_name_one_cluster_can_be_told_apart_by_leaving_one_out() -> None:
    """Rancher makes a Cluster of Fleet for each of Cluster API, under the same name."""
    fleet = deepcopy(CASES["rancher-fleet/kubeconfig"])
    for each in fleet:
        each["metadata"]["name"] = each["metadata"]["name"].replace("eu", "production-cluster")
    fleet[0]["spec"]["kubeConfigSecret"] = "production-cluster-kubeconfig"
    both = [*fleet, *CASES["cluster-api/v1beta2"]]

    assert "Cluster fleet-default/production-cluster (rancher-fleet), too" in str(unusable(one(both)))
    alone = {name: source for name, source in SOURCES.items() if name != "rancher-fleet"}
    assert usable(members(both, alone)["production-cluster"]).server == "https://production-cluster.example.com:6443"


def test_a_secret_without_a_label_is_no_member_and_one_with_two_is_told() -> None:
    plain = kubeconfig_secret("eu", "t1")
    del plain["metadata"]["labels"]["fleet.canary.dev/member"]
    both = kubeconfig_secret("eu", "t1", **{"argocd.argoproj.io/secret-type": "cluster"})

    assert members([plain]) == {}
    assert "is the name of Secret shop/eu (kubeconfig), too" in str(unusable(one([both])))


def test_which_secrets_are_to_be_read_is_known_from_metadata() -> None:
    bare = {key: value for key, value in kubeconfig_secret("eu", "t1").items() if key != "data"}

    assert secrets_of([bare]) == {SecretRef("shop", "eu")}
    assert "has no kubeconfig" in str(unusable(one([bare])))


SEVERAL = [
    each
    for case in ("argocd/exec", "kubeconfig/token", "kubefed/token", "rancher-fleet/not-imported")
    for each in CASES[case]
]


@given(st.permutations(SEVERAL))
def test_the_order_of_objects_makes_no_difference(objects: list[Json]) -> None:
    assert [*members(objects).items()] == [*members(SEVERAL).items()]


def test_a_roster_makes_only_those_anew_that_have_changed() -> None:
    roster, first, second = Roster(), kubeconfig_secret("one", "t1"), kubeconfig_secret("two", "t2")
    before = roster.members([first, second])
    after = roster.members([first, kubeconfig_secret("two", "t3")])

    assert after["one"] is before["one"]
    assert after["two"] != before["two"]
    assert roster.members([first]) == {"one": before["one"]}
    assert roster.members([first, second])["two"] is not before["two"]


@pytest.mark.parametrize("case", ["cluster-api/v1beta2", "kubefed/token", "rancher-fleet/kubeconfig"])
def test_a_roster_sees_that_a_secret_has_changed_alone(case: str) -> None:
    roster, (obj, secret) = Roster(), USABLE[case]
    (before,) = roster.members([obj, secret]).values()
    (gone,) = roster.members([obj]).values()
    (again,) = roster.members([obj, secret]).values()

    assert (usable(before), "which is not there" in str(unusable(gone))) == (usable(again), True)


def credentials_of(case: str) -> Iterator[str]:
    """Every credential in the objects of a golden file, as it stands there and as it is sent."""
    member = told(one(CASES[case]))
    for each in (member[name] for name in ("token", "key", "password", "proxy") if name in member):
        yield each
        yield base64.b64encode(each.encode()).decode()
    yield from (value for obj in CASES[case] for value in obj.get("data", {}).values())


def texts_of(value: object, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """All the ways by which a value comes to be read by people."""
    yield from (repr(value), str(value), f"{value}", f"{[value]}", json.dumps(value, default=str))
    yield from (json.dumps(value, default=repr), logging.makeLogRecord({"msg": "%s", "args": (value,)}).getMessage())
    for renderer in (structlog.processors.JSONRenderer(), structlog.dev.ConsoleRenderer()):
        structlog.wrap_logger(structlog.PrintLogger(), processors=[renderer]).info("a member", member=value)
        yield capsys.readouterr().out


@pytest.mark.parametrize("case", CASES)
def test_no_text_shows_a_credential(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    member = one(CASES[case])
    way = member.connection
    shown = [text for value in (member, way, *_within(way)) for text in texts_of(value, capsys)]

    for credential in filter(None, credentials_of(case)):
        assert not [text for text in shown if credential in text]


def _within(way: Access | Unusable) -> Iterator[object]:
    if isinstance(way, Access):
        yield from (way.credentials, *way.credentials, way.fingerprint, way.proxy)


def test_a_hidden_text_is_not_written_anywhere() -> None:
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(Hidden("s3cret"))


MARK = "eyJtYXJr"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just(MARK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All the places within a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def misshapen(draw: st.DrawFn) -> list[Json]:
    """The objects of a golden file, of which one part is something else: of an object, or of a text within a Secret."""
    objects = draw(st.sampled_from([*CASES.values()]))
    index = draw(st.integers(0, len(objects) - 1))
    obj = objects[index]
    kept = ("apiVersion", "kind", "metadata")
    where = draw(st.sampled_from([each for each in places(obj) if len(each) > 1 or (each and each[0] not in kept)]))
    new = draw(JSON_VALUES)
    if where[0] == "data" and len(where) > 1 and draw(st.booleans()):
        new = base64.b64encode(_inside(draw, obj["data"][where[1]], new).encode()).decode()
    return [*objects[:index], replaced(obj, where, new), *objects[index + 1 :]]


def _inside(draw: st.DrawFn, encoded: str, new: Any) -> str:
    """A text of a Secret, of which one part is something else."""
    text = base64.b64decode(encoded).decode()
    document = {} if "[eyJ" in text else yaml.safe_load(text)
    return json.dumps(replaced(document, draw(st.sampled_from([*places(document)])), new))


WRONG: tuple[Any, ...] = (None, True, 7, "", "x", [], [[]], {}, {"name": []}, [{"name": {}}])
"""One of each shape."""


@pytest.mark.parametrize("case", USABLE)
def test_a_wrong_shape_in_any_place_of_an_object_is_no_crash(case: str) -> None:
    objects = USABLE[case]
    spoiled = [
        [*objects[:index], replaced(obj, where, wrong), *objects[index + 1 :]]
        for index, obj in enumerate(objects)
        for where in places(obj)
        if where not in ((), ("kind",), ("apiVersion",))
        for wrong in WRONG
    ]

    found = [each.connection for objects in spoiled for each in members(objects).values()]

    assert {*map(type, found)} <= {Access, Unusable}
    assert all(all((way.problem.field, way.problem.message)) for way in found if isinstance(way, Unusable))


@given(misshapen())
def test_whatever_stands_there_a_member_is_usable_or_says_object_and_field(objects: list[Json]) -> None:
    for member in members(objects).values():
        if isinstance(member.connection, Unusable):
            problem = member.connection.problem
            assert member.connection.of.split()[0] in {str(each["kind"]) for each in objects}
            assert all((problem.field, problem.message, problem.remedy))
        else:
            assert member.connection.server.startswith("https://")
            assert member.connection.credentials


@st.composite
def marked(draw: st.DrawFn) -> list[Json]:
    """The objects of a golden file with a Secret, of which one part of a text is what must not be repeated."""
    objects = draw(st.sampled_from([case for case in CASES.values() if "data" in case[-1]]))
    secret = objects[-1]
    key = draw(st.sampled_from([*secret["data"]]))
    marks = st.sampled_from([MARK, [MARK], {MARK: MARK}, f"https://{MARK}@host", f"[{MARK}", f"{MARK}:", f"a {MARK}\n"])
    inside = st.just(f"token: [{MARK}") | st.builds(lambda new: _inside(draw, secret["data"][key], new), marks)
    text = base64.b64encode(draw(inside).encode()).decode()
    return [*objects[:-1], {**secret, "data": {**secret["data"], key: draw(st.sampled_from([text, MARK]))}}]


@given(marked())
def test_why_a_member_can_not_be_used_repeats_nothing_of_a_secret(objects: list[Json]) -> None:
    ways = [each.connection for each in members(objects).values()]

    assert not [way for way in ways if isinstance(way, Unusable) and MARK in f"{way} {way!r}"]


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
def test_no_object_whatsoever_is_too_much(source: str, data: st.DataObject) -> None:
    (resource,), selector = SOURCES[source].resources, dict(SOURCES[source].selector)
    fields = st.dictionaries(st.sampled_from(["spec", "status", "data", "metadata"]), JSON_VALUES)
    named = st.fixed_dictionaries(
        {"labels": st.just(selector)}, optional={"name": JSON_VALUES, "namespace": JSON_VALUES}
    )
    of_kind = {"apiVersion": resource.api_version, "kind": resource.kind}

    anything: Json = {**data.draw(fields), **of_kind}
    labelled: Json = {**anything, "metadata": data.draw(named)}

    assert isinstance(one([labelled]).connection, Unusable)
    assert {*map(type, (each.connection for each in members([anything]).values()))} <= {Unusable}
    secrets_of([anything, labelled])
