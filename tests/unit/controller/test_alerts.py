"""Alerts: each messenger is told for itself, within a deadline; what keeps it from hearing is known."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

import pytest
from structlog.testing import capture_logs

from canary.alerts.alert import Alert as Message
from canary.alerts.alert import Destination, Link, Misconfigured
from canary.alerts.send import NotSent, Outcome, Sender, Sent
from canary.api.analysis import Severity
from canary.api.canary import Canary, parse_canary
from canary.api.meta import NamespacedName
from canary.controller.observe.caches import Caches, Freshness, KindState
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter, Missed
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


async def send(behaviour: Mapping[str, Came], *, secrets: bool = False) -> list[Missed | None]:
    """What becomes of an alert to each of these, side by side."""
    sender, caches = Messengers(behaviour), cast("Caches", Cluster(secrets=secrets))
    alerter = Alerter(cast("KubeClient", NoApi()), caches, sender, Options())
    told = canary(*behaviour)
    return await asyncio.gather(*(alerter.send(told, TOLD, who) for who in alerter.addressees(told, TOLD)))


UNSEEN = "AlertProvider pager in test can't be looked up"


def missed(name: str, reason: str, *, passing: bool = False) -> Missed:
    return Missed(NamespacedName(name=name, namespace="test"), (f"rule of {name}",), reason, passing)


async def test_an_alert_is_given_half_a_minute() -> None:
    late = missed("hangs", "not within 30s", passing=True)
    assert await send({"hangs": 3600.0, "slow": 20.0, "well": Sent()}) == [late, None, None]
    assert asyncio.get_running_loop().time() == 30


async def test_trouble_is_told_in_the_log_and_holds_no_secret() -> None:
    with capture_logs() as logged:
        found = await send(
            {"wrong": Misconfigured("it has no address"), "bug": RuntimeError("Bearer xoxb-1"), "well": Sent()}
        )

    assert found == [missed("wrong", "it has no address"), missed("bug", "internal error: RuntimeError"), None]
    assert [each["rules"] for each in logged if "rules" in each] == [["rule of wrong"], ["rule of bug"]]
    assert "xoxb" not in str(logged)


async def test_what_a_messenger_says_of_a_later_try_is_kept() -> None:
    rest = timedelta(seconds=90)
    (found,) = await send({"busy": NotSent("answered 429", passing=True, rest=rest)})
    assert found is not None
    assert (found.name, found.passing, found.rest) == ("AlertProvider busy", True, rest)


async def test_a_secret_that_cant_be_read_now_may_be_read_later() -> None:
    (found,) = await send({"team": Sent()}, secrets=True)
    assert found is not None
    assert found.passing


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
    told = canary("pager")
    assert [await alerter.send(told, TOLD, who) for who in alerter.addressees(told, TOLD)] == [expected]


async def test_links_of_the_alert_go_before_those_of_the_controller() -> None:
    class Heard(Messengers):
        links: tuple[Link, ...] = ()

        async def send(self, alert: Message, to: Destination) -> Outcome:
            self.links = alert.links
            return Sent()

    told, heard = canary("pager"), Heard({})
    rule = told.analysis.alerts[0].replace(links={"Runbook": "https://wiki.test/{{ name }}"})
    told = told.replace(spec=told.spec.replace(analysis=told.analysis.replace(alerts=(rule,))))
    given = Options(links={"Dashboard": "https://grafana.test/{{ cluster }}", "Runbook": "https://old"}, cluster="eu")
    alerter = Alerter(cast("KubeClient", NoApi()), cast("Caches", Cluster()), heard, given)
    for who in alerter.addressees(told, TOLD):
        await alerter.send(told, TOLD, who)

    assert heard.links == (
        Link("Dashboard", "https://grafana.test/eu"),
        Link("Runbook", "https://wiki.test/app"),
    )
