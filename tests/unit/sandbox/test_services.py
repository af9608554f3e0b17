"""Who is behind a Service's address, and what its names stand for."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.store import Change, Key
from canary.kube.types import Json
from canary.sandbox.network.dns import Names, answer
from canary.sandbox.network.services import Backends, Directory


def change(obj: Json | None, old: Json | None = None) -> Change[Json]:
    metadata = (obj or old or {})["metadata"]
    return Change(Key(metadata["namespace"], metadata["name"]), old, obj)


def service(name: str, **spec: object) -> Json:
    ports = [{"name": "http", "port": 80}]
    return {"metadata": {"namespace": "test", "name": name}, "spec": {"clusterIP": "10.96.1.1", "ports": ports, **spec}}


def endpoint(address: str, **conditions: bool) -> Json:
    return {"addresses": [address], "conditions": conditions}


def slice_of(name: str, *endpoints: Json, service: str = "shop") -> Json:
    metadata = {"namespace": "test", "name": name, "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "ports": [{"name": "http", "port": 9898}], "endpoints": list(endpoints)}


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    directory.set_service(change(service("shop")))
    return directory


def test_a_listener_exists_as_long_as_its_service(directory: Directory) -> None:
    assert directory.listeners() == {("10.96.1.1", 80): (("test", "shop"), "http")}
    directory.set_service(change(None, service("shop")))
    assert directory.listeners() == {}


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"ports": None}, {"ports": [{"port": 53, "protocol": "UDP"}]}])
def test_some_services_have_no_listener(spec: dict[str, object]) -> None:
    directory = Directory()
    directory.set_service(change(service("shop", **spec)))
    assert directory.listeners() == {}


def test_only_ready_endpoints_get_connections(directory: Directory) -> None:
    directory.set_slice(change(slice_of("a", endpoint("10.244.0.1", ready=True), endpoint("10.244.0.2", ready=False))))
    directory.set_slice(change(slice_of("b", endpoint("10.244.0.3"))))
    backends = directory.backends(("test", "shop"), "http")
    assert backends.usable == (("10.244.0.1", 9898), ("10.244.0.3", 9898))
    assert directory.backends(("test", "shop"), "other") == Backends()


def test_ending_endpoints_that_serve_are_the_last_resort(directory: Directory) -> None:
    ending = endpoint("10.244.0.1", ready=False, serving=True, terminating=True)
    directory.set_slice(change(slice_of("a", ending)))
    assert directory.backends(("test", "shop"), "http").usable == (("10.244.0.1", 9898),)
    directory.set_slice(change(slice_of("b", endpoint("10.244.0.2", ready=True))))
    assert directory.backends(("test", "shop"), "http").usable == (("10.244.0.2", 9898),)


def test_a_slice_that_goes_or_changes_hands_takes_its_endpoints_along(directory: Directory) -> None:
    first = slice_of("a", endpoint("10.244.0.1"))
    directory.set_slice(change(first))
    moved = slice_of("a", endpoint("10.244.0.1"), service="other")
    directory.set_slice(change(moved, first))
    assert directory.backends(("test", "shop"), "http").usable == ()
    assert directory.backends(("test", "other"), "http").usable == (("10.244.0.1", 9898),)
    directory.set_slice(change(None, moved))
    assert directory.backends(("test", "other"), "http").usable == ()


@pytest.mark.parametrize(
    "name",
    ["shop", "shop.test", "shop.test.svc", "shop.test.svc.cluster.local", "shop.test.svc.cluster.local.", "SHOP"],
)
def test_a_service_goes_by_all_its_names(directory: Directory, name: str) -> None:
    assert Names(directory, "test", {}).resolve(name) == ["10.96.1.1"]


@pytest.mark.parametrize("name", ["none", "shop.other", "shop.test.svc.example", "a.shop.test", ""])
def test_other_names_do_not_exist(directory: Directory, name: str) -> None:
    assert Names(directory, "test", {}).resolve(name) is None


def test_further_names_come_first_and_may_lead_to_others(directory: Directory) -> None:
    extra = {"my-app.canary": "10.0.0.80", "alias": "shop.test", "loop": "loop"}
    names = Names(directory, "test", extra)
    assert names.resolve("my-app.canary") == ["10.0.0.80"]
    assert names.resolve("my-app.canary.svc") == ["10.0.0.80"]
    assert names.resolve("alias") == ["10.96.1.1"]
    assert names.resolve("loop") is None


def test_a_headless_service_is_its_ready_pods() -> None:
    directory = Directory()
    directory.set_service(change(service("shop", clusterIP="None")))
    directory.set_slice(change(slice_of("a", endpoint("10.244.0.1"), endpoint("10.244.0.2", ready=False))))
    assert Names(directory, "test", {}).resolve("shop") == ["10.244.0.1"]


def test_an_external_name_is_followed(directory: Directory) -> None:
    directory.set_service(change(service("far", type="ExternalName", externalName="shop.test.svc.cluster.local")))
    assert Names(directory, "test", {}).resolve("far") == ["10.96.1.1"]


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers"),
    [("shop.test", 1, 0, 1), ("shop.test", 28, 0, 0), ("none.test", 1, 3, 0)],
)
def test_the_name_server_tells_absent_names_from_absent_records(
    directory: Directory, name: str, kind: int, code: int, answers: int
) -> None:
    reply = answer(question(name, kind), Names(directory, "test", {}))
    assert reply is not None
    number, flags, questions, count, *_ = struct.unpack_from("!6H", reply)
    assert (number, flags & 0xF, questions, count) == (7, code, 1, answers)
    assert reply.endswith(b"\x0a\x60\x01\x01") == (answers == 1)


@given(st.binary(max_size=60))
def test_the_name_server_survives_anything(data: bytes) -> None:
    reply = answer(data, Names(Directory(), "test", {}))
    assert reply is None or reply[:2] == data[:2]
