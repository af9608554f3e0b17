"""Which addresses may be called: held against what is connected to, and not against what somebody has written."""

import socket
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.connections import Connections, Manner
from outbound.destinations import REFUSED, DeniedError, Destinations, network
from outbound.errors import RefusedError
from outbound.message import Request
from tests.unit.outbound.servers import OK, saying, serving

KEEPING = Manner(total=8, per_host=8, largest=1000, again=True, idle=60)
LONG = 30.0
"""Seconds: never waited for."""


def destinations(allowed: str = "", denied: str = "") -> Destinations:
    return Destinations(*(tuple(map(network, each.split())) for each in (allowed, denied)))


def may(address: str, allowed: str = "", denied: str = "") -> bool:
    try:
        destinations(allowed, denied).check(address)
    except DeniedError:
        return False
    return True


@pytest.mark.parametrize("refused", [str(each) for each in REFUSED])
def test_link_local_addresses_and_those_of_metadata_are_refused_unless_they_are_allowed(refused: str) -> None:
    first = str(ip_network(refused)[0])
    assert not may(first)
    assert may(first, allowed=refused)
    assert may(first, allowed=first)
    assert not may(first, allowed="0.0.0.0/0 ::/0"), "a wide network says nothing of it"
    assert not may(first, allowed=refused, denied=refused)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd00::1", "192.0.2.1"])
def test_what_nobody_denies_may_be_called_loopback_included(address: str) -> None:
    assert may(address)


def test_the_narrowest_network_counts() -> None:
    flags = {"denied": "10.0.0.0/8 10.1.2.3", "allowed": "10.1.0.0/16"}
    assert [may(each, **flags) for each in ("10.0.0.1", "10.1.2.4", "10.1.2.3", "11.0.0.1")] == [
        False,
        True,
        False,
        True,
    ]
    assert [may(each, "10.0.0.0/8", "0.0.0.0/0 ::/0") for each in ("10.9.9.9", "192.0.2.1", "::1")] == [
        True,
        False,
        False,
    ]


def test_an_address_is_the_one_that_it_leads_to() -> None:
    assert not may("::ffff:10.0.0.1", denied="10.0.0.0/8")
    assert not may("64:ff9b::a00:1", denied="10.0.0.0/8")
    assert not may(str(ip_address(0)), denied="127.0.0.0/8")
    assert not may("::", denied="::1")
    assert not may("fe80::1%eth0")


@given(st.ip_addresses(), st.ip_addresses())
def test_what_is_denied_by_its_own_address_is_refused_and_no_other(one: object, other: object) -> None:
    assert not may(str(one), denied=str(one))
    assert may(str(other), denied=str(one)) <= may(str(other))


async def test_a_denied_address_is_not_connected_to_and_the_flag_is_named() -> None:
    async with (
        serving(saying(OK)) as server,
        Connections(KEEPING, destinations=destinations(denied="127.0.0.2/32")) as asking,
    ):
        assert (await asking.send(Request("GET", server.url), LONG)).status == 200
        with pytest.raises(RefusedError) as refused:
            await asking.send(Request("GET", f"http://127.0.0.2:{server.port}/"), LONG)
        assert str(refused.value) == (
            "127.0.0.2 is an address that must not be called; "
            "to allow it, give the controller --allow-destination=127.0.0.2"
        )
        assert server.connections == 1


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names lead to, at each look."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: int, **options: int) -> list[object]:
        answers = known.get(host, [[host]])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [info for each in found for info in real(each, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


async def test_a_name_that_leads_to_a_denied_address_is_refused(names: dict[str, list[list[str]]]) -> None:
    names["gate.test"] = [["127.0.0.2", "127.0.0.3"]]
    async with (
        serving(saying(OK)) as server,
        Connections(KEEPING, destinations=destinations(denied="127.0.0.2 127.0.0.3")) as asking,
    ):
        with pytest.raises(RefusedError, match=r"127\.0\.0\.2 .* --allow-destination=127\.0\.0\.2"):
            await asking.send(Request("GET", f"http://gate.test:{server.port}/"), LONG)
        assert server.connections == 0


async def test_of_several_addresses_those_that_are_allowed_are_called(names: dict[str, list[list[str]]]) -> None:
    names["gate.test"] = [["127.0.0.2", "127.0.0.1"]]
    async with (
        serving(saying(OK)) as server,
        Connections(KEEPING, destinations=destinations(denied="127.0.0.2")) as asking,
    ):
        assert (await asking.send(Request("GET", f"http://gate.test:{server.port}/"), LONG)).status == 200


async def test_what_a_name_leads_to_later_is_refused_then(names: dict[str, list[list[str]]]) -> None:
    """There is no moment between a look at the address and the connection: the socket's own address is looked at."""
    names["gate.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    manner = Manner(total=8, per_host=8, largest=1000)
    denied = destinations(denied="127.0.0.2")
    async with serving(saying(OK)) as server:
        url = f"http://gate.test:{server.port}/"
        async with Connections(manner, destinations=denied) as asking:
            assert (await asking.send(Request("GET", url), LONG)).status == 200
        async with Connections(manner, destinations=denied) as asking:
            with pytest.raises(RefusedError):
                await asking.send(Request("GET", url), LONG)
        assert server.connections == 1


async def test_a_proxy_has_to_be_allowed_and_so_has_a_number_behind_it() -> None:
    async with (
        serving(saying(OK)) as proxy,
        Connections(KEEPING, destinations=destinations(denied="127.0.0.2 192.0.2.1")) as asking,
    ):
        for url, through in (("http://far.test/", "127.0.0.2"), ("http://192.0.2.1/", "127.0.0.1")):
            with pytest.raises(RefusedError):
                await asking.send(Request("GET", url, proxy=f"http://{through}:{proxy.port}"), LONG)
        assert proxy.connections == 0
        sent = await asking.send(Request("GET", "http://far.test/", proxy=f"http://127.0.0.1:{proxy.port}"), LONG)
        assert sent.status == 200


async def test_what_this_machine_is_asked_about_itself_is_asked_anyway_over_a_connection_that_nobody_gets() -> None:
    async with (
        serving(saying(OK)) as server,
        Connections(KEEPING, destinations=destinations(denied="127.0.0.0/8")) as asking,
    ):
        assert (await asking.send(Request("GET", server.url, direct=True), LONG)).status == 200
        with pytest.raises(RefusedError):
            await asking.send(Request("GET", server.url), LONG)
        assert (await asking.send(Request("GET", server.url, direct=True), LONG)).status == 200
        assert server.connections == 2
