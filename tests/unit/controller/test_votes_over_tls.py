"""Votes over TLS: nothing is said in the clear, and a certificate of others is served as it changes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from canary.admission.certificates import Pair, make
from canary.controller.options import VoteSettings
from canary.controller.votes.ballot import Ballot
from canary.controller.votes.callers import Callers
from canary.controller.votes.server import VoteServer
from inbound import given
from tests.unit.controller.api_in_memory import ApiInMemory
from tests.unit.controller.test_votes import GATE, PATH, identity, shop

HOST = "votes.example.com"
PATIENCE = 60.0


def write(folder: Path) -> Pair:
    pair = make([HOST], datetime.now(UTC), timedelta(days=90))
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    return pair


@pytest.fixture
async def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(given, "EVERY", 0.02)
    api = ApiInMemory()
    api.ill = identity
    api.store(PATH, shop(approvers=["alice"]))
    client = api.connect()
    settings = VoteSettings("127.0.0.1", 0, certificate=tmp_path)
    server = VoteServer(settings, Ballot(client, None, None), Callers(client))
    await server.start()
    yield server.port
    await server.close()


async def vote(port: int, trusted: Pair) -> int:
    context = ssl.create_default_context(cadata=trusted.certificate.decode())
    headers, said = {"Authorization": "Bearer alices"}, {"answer": "yes"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        url = f"https://127.0.0.1:{port}{GATE}"
        async with session.post(url, json=said, headers=headers, ssl=context, server_hostname=HOST) as answer:
            return answer.status


async def until_it_is_taken(port: int, trusted: Pair) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert await vote(port, trusted) == 200
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_vote_is_taken_by_each_certificate_that_comes(port: int, tmp_path: Path) -> None:
    first = write(tmp_path)
    await until_it_is_taken(port, first)
    second = write(tmp_path)
    await until_it_is_taken(port, second)
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await vote(port, first)


@pytest.mark.parametrize("is_there", [False, True])
async def test_nobody_is_answered_in_the_clear(port: int, tmp_path: Path, is_there: bool) -> None:
    """Also while there is no certificate."""
    if is_there:
        await until_it_is_taken(port, write(tmp_path))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{port}/healthz")
