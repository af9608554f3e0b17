"""Alerts: each messenger is told for itself, side by side with the others, within one deadline for all."""

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest
from structlog.testing import capture_logs

from canary.alerts.alert import Alert as Message
from canary.alerts.alert import Destination, Misconfigured
from canary.alerts.send import NotSent, Outcome, Sender, Sent
from canary.api.analysis import Severity
from canary.api.canary import Canary, parse_canary
from canary.controller.observe.caches import Caches, Freshness, KindState
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter, Delivery, Missed
from canary.kube.client import KubeClient
from canary.kube.errors import Unreachable
from canary.kube.types import Json, Resource
from canary.rollout.decision import Alert

pytestmark = pytest.mark.looptime

TOLD = Alert("Canary failed", Severity.ERROR)

Came = Outcome | Exception | float
"""What a messenger does: answers so, raises, or takes so many seconds."""


class Messengers(Sender):
    """Messengers by their addresses."""

    def __init__(self, behaviour: Mapping[str, Came]) -> None:
        super().__init__()
        self.behaviour = behaviour

    async def send(self, alert: Message, to: Destination) -> Outcome:
        came = self.behaviour[to.address]
        if isinstance(came, float):
            await asyncio.sleep(came)
            return Sent()
        if isinstance(came, Exception):
            raise came
        return came


class Cluster:
    """Knows an AlertProvider of every name; the Secrets can't be had."""

    def __init__(self, *, secrets: bool = False) -> None:
        self.secrets = secrets

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        spec: Json = {"type": "slack", "address": name}
        spec |= {"secretRef": {"name": "hook"}} if self.secrets else {}
        return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


class NoProviders(Caches):
    """Knows no AlertProvider, as the kind is."""

    def __init__(self, freshness: Freshness) -> None:
        self.kind = KindState(freshness, reason="watch broke off")

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return None

    def state(self, resource: Resource) -> KindState:
        return self.kind


class NoApi:
    """An API server that is away."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        raise Unreachable("GET", "/api/v1/secrets/hook", "connection refused")


def canary(*providers: str) -> Canary:
    rules = [{"name": f"rule of {name}", "providerRef": {"name": name}} for name in providers]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "analysis": {"interval": "1s", "threshold": 1, "alerts": rules}}
    return parse_canary({"metadata": {"name": "app", "namespace": "test"}, "spec": spec})


async def send(behaviour: Mapping[str, Came], *, secrets: bool = False) -> Delivery:
    sender, caches = Messengers(behaviour), cast("Caches", Cluster(secrets=secrets))
    return await Alerter(cast("KubeClient", NoApi()), caches, sender, Options()).send(canary(*behaviour), TOLD)


UNSEEN = "AlertProvider pager in test can't be looked up"


def missed(name: str, reason: str, *, passing: bool = False) -> Missed:
    return Missed((f"rule of {name}",), reason, passing)


async def test_messengers_are_told_side_by_side() -> None:
    assert await send({"dead": 20.0, "slow": 20.0, "well": Sent()}) == Delivery(3)
    assert asyncio.get_running_loop().time() == 20


async def test_an_alert_is_given_half_a_minute_in_all() -> None:
    late = missed("hangs", "not within 30s", passing=True)
    assert await send({"hangs": 3600.0, "well": Sent()}) == Delivery(1, (late,))
    assert asyncio.get_running_loop().time() == 30


async def test_trouble_with_one_keeps_none_of_the_others_from_hearing() -> None:
    with capture_logs() as logged:
        delivery = await send(
            {"wrong": Misconfigured("it has no address"), "bug": RuntimeError("Bearer xoxb-1"), "well": Sent()}
        )

    assert delivery == Delivery(
        1, (missed("wrong", "it has no address"), missed("bug", "internal error: RuntimeError"))
    )
    assert [each["rules"] for each in logged if "rules" in each] == [["rule of wrong"], ["rule of bug"]]
    assert "xoxb" not in str(logged)


async def test_a_secret_that_cant_be_read_now_may_be_read_later() -> None:
    delivery = await send({"team": Sent()}, secrets=True)

    assert not delivery.done
    assert delivery.missed[0].passing


@pytest.mark.parametrize(
    ("behaviour", "done"),
    [
        ({}, True),
        ({"a": Sent()}, True),
        ({"a": NotSent("down", passing=True)}, False),
        ({"a": NotSent("refused")}, True),
        ({"a": Misconfigured("no address")}, True),
        ({"a": NotSent("down", passing=True), "b": Misconfigured("no address")}, False),
        ({"a": NotSent("down", passing=True), "b": Sent()}, True),
    ],
)
async def test_what_somebody_has_heard_or_nobody_ever_will_is_not_sent_again(
    behaviour: Mapping[str, Came], done: bool
) -> None:
    assert (await send(behaviour)).done is done


@pytest.mark.parametrize(
    ("freshness", "expected"),
    [
        (Freshness.FRESH, missed("pager", "AlertProvider pager in test does not exist")),
        (Freshness.STALE, missed("pager", f"{UNSEEN}: watch broke off", passing=True)),
        (Freshness.FORBIDDEN, missed("pager", f"{UNSEEN}: watch broke off")),
    ],
)
async def test_a_provider_that_cant_be_seen_is_not_said_to_be_missing(freshness: Freshness, expected: Missed) -> None:
    """And where it can't be looked up for a moment the alert is sent later."""
    alerter = Alerter(cast("KubeClient", NoApi()), NoProviders(freshness), Messengers({}), Options())
    assert await alerter.send(canary("pager"), TOLD) == Delivery(0, (expected,))
