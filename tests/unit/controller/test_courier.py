"""What stands in the outbox is told: in its order, each thing once, and by the next one where a process ends first."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from canary.alerts.alert import Destination
from canary.api.canary import Canary, parse_canary
from canary.controller.ask.hooks import Hooks
from canary.controller.options import Options
from canary.controller.record.alerts import Addressee, Alerter, Missed
from canary.controller.record.courier import Courier
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from canary.kube.events import EventRecorder
from canary.kube.types import Json
from canary.rollout.decision import Alert
from canary.webhooks import HOOKS
from outbound.connections import Connections
from outbound.message import Request, Response

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOOK = {"name": "receiver", "type": "event", "url": "http://hooks.test/", "retries": 1}


class Events:
    """Takes events, as Kubernetes would: one of each name."""

    def __init__(self) -> None:
        self.told: dict[float | None, str] = {}

    def record(self, regarding: Json, type: str, reason: str, message: str, at: float | None = None) -> None:  # noqa: A002
        self.told[at] = message


CHAT, PAGER = Destination("slack", "http://chat.test/"), Destination("webhook", "http://pager.test/")


class Messenger(Alerter):
    """One that has been away for a number of tries before it takes alerts, or refuses; and one that takes all."""

    def __init__(
        self, away: int = 0, *, both: bool = False, refuses: bool = False, rest: float = 0, slow: float = 0
    ) -> None:
        self.told: list[str] = []
        self.chatted: list[str] = []
        self.tries: list[float] = []
        self._away, self._both, self._refuses, self._slow = away, both, refuses, slow
        self._rest = timedelta(seconds=rest)

    def addressees(self, canary: Canary, alert: Alert) -> tuple[Addressee, ...]:
        return (CHAT, PAGER) if self._both else (PAGER,)

    async def send(self, canary: Canary, alert: Alert, who: Addressee) -> Missed | None:
        if who == CHAT:
            await asyncio.sleep(self._slow)
            self.chatted.append(alert.message)
            return None
        self.tries.append(asyncio.get_running_loop().time())
        self._away -= 1
        if self._away >= 0 or self._refuses:
            return Missed(PAGER, (), "away", passing=not self._refuses, rest=self._rest)
        self.told.append(alert.message)
        return None


def notice(number: int, *, alert: str = "", ending: str = "", age: timedelta = timedelta(0)) -> Json:
    at = (NOW - age + timedelta(seconds=number)).isoformat()
    alerts = [{"message": alert, "severity": "error"}] if alert else []
    events = [{"message": f"event {number}"}]
    return {"number": number, "time": at, "phase": "Progressing", "events": events, "alerts": alerts, "ending": ending}


def canary_of(*notices: Json, told: int | None = None) -> tuple[Json, Canary]:
    raw = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "app", "namespace": "shop", "uid": "0-1", "generation": 1},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "service": {"port": 80},
            "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 50, "webhooks": [HOOK]},
        },
        "status": {"phase": "Progressing", "outbox": list(notices), "told": told},
    }
    return raw, parse_canary(raw)


class Desk:
    """A courier, and everybody that it tells."""

    def __init__(
        self, answer: Callable[[str], int] = lambda _: 200, away: int = 0, messenger: Messenger | None = None
    ) -> None:
        self.events, self.messenger = Events(), messenger or Messenger(away)
        self.called: list[str] = []
        self.sent: list[tuple[str, bytes]] = []
        self.delivered: list[str] = []

        async def handle(request: Request) -> Response:
            body = request.body or b""
            self.sent.append((dict(request.headers)["webhook-id"], body))
            message = json.loads(body)["metadata"]["eventMessage"]
            status = answer(message)
            if status == 200:
                self.called.append(message)
            return Response(status)

        self.courier = Courier(
            cast("EventRecorder", self.events),
            self.messenger,
            Telemetry("0", "traefik"),
            Hooks(cast("KubeClient", None), Connections(HOOKS, handle), lambda: NOW),
            Options(),
            lambda: NOW,
            self.delivered.append,
        )


@pytest.mark.looptime
async def test_receivers_hear_in_the_order_in_which_it_happened() -> None:
    """Also where the first call has to be made again."""
    failed: list[str] = []

    def answer(message: str) -> int:
        if message == "event 1" and not failed:
            failed.append(message)
            return 503
        return 200

    desk = Desk(answer)
    raw, canary = canary_of(notice(1), notice(2), notice(3))
    desk.courier.take(raw, canary)
    await asyncio.sleep(30)

    assert desk.called == ["event 1", "event 2", "event 3"]
    assert list(desk.events.told.values()) == ["event 1", "event 2", "event 3"]
    assert desk.courier.told(canary) == 3
    assert desk.delivered == ["shop/app"]


@pytest.mark.looptime
async def test_what_was_taken_is_not_told_again() -> None:
    desk = Desk()
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    desk.courier.take(raw, canary)
    await asyncio.sleep(30)

    assert (desk.called, desk.messenger.told) == (["event 1"], ["bad"])


@pytest.mark.looptime
async def test_what_the_status_says_was_told_is_not_told_again() -> None:
    desk = Desk()
    raw, canary = canary_of(notice(1, alert="bad"), notice(2), told=1)
    desk.courier.take(raw, canary)
    await asyncio.sleep(30)

    assert (desk.called, desk.messenger.told) == (["event 2"], [])


@pytest.mark.looptime
async def test_an_alert_that_no_messenger_takes_is_sent_again_and_counts_as_told_then() -> None:
    desk = Desk(away=2)
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(60)
    assert (desk.messenger.told, desk.courier.told(canary)) == ([], 0)

    await asyncio.sleep(60)
    assert (desk.messenger.told, desk.courier.told(canary)) == (["bad"], 1)


@pytest.mark.looptime
async def test_a_messenger_that_is_away_while_others_have_the_alert_is_told_beside() -> None:
    """Nobody else hears it twice: not then, and not from the next process, as the notice counts as told."""
    desk = Desk(messenger=Messenger(away=2, both=True))
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(1)
    assert (desk.messenger.chatted, desk.messenger.told) == (["bad"], [])
    assert desk.courier.told(canary) == 1

    await asyncio.sleep(120)
    assert (desk.messenger.chatted, desk.messenger.told) == (["bad"], ["bad"])


@pytest.mark.looptime
async def test_a_messenger_that_is_slow_keeps_no_other_waiting_and_nothing_counts_as_told_before_it_was_tried() -> None:
    desk = Desk(messenger=Messenger(away=1, both=True, slow=100))
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(99)
    assert (desk.messenger.told, desk.messenger.tries, desk.courier.told(canary)) == (["bad"], [0, 30], 0)

    await asyncio.sleep(2)
    assert (desk.messenger.chatted, desk.courier.told(canary)) == (["bad"], 1)


@pytest.mark.looptime
async def test_a_messenger_is_left_alone_for_as_long_as_it_asks() -> None:
    desk = Desk(messenger=Messenger(away=1, rest=300))
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(400)

    assert desk.messenger.tries == [0, 300]
    assert desk.messenger.told == ["bad"]


@pytest.mark.looptime
@pytest.mark.parametrize(("messenger", "tries"), [(Messenger(refuses=True), 1), (Messenger(away=100), 5)])
async def test_an_alert_that_never_goes_out_is_told_by_one_event(messenger: Messenger, tries: int) -> None:
    desk = Desk(messenger=messenger)
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(1000)

    assert len(messenger.tries) == tries
    assert [*desk.events.told.values()][1:] == ["Alert to webhook can't be sent: away"]
    assert desk.courier.told(canary) == 1


@pytest.mark.looptime
async def test_a_stop_leaves_no_alert_behind_that_waits_for_its_next_try() -> None:
    desk = Desk(messenger=Messenger(away=100, both=True))
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await asyncio.sleep(1)
    await desk.courier.close()

    assert {each for each in asyncio.all_tasks() if each.get_name().startswith("tell")} == set()


@pytest.mark.looptime
async def test_what_has_not_gone_out_when_the_process_ends_is_left_to_the_next_one() -> None:
    desk = Desk(away=100)
    raw, canary = canary_of(notice(1, alert="bad"))
    desk.courier.take(raw, canary)
    await desk.courier.close()
    assert desk.courier.told(canary) == 0

    other = Desk()
    other.courier.take(raw, canary)
    await asyncio.sleep(30)
    assert other.messenger.told == ["bad"]


@pytest.mark.looptime
async def test_an_event_told_by_two_processes_has_one_name_and_one_of_long_ago_is_not_told_anew() -> None:
    first, second = Desk(), Desk()
    raw, canary = canary_of(notice(1), notice(2))
    for desk in (first, second):
        desk.courier.take(raw, canary)
    assert first.events.told == second.events.told

    old, late = canary_of(notice(1, age=timedelta(hours=2)), notice(2, alert="bad", age=timedelta(hours=2)))
    third = Desk()
    third.courier.take(old, late)
    await asyncio.sleep(30)
    assert list(third.events.told.values()) == ["event 2"], "people are called all the same"


@pytest.mark.looptime
async def test_a_receiver_knows_again_what_another_process_tells_it_and_takes_nothing_else_for_it() -> None:
    first, second = Desk(), Desk()
    raw, canary = canary_of(notice(1), notice(2))
    for desk in (first, second):
        desk.courier.take(raw, canary)
    await asyncio.sleep(30)
    assert first.sent == second.sent
    assert len({message for message, _ in first.sent}) == len(first.sent) == 2


@pytest.mark.looptime
async def test_a_receiver_that_is_dead_keeps_no_other_from_hearing() -> None:
    """Of each host only so many requests are under way, and a retry waits for its time without taking a turn."""
    heard: list[str] = []
    under_way = most = 0

    async def handle(request: Request) -> Response:
        nonlocal under_way, most
        if "dead" not in request.url:
            heard.append(request.url)
            return Response(200)
        under_way, most = under_way + 1, max(most, under_way + 1)
        try:
            await asyncio.Event().wait()
        finally:
            under_way -= 1
        raise AssertionError

    courier = Courier(
        cast("EventRecorder", Events()),
        Messenger(),
        Telemetry("0", "traefik"),
        Hooks(cast("KubeClient", None), Connections(HOOKS, handle), lambda: NOW),
        Options(),
        lambda: NOW,
        lambda _: None,
    )
    for number in range(3 * HOOKS.per_host):
        raw, canary = canary_of(notice(1))
        hook = canary.analysis.webhooks[0].replace(url="http://dead.test/")
        metadata = canary.metadata.replace(name=f"app-{number}", uid=str(number))
        analysis = canary.analysis.replace(webhooks=(hook,))
        courier.take(raw, canary.replace(metadata=metadata, spec=canary.spec.replace(analysis=analysis)))
    raw, canary = canary_of(notice(1))
    courier.take(raw, canary)
    await asyncio.sleep(1)

    assert heard == ["http://hooks.test/"]
    assert most == HOOKS.per_host
    await courier.close()
