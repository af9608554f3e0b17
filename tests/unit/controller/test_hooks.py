"""Webhooks are called with what their Secrets hold, under one id however often, and not before they want to be."""

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.hooks import Hooks
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, KubeError, NotFound, Unreachable
from canary.kube.types import SECRET, Json, Resource
from canary.rollout.facts import HookAnswer, HookQuestion
from canary.webhooks import HOOKS, Approved, Outcome, Rejected
from outbound.connections import Connections
from outbound.message import Request, Response

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def now() -> float:
    return asyncio.get_running_loop().time()


def canary_of(**hook: Any) -> Canary:
    hook = {"name": "gate", "type": "confirm-promotion", "url": "http://gate.test/", **hook}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "service": {"port": 80}, "analysis": {"webhooks": [hook]}}
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"}, "spec": spec})


class Secrets:
    """An API server with Secrets, which is away for a number of reads.

    Args:
        contents: of the Secret `keys` in the namespace `shop`.
        away: how many reads are not answered.
        error: what is answered in place of the Secret.
    """

    def __init__(self, contents: dict[str, str] | None = None, away: int = 0, error: KubeError | None = None) -> None:
        self.contents, self.away, self.error = contents or {}, away, error
        self.reads = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        self.reads += 1
        if self.reads <= self.away:
            raise Unreachable("GET", name, "no answer")
        if self.error is not None:
            raise self.error
        assert (resource, namespace, name) == (SECRET, "shop", "keys")
        return {"data": {key: b64encode(value.encode()).decode() for key, value in self.contents.items()}}


class Receiver:
    """Answers in turn, the last answer over and over; remembers what it was sent, and when."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers) or [Response(200)]
        self.requests: list[Request] = []
        self.times: list[float] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(now())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def hooks_of(receiver: Receiver, secrets: Secrets | None = None) -> Hooks:
    return Hooks(cast("KubeClient", secrets), Connections(HOOKS, receiver), lambda: NOW)


async def ask(hooks: Hooks, canary: Canary) -> Outcome:
    return await hooks.ask(canary, canary.analysis.webhooks[0], {}, "canary_1")


# --- Secrets ------------------------------------------------------------------------------------------------


async def test_a_secret_of_the_canarys_namespace_is_read_at_each_call() -> None:
    receiver, secrets = Receiver(), Secrets({"token": "one"})
    hooks = hooks_of(receiver, secrets)
    await ask(hooks, canary_of(secretRef={"name": "keys"}))
    secrets.contents = {"token": "two"}
    await ask(hooks, canary_of(secretRef={"name": "keys"}))
    await ask(hooks, canary_of())
    assert [dict(each.headers).get("Authorization") for each in receiver.requests] == ["Bearer one", "Bearer two", None]
    assert secrets.reads == 2


@pytest.mark.parametrize(
    "error", [NotFound("GET", "keys", "secrets keys not found"), Forbidden("GET", "keys", "may not get secrets")]
)
async def test_a_gate_whose_secret_isnt_to_be_had_stays_closed_and_says_why(error: KubeError) -> None:
    receiver = Receiver()
    outcome = await ask(hooks_of(receiver, Secrets(error=error)), canary_of(secretRef={"name": "keys"}))
    assert not isinstance(outcome, Approved)
    assert outcome.message.startswith("gave no answer: its Secret keys can't be read: ")
    assert receiver.requests == []


async def test_while_the_api_server_is_away_a_question_is_put_off() -> None:
    with pytest.raises(Unreachable):
        await ask(hooks_of(Receiver(), Secrets(away=1)), canary_of(secretRef={"name": "keys"}))


@pytest.mark.looptime
@pytest.mark.parametrize(("away", "told"), [(4, True), (5, False)])
async def test_what_nobody_asks_again_waits_for_the_api_server_for_half_a_minute(away: int, told: bool) -> None:
    receiver, canary = Receiver(), canary_of(secretRef={"name": "keys"})
    hooks = hooks_of(receiver, Secrets({"token": "one"}, away))
    outcome = await hooks.tell(canary, canary.analysis.webhooks[0], {}, "canary_1")
    assert (isinstance(outcome, Approved), len(receiver.requests)) == (told, int(told))
    assert now() == 30


# --- Retry-After --------------------------------------------------------------------------------------------

BUSY = Response(503, b"busy", headers={"retry-after": "120"})


@pytest.mark.looptime
async def test_a_gate_is_asked_again_when_it_wants_to_be_and_is_closed_until_then() -> None:
    """Nothing waits for it: its last words answer at once."""
    receiver = Receiver(BUSY, Response(200))
    hooks, canary = hooks_of(receiver), canary_of()
    outcomes: list[Outcome] = []
    for _ in range(5):
        outcomes.append(await ask(hooks, canary))
        await asyncio.sleep(30)
    assert [type(each) for each in outcomes] == [Rejected] * 4 + [Approved]
    assert receiver.times == [0, 120]


@pytest.mark.looptime
async def test_another_hook_waits_half_a_minute_at_most() -> None:
    receiver = Receiver(BUSY, Response(200))
    hooks, canary = hooks_of(receiver), canary_of(type="rollout")
    await ask(hooks, canary)
    assert await ask(hooks, canary) == Approved(200)
    assert receiver.times == [0, 30]


@pytest.mark.looptime
async def test_that_one_wants_to_be_left_alone_is_for_no_other_hook_and_no_other_canary() -> None:
    receiver = Receiver(BUSY)
    hooks, canary = hooks_of(receiver), canary_of()
    other = canary.replace(metadata=canary.metadata.replace(uid="uid-2"))
    for each in (canary, canary_of(name="other"), other):
        await ask(hooks, each)
    assert receiver.times == [0, 0, 0]


@pytest.mark.looptime
async def test_who_does_not_say_when_is_asked_at_once() -> None:
    receiver = Receiver(Response(503), Response(403, headers={"retry-after": "120"}), Response(200))
    hooks, canary = hooks_of(receiver), canary_of()
    for _ in range(3):
        await ask(hooks, canary)
    assert receiver.times == [0, 0, 0]


# --- Ids ----------------------------------------------------------------------------------------------------


async def test_a_question_has_one_id_whichever_process_asks_it_and_another_look_has_another() -> None:
    receiver, canary = Receiver(), canary_of()
    hook = canary.analysis.webhooks[0]

    async def put(look: str) -> str:
        async with Connections(HOOKS, receiver) as outside:
            client, caches = cast("KubeClient", None), cast("Caches", None)
            asker = Asker(client, caches, Options(), outside, outside, lambda: NOW, Builds(client, outside))
            answer = await asker(canary, HookQuestion(look, 0, hook.type, canary.status.phase))
        assert answer == HookAnswer(approved=True, message="approved with 200")
        return dict(receiver.requests[-1].headers)["webhook-id"]

    assert await put("a") == await put("a") != await put("b")
