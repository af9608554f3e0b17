"""Questions under way: each is asked once a look, and what goes wrong with one concerns its Canary alone."""

import asyncio

import pytest

from canary.api.analysis import HookType
from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.controller.ask.checks import OpenChecks
from canary.rollout.facts import Answer, HookAnswer, HookQuestion, PodsAnswer, PodsQuestion, Question

FIRST, SECOND = PodsQuestion("first look"), PodsQuestion("second look")


class World:
    """Answers when told to; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.told: list[str] = []

    async def ask(self, canary: Canary, question: Question) -> Answer:
        self.asked.append(question)
        return await asyncio.shield(self.outcome)

    def board(self) -> OpenChecks:
        return OpenChecks(self.ask, self.told.append)


def canary() -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    return parse_canary({"metadata": {"name": "app", "namespace": "test"}, "spec": {"targetRef": target}})


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_is_told_of_once_and_kept_for_its_look() -> None:
    world = World()
    board = world.board()
    board.ask(canary(), [FIRST])
    board.ask(canary(), [FIRST])
    await turns()
    assert board.answers("test/app") == {}

    world.outcome.set_result(PodsAnswer("no room"))
    await turns()

    assert world.asked == [FIRST]
    assert world.told == ["test/app"]
    assert board.answers("test/app") == {FIRST: PodsAnswer("no room")}


HOOK, PODS = HookQuestion(look="1", index=0, type=HookType.ROLLOUT, phase=Phase.PROGRESSING), PodsQuestion("1")


async def two_asked() -> tuple[OpenChecks, list[str], dict[Question, asyncio.Future[Answer]]]:
    """Two questions of one look, and who is told."""
    told: list[str] = []
    answers: dict[Question, asyncio.Future[Answer]] = {
        each: asyncio.get_running_loop().create_future() for each in (HOOK, PODS)
    }

    async def ask(canary: Canary, question: Question) -> Answer:
        return await asyncio.shield(answers[question])

    board = OpenChecks(ask, told.append)
    board.ask(canary(), [HOOK, PODS])
    await turns()
    return board, told, answers


async def test_nothing_is_told_before_the_last_answer_of_a_look() -> None:
    board, told, answers = await two_asked()
    answers[PODS].set_result(PodsAnswer(""))
    await turns()
    assert told == []

    answers[HOOK].set_result(HookAnswer(approved=True))
    await turns()
    assert told == ["test/app"]
    assert set(board.answers("test/app")) == {HOOK, PODS}


async def test_an_answer_that_came_before_the_others_were_given_up_is_told_of() -> None:
    board, told, answers = await two_asked()
    answers[PODS].set_result(PodsAnswer(""))
    await turns()
    board.ask(canary(), [PODS])

    assert told == ["test/app"]
    board.ask(canary(), [PODS])
    assert told == ["test/app"], "once"
    await board.close()


async def test_a_question_that_nobody_wants_any_more_holds_nothing_up() -> None:
    board, told, answers = await two_asked()
    board.ask(canary(), [PODS])
    answers[PODS].set_result(PodsAnswer(""))
    await turns()

    assert told == ["test/app"]
    await board.close()


async def test_another_look_drops_what_is_under_way() -> None:
    world = World()
    board = world.board()
    board.ask(canary(), [FIRST])
    await turns()
    board.ask(canary(), [SECOND])
    await turns()

    world.outcome.set_result(PodsAnswer(""))
    await turns()

    assert world.asked == [FIRST, SECOND]
    assert world.told == ["test/app"]
    assert board.answers("test/app") == {SECOND: PodsAnswer("")}


async def test_a_failure_is_raised_once_and_the_question_can_be_asked_again() -> None:
    world = World()
    board = world.board()
    board.ask(canary(), [FIRST])
    world.outcome.set_exception(RuntimeError("a bug"))
    await turns()

    assert world.told == ["test/app"]
    with pytest.raises(RuntimeError, match="a bug"):
        board.answers("test/app")
    assert board.answers("test/app") == {}
    board.ask(canary(), [FIRST])
    await turns()
    assert world.asked == [FIRST, FIRST]
    with pytest.raises(RuntimeError):
        board.answers("test/app")


async def test_a_question_that_gives_up_by_itself_does_not_take_its_asker_along() -> None:
    """A cancellation inside a client is not the cancellation of the worker that reads the answer."""
    world = World()
    board = world.board()
    board.ask(canary(), [FIRST])
    await turns()
    world.outcome.cancel()
    await turns()

    assert world.told == ["test/app"]
    assert board.answers("test/app") == {}


async def test_forgetting_stops_everything() -> None:
    world = World()
    board = world.board()
    board.ask(canary(), [FIRST])
    await turns()
    board.forget("test/app")
    await turns()

    assert world.told == []
    assert board.answers("test/app") == {}
    await board.close()
