"""What is taken for an address can be asked: no spec gets as far as the network and breaks there."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canary.api.addresses import MAX_PORT, is_web_address
from outbound.connections import Connections, Manner
from outbound.errors import OutboundError
from outbound.message import Request, Response, place

MANNER = Manner(total=1, per_host=1, largest=1)
ODD = st.text(st.sampled_from("a1.-_:/?#[]@%\\ é\t\nx☃%0"), max_size=20)


@given(st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "HTTP", "ftp", ""]), ODD, ODD) | st.text())
@example("http://a\nb/")
@example("http://a\\b/")
@example("http://[v1.x]/")
@example("http://@0")
@example("http://@é")
async def test_an_address_that_is_taken_can_be_asked(address: str) -> None:
    asked: list[str] = []

    async def carry(request: Request) -> Response:
        asked.append(request.url)
        return Response(200)

    if not is_web_address(address):
        return
    async with Connections(MANNER, carry) as connections:
        await connections.send(Request("GET", address), 1)
    (url,) = asked
    assert "@" not in urlsplit(url).netloc
    assert 0 < (urlsplit(url).port or 80) <= MAX_PORT


@pytest.mark.parametrize("address", ["http://me:SECRET@h/SECRET?SECRET", "http://SECRET@h:1", "https://:SECRET@h"])
def test_the_place_of_an_address_holds_nothing_that_lets_one_in(address: str) -> None:
    assert "SECRET" not in place(address)


async def test_whatever_is_written_the_answer_is_one_of_ours() -> None:
    async with Connections(MANNER) as connections:
        for address in ("http://\x00/", "http://[::1%25SECRET]:1/", "http://a b/", "http://%zz/", "\ufffd"):
            with pytest.raises(OutboundError) as refused:
                await connections.send(Request("GET", address), 1)
            assert "SECRET" not in str(refused.value)
