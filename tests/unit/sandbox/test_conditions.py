"""Waiting for something in the sandbox."""

import pytest

from canary.kube.errors import NotFound, Unreachable
from canary.sandbox.conditions import eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)


async def test_an_api_server_that_gives_no_answer_for_a_moment_is_asked_again() -> None:
    """On a machine with too much to do, one slow answer would fail what only waits."""
    answers: list[int | Exception] = [Unreachable("GET", "/x", "no answer within 10 s"), 1, 2]

    async def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await eventually(ask, lambda each: each == 2) == 2


async def test_one_that_never_answers_is_told() -> None:
    async def ask() -> int:
        raise Unreachable("GET", "/x", "no answer within 10 s")

    with pytest.raises(AssertionError, match="not within 5 s; last answer: GET /x: no answer within 10 s"):
        await eventually(ask, bool, within=5)


async def test_what_is_not_there_is_no_answer_to_wait_for() -> None:
    async def ask() -> int:
        raise NotFound("GET", "/x", "there is none")

    with pytest.raises(NotFound):
        await eventually(ask, bool)
