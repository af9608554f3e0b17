"""What stands in the outbox is told: in its order, each thing once, and by the next one where a process ends first."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from canary.api.canary import Canary, parse_canary
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter, Delivery, Missed
from canary.controller.record.courier import Courier
from canary.controller.telemetry import Telemetry
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


class Messenger(Alerter):
    """Takes alerts, after having been away for a number of tries."""

    def __init__(self, away: int = 0) -> None:
        self.told: list[str] = []
        self._away = away

    def anybody(self, canary: Canary, alert: Alert) -> bool:
        return True

    async def send(self, canary: Canary, alert: Alert) -> Delivery:
        self._away -= 1
        if self._away >= 0:
            return Delivery(0, (Missed((), "away", passing=True),))
        self.told.append(alert.message)
        return Delivery(1)


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

    def __init__(self, answer: Callable[[str], int] = lambda _: 200, away: int = 0) -> None:
        self.events, self.messenger = Events(), Messenger(away)
        self.called: list[str] = []
        self.delivered: list[str] = []

        async def handle(request: Request) -> Response:
            message = json.loads(request.body or b"")["metadata"]["eventMessage"]
            status = answer(message)
            if status == 200:
                self.called.append(message)
            return Response(status)

        self.courier = Courier(
            cast("EventRecorder", self.events),
            self.messenger,
            Telemetry("0", "traefik"),
            Connections(HOOKS, handle),
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
        Connections(HOOKS, handle),
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
