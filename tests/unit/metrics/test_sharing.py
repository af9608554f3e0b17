"""Questions that are the same are put once, and what became of one is nobody's who comes later."""

import asyncio

import pytest

from metrics.sharing import FRESH, Shared
from outbound.errors import NoConnectionError
from outbound.message import Request, Response

pytestmark = pytest.mark.looptime

SAME, OTHER = Request("GET", "http://p/q?1"), Request("GET", "http://p/q?1", headers=(("Authorization", "other"),))


class Servers:
    """Answers after half a second, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Request] = []
        self.ended = 0
        self.error = error

    async def send(self, request: Request, deadline: float) -> Response:
        self.asked.append(request)
        try:
            await asyncio.sleep(0.5)
        finally:
            self.ended += 1
        if self.error is not None:
            raise self.error
        return Response(200, str(len(self.asked)).encode())


async def test_the_same_question_is_put_once_a_second() -> None:
    servers = Servers()
    shared = Shared(servers)
    answers = await asyncio.gather(*(shared.send(SAME, 5) for _ in range(10)))
    assert {each.body for each in answers} == {b"1"}
    assert (await shared.send(SAME, 5)).body == b"1"
    await asyncio.sleep(FRESH)
    assert (await shared.send(SAME, 5)).body == b"2"
    await asyncio.sleep(2 * FRESH)
    assert shared._flights == {}, "nothing is kept"


async def test_what_lets_another_in_is_another_question() -> None:
    servers = Servers()
    shared = Shared(servers)
    await asyncio.gather(shared.send(SAME, 5), shared.send(OTHER, 5))
    assert servers.asked == [SAME, OTHER]


async def test_what_went_wrong_is_nobodys_who_comes_later() -> None:
    servers = Servers(NoConnectionError("the connection failed"))
    shared = Shared(servers)
    first = await asyncio.gather(*(shared.send(SAME, 5) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in first] == [NoConnectionError, NoConnectionError]
    assert len(servers.asked) == 1
    servers.error = None
    assert (await shared.send(SAME, 5)).body == b"2"


async def test_who_gives_up_takes_nothing_from_others() -> None:
    servers = Servers()
    shared = Shared(servers)
    impatient, patient = (asyncio.create_task(shared.send(SAME, 5)) for _ in range(2))
    await asyncio.sleep(0.1)
    impatient.cancel()
    assert (await patient).body == b"1"
    assert len(servers.asked) == 1


async def test_what_nobody_waits_for_any_more_is_not_gone_on_with() -> None:
    servers = Servers()
    shared = Shared(servers)
    task = asyncio.create_task(shared.send(SAME, 5))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.1)
    assert servers.ended == 1
    assert (await shared.send(SAME, 5)).body == b"2"
