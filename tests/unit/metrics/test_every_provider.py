"""Every provider, against a server that does what servers do: one of four sides, a sentence, and no secret in it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from metrics import providers
from metrics.connections import QUESTIONS
from metrics.providers import PROVIDERS
from metrics.providers.base import Provider
from metrics.question import Question
from metrics.reading import Cause
from metrics.threshold import Threshold
from metrics.verdict import Fail, NoData, Pass, Unavailable, Verdict
from outbound.connections import Connections
from tests.tools.judged import evaluate
from tests.unit.metrics.known import KNOWN, NOW, encoded
from tests.unit.outbound.servers import Play, Server, answer, saying, serving

every = pytest.mark.parametrize("name", sorted(PROVIDERS))


def question(name: str, address: str) -> Question:
    known = KNOWN[name]
    return Question(
        name="errors",
        query=known.query,
        threshold=Threshold(max=5),
        interval=timedelta(minutes=1),
        provider=name,
        address=address,
        credentials={**known.secret, "header.X-Own": "S3CRET-header"},
        region=known.region,
    )


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    async with Connections(QUESTIONS) as found:
        yield found


def good(name: str, *values: float | None) -> bytes:
    return answer(body=KNOWN[name].body(values), Content_Type=KNOWN[name].kind)


@dataclass
class Repeating:
    """Refuses in the words of the provider's API, which repeat all that was sent."""

    name: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    server: Server | None = None

    async def __call__(self, writer: asyncio.StreamWriter, number: int) -> None:
        assert self.server is not None
        words = " ".join(["sent:", *self.server.heads[number].split("\r\n"), self.server.bodies[number].decode()])
        body = json.dumps(KNOWN[self.name].error(words)).encode()
        writer.write(answer(self.status, body, Content_Type="application/json", **self.headers))


async def asked(name: str, play: Play, connections: Connections) -> tuple[Verdict, Server]:
    """What becomes of a question, nothing of what let it in being told."""
    async with serving(play) as server:
        if isinstance(play, Repeating):
            play.server = server
        verdict = await evaluate(question(name, server.url), connections, NOW)
    hold_no_secret(verdict, server)
    return verdict, server


def secrets(server: Server) -> Iterator[str]:
    """What was sent to be let in: headers of that kind, and the signatures in them."""
    for head in server.heads:
        for line in head.splitlines():
            key, _, value = line.partition(": ")
            if re.search(r"authorization|token|key|x-own", key, re.IGNORECASE):
                yield value.rpartition(" ")[2].rpartition("=")[2] or value


def hold_no_secret(verdict: Verdict, server: Server) -> None:
    for text in (verdict.message, repr(verdict)):
        assert "S3CRET" not in text
        assert [each for each in secrets(server) if each in text] == []


def unavailable(verdict: Verdict, cause: Cause) -> str:
    assert isinstance(verdict, Unavailable), verdict
    assert verdict.cause is cause, verdict.message
    assert verdict.message.startswith("errors can't be read, wanted <= 5: ")
    assert "\n" not in verdict.message
    return verdict.reason


@every
async def test_a_right_answer_passes_or_fails(name: str, connections: Connections) -> None:
    verdict, server = await asked(name, saying(good(name, 4.0)), connections)
    assert isinstance(verdict, Pass), verdict.message
    assert verdict.value == 4.0
    assert server.header("x-own") == ["S3CRET-header"], "what the Secret says of headers is sent"
    assert list(secrets(server)) != []
    verdict, _ = await asked(name, saying(good(name, 6.0)), connections)
    assert isinstance(verdict, Fail)
    assert (verdict.value, verdict.message) == (6.0, "errors 6 is above 5 over 1m")


@every
async def test_an_empty_answer_is_no_data(name: str, connections: Connections) -> None:
    verdict, _ = await asked(name, saying(good(name)), connections)
    assert isinstance(verdict, NoData), verdict.message
    assert verdict.message.startswith("errors has no data over 1m, wanted <= 5: ")


@pytest.mark.parametrize("name", [name for name in sorted(PROVIDERS) if KNOWN[name].nan])
async def test_what_is_no_number_is_no_data(name: str, connections: Connections) -> None:
    verdict, _ = await asked(name, saying(good(name, None)), connections)
    assert isinstance(verdict, NoData), verdict.message


@pytest.mark.parametrize("name", [name for name in sorted(PROVIDERS) if KNOWN[name].several is not False])
async def test_of_several_series_the_worst_counts(name: str, connections: Connections) -> None:
    verdict, _ = await asked(name, saying(good(name, 4.0, 9.0, 1.0)), connections)
    if KNOWN[name].several is None:
        unavailable(verdict, Cause.BAD_QUERY)
        return
    assert isinstance(verdict, Fail), verdict.message
    assert verdict.message == "errors 9 is above 5 over 1m in the worst of 3 series"


@every
@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials_are_told_and_not_shown(name: str, status: int, connections: Connections) -> None:
    verdict, _ = await asked(name, Repeating(name, status), connections)
    assert f"HTTP {status}" in unavailable(verdict, Cause.UNAUTHORIZED)


@every
async def test_a_server_that_has_too_much_to_do_says_for_how_long(name: str, connections: Connections) -> None:
    verdict, server = await asked(name, Repeating(name, 429, {"Retry_After": "30"}), connections)
    assert "HTTP 429 (it asks to be left alone for 30 s): " in unavailable(verdict, Cause.SERVER_ERROR)
    assert len(server.heads) == 1, "it is left alone"


@every
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_in_trouble_is_no_failure_of_the_canary(
    name: str, status: int, connections: Connections
) -> None:
    verdict, _ = await asked(name, Repeating(name, status), connections)
    assert f"HTTP {status}" in unavailable(verdict, Cause.SERVER_ERROR)


@every
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"])
async def test_silence_ends_at_the_deadline(
    name: str, said: bytes, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "PROVIDERS", {name: replace(PROVIDERS[name], deadline=0.2)})
    never = asyncio.Event()

    async def play(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(said)
        await never.wait()

    verdict, _ = await asked(name, play, connections)
    assert "no answer within 0.2 s" in unavailable(verdict, Cause.TIMEOUT)


@every
async def test_an_answer_that_breaks_off_is_none(name: str, connections: Connections) -> None:
    whole = good(name, 4.0)

    async def play(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(whole[:-2])
        writer.close()

    verdict, _ = await asked(name, play, connections)
    unavailable(verdict, Cause.UNREACHABLE)


@every
async def test_a_redirect_is_followed_within_the_server_alone(name: str, connections: Connections) -> None:
    onward = answer(307, Location="/elsewhere")
    verdict, server = await asked(name, saying(onward, good(name, 4.0)), connections)
    assert isinstance(verdict, Pass), verdict.message
    assert "/elsewhere" in server.heads[1]
    async with serving(saying(good(name, 4.0))) as other:
        verdict, _ = await asked(name, saying(answer(307, Location=f"{other.url}/x?token=T")), connections)
        reason = unavailable(verdict, Cause.UNREADABLE)
        assert f"redirects to {other.url}, where no question follows" in reason
        assert other.connections == 0


@every
async def test_a_page_is_no_answer(name: str, connections: Connections) -> None:
    page = answer(body=b"<html>please log in</html>", Content_Type="text/html")
    verdict, _ = await asked(name, saying(page), connections)
    assert "log in" not in unavailable(verdict, Cause.UNREADABLE)


@every
async def test_nobody_at_the_address_is_told(name: str, connections: Connections) -> None:
    async with serving(saying(b"")) as gone:
        address = gone.url
    unavailable(await evaluate(question(name, address), connections, NOW), Cause.UNREACHABLE)


def test_every_provider_is_among_them() -> None:
    assert set(KNOWN) == set(PROVIDERS)
    assert all(encoded(each.error("why")) for each in KNOWN.values())


@every
def test_a_row_is_the_provider_of_its_name(name: str) -> None:
    row = PROVIDERS[name]
    assert isinstance(row, Provider)
    assert row.name == name
