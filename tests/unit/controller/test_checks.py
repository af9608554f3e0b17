"""Questions under way: each is asked once a look, and what goes wrong with one concerns its Canary alone."""

import asyncio

import pytest
from structlog.testing import capture_logs

from canary.api.analysis import HookType
from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.controller.ask.checks import OpenChecks
from canary.kube.errors import Unreachable
from canary.rollout.facts import Answer, HookAnswer, HookQuestion, MetricQuestion, PodsAnswer, PodsQuestion, Question
from metrics.reading import Cause, Reading, Unread

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
    spec = {"targetRef": target, "analysis": {"interval": "1s", "threshold": 1, "metrics": [{"name": "m"}]}}
    return parse_canary({"metadata": {"name": "app", "namespace": "test"}, "spec": spec})


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


METRIC = MetricQuestion(look="1", index=0)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (HOOK, HookAnswer(approved=False, message="internal error: RuntimeError")),
        (METRIC, Unread(Cause.MISCONFIGURED, "internal error: RuntimeError")),
        (PODS, PodsAnswer("")),
    ],
)
async def test_a_bug_in_asking_is_an_answer_that_approves_nothing(question: Question, answer: Answer | Unread) -> None:
    """It is logged and counted; the rollout goes on being decided on."""
    world, failed = World(), list[Question]()
    board = OpenChecks(world.ask, world.told.append, failed.append)
    board.ask(canary(), [question])
    world.outcome.set_exception(RuntimeError("SECRET"))
    with capture_logs() as logged:
        await turns()

    assert world.told == ["test/app"]
    found = board.answers("test/app")[question]
    assert (found.said if isinstance(found, Reading) else found) == answer
    assert failed == [question]
    assert [(each["log_level"], each["canary"]) for each in logged] == [("error", "test/app")]


@pytest.mark.looptime
async def test_a_question_is_asked_until_the_api_server_lets_it_be_answered() -> None:
    """An outage is no reason to give up on pods."""
    away, told = [Unreachable("GET", "/pods", "refused")] * 7, list[str]()

    async def ask(canary: Canary, question: Question) -> Answer:
        if away:
            raise away.pop()
        return PodsAnswer("no room")

    board = OpenChecks(ask, told.append)
    board.ask(canary(), [PODS])
    await asyncio.sleep(1 + 2 + 4 + 8 + 16 + 30 + 29)
    assert not told
    await asyncio.sleep(2)

    assert board.answers("test/app") == {PODS: PodsAnswer("no room")}


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
