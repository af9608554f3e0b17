"""Proxies and authorities that the environment names: asked, trusted, and told without what lets one in."""

from collections.abc import Callable

import pytest

from outbound.connections import Connections, Manner
from outbound.errors import CannotAskError, OutboundError
from outbound.message import Request
from tests.unit.outbound.servers import OK, answer, saying, serving

READING = Manner(total=8, per_host=8, largest=1000, again=True, idle=60)
LONG = 30.0
"""Seconds: never waited for."""


def get(url: str) -> Request:
    return Request("GET", url)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize("written", ["http://{}", "{}", "http://me:SECRET@{}"])
async def test_a_proxy_is_asked_that_the_environment_or_the_request_names(
    written: str, environment: Callable[[str, str], None]
) -> None:
    async with serving(saying(OK)) as proxy, serving(saying(OK)) as near, Connections(READING) as asking:
        address = written.format(f"127.0.0.1:{proxy.port}")
        await asking.send(Request("GET", "http://far.test/x", proxy=address), LONG)
        environment("HTTP_PROXY", address)
        environment("NO_PROXY", "127.0.0.1")
        await asking.send(get("http://farther.test/y"), LONG)
        await asking.send(get(near.url), LONG)
        assert [head.split(" HTTP", 1)[0] for head in proxy.heads] == [
            "GET http://far.test/x",
            "GET http://farther.test/y",
        ]
        assert len(near.heads) == 1
        for request in (0, 1):
            assert bool(proxy.header("proxy-authorization", request)) is ("SECRET" in written)


@pytest.mark.parametrize("proxy", ["http://me:SECRET@[", "socks5://me:SECRET@p", "http://me:SECRET@h:99999", "http://"])
@pytest.mark.parametrize("named", ["request", "environment"])
async def test_a_proxy_that_cant_be_used_is_told_without_its_password(
    proxy: str, named: str, environment: Callable[[str, str], None]
) -> None:
    if named == "environment":
        environment("http_proxy", proxy)
    async with Connections(READING) as asking:
        with pytest.raises(CannotAskError, match="proxy") as refused:
            await asking.send(Request("GET", "http://far.test/", proxy=proxy if named == "request" else ""), LONG)
    assert "SECRET" not in str(refused.value)


async def test_a_proxy_that_refuses_is_told_by_its_status(environment: Callable[[str, str], None]) -> None:
    async with serving(saying(answer(407, b"SECRET"))) as proxy, Connections(READING) as asking:
        request = Request("GET", "https://me:SECRET@far.test/?k=SECRET", proxy=proxy.url.replace("//", "//u:SECRET@"))
        with pytest.raises(OutboundError) as refused:
            await asking.send(request, LONG)
    assert str(refused.value) == "the proxy answers 407"


@pytest.mark.parametrize("name", ["SSL_CERT_FILE"])
async def test_authorities_that_cant_be_read_are_told(name: str, environment: Callable[[str, str], None]) -> None:
    environment(name, "/nowhere/ca.pem")
    async with serving(saying(OK)) as server, Connections(READING) as asking:
        with pytest.raises(CannotAskError, match=name):
            await asking.send(get(server.url), LONG)
