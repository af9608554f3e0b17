"""Fields that say how the world outside is spoken to: metrics servers, webhooks and messengers, up to what is sent."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from canary import webhooks
from canary.alerts import alert as alerting
from canary.alerts import registry
from canary.alerts.alert import Destination, destination
from canary.alerts.said import alert_about
from canary.alerts.send import Sender
from canary.api.alertprovider import parse_alert_provider
from canary.api.analysis import Severity
from canary.api.canary import Canary
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.hooks import Hooks
from canary.controller.observe.caches import FRESH, NONE_THERE, Caches, KindState
from canary.controller.options import Options
from canary.controller.record.alerts import Alerter
from canary.kube.client import KubeClient
from canary.kube.types import ALERT_PROVIDER, METRIC_TEMPLATE, SECRET, Json, Resource
from canary.rollout.decision import Alert
from canary.rollout.facts import MetricQuestion
from canary.rollout.verdicts import check_of
from canary.webhooks import HOOKS
from metrics.connections import QUESTIONS
from metrics.reading import Reading
from outbound.connections import Connections
from outbound.message import Request, Response

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Objects = Mapping[tuple[Resource, str, str], Json]
Make = Callable[..., Canary]
Document = Callable[..., Json]


class Known:
    """What the controller knows of the cluster, and what it can read there."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return self.objects.get((resource, namespace, name))

    def state(self, resource: Resource) -> KindState:
        return FRESH

    def why_missing(self, resource: Resource) -> str:
        return NONE_THERE


class Readable(Known):
    async def get(self, resource: Resource, namespace: str, name: str) -> Json:  # type: ignore[override]  # the client's
        return self.objects[resource, namespace, name]


class Outside:
    """The other end of every connection: it remembers what it was asked."""

    def __init__(self, answer: Json | None = None, status: int = 200) -> None:
        self.requests: list[Request] = []
        self.answer, self.status = answer or {}, status

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(self.status, json.dumps(self.answer).encode())


def secret(**contents: str) -> Json:
    return {"data": {key: b64encode(value.encode()).decode() for key, value in contents.items()}}


# --- Metrics servers ----------------------------------------------------------------------------------------

TEMPLATE: Json = {
    "metadata": {"name": "errors", "namespace": "shop"},
    "spec": {"provider": {"type": "prometheus", "address": "http://prometheus"}, "query": "sum(errors)"},
}


async def answered(canary: Canary, objects: Objects) -> tuple[Reading, list[Request]]:
    """What becomes of a question about the first metric, and what its server hears."""
    outside = Outside({"status": "success", "data": {"resultType": "scalar", "result": [0, "42"]}})
    client, caches = cast("KubeClient", Readable(objects)), cast("Caches", Known(objects))
    async with Connections(HOOKS, outside) as hooks, Connections(QUESTIONS, outside) as servers:
        asker = Asker(client, caches, Options(), hooks, servers, lambda: NOW, Builds(client, servers))
        answer = await asker(canary, MetricQuestion("look", 0))
    assert isinstance(answer, Reading)
    return answer, outside.requests


async def asked(canary: Canary, objects: Objects) -> list[Request]:
    return (await answered(canary, objects))[1]


CHECK = {
    "name": "errors",
    "verdict": "Fail",
    "value": 42.0,
    "threshold": "<= 5",
    "query": "sum(errors)",
    "time": "2026-01-01T00:00:00.000000Z",
    "samples": 1,
    "message": "errors 42 is above 5 over 1m",
}


@pytest.mark.parametrize("name", CHECK)
@pytest.mark.field(*(f"status.checks[].{name}" for name in CHECK))
async def test_a_verdict_carries_what_it_rests_on(make: Make, name: str) -> None:
    metric = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 5}}
    canary = make({"spec.analysis.metrics": [metric]})
    reading, _ = await answered(canary, {(METRIC_TEMPLATE, "shop", "errors"): TEMPLATE})
    check = check_of(canary.analysis.metrics[0], reading)
    status = canary.status.replace(checks=(check,)).to_json()
    assert status["checks"][0].get(name) == CHECK[name]


@pytest.mark.parametrize("field", ["MetricTemplate.spec.provider.secretRef.name"])
async def test_a_question_brings_the_credentials_of_its_secret(make: Make, document: Document, field: str) -> None:
    canary = make({"spec.analysis.metrics[].name": "errors", "spec.analysis.metrics[].templateRef.name": "errors"})
    keys = (SECRET, "shop", "keys")
    for changes, sent in (({"spec.provider.secretRef.name": "keys"}, "Bearer abc"), ({}, None)):
        template = document(TEMPLATE, changes)
        (request,) = await asked(canary, {(METRIC_TEMPLATE, "shop", "errors"): template, keys: secret(token="abc")})
        assert dict(request.headers).get("Authorization") == sent


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("spec.analysis.metrics[].templateRef.name", "errors", ("shop", "errors")),
        ("spec.analysis.metrics[].templateRef.namespace", "lab", ("lab", "errors")),
    ],
)
async def test_the_template_that_is_named_is_the_one_that_is_asked(
    make: Make, field: str, value: str, key: tuple[str, str]
) -> None:
    named = {"spec.analysis.metrics[].name": "x", "spec.analysis.metrics[].templateRef.name": "errors"}
    objects: Objects = {(METRIC_TEMPLATE, *key): TEMPLATE}
    (request,) = await asked(make({**named, field: value}), objects)
    assert parse_qs(urlsplit(request.url).query)["query"] == ["sum(errors)"]
    assert await asked(make({**named, "spec.analysis.metrics[].templateRef.name": "other"}), objects) == []


class Hanging(Outside):
    """Never answers."""

    async def __call__(self, request: Request) -> Response:
        await asyncio.Event().wait()
        return await super().__call__(request)


# --- Webhooks -----------------------------------------------------------------------------------------------

GATE = "spec.analysis.webhooks[]"
HOOK = {f"{GATE}.name": "gate", f"{GATE}.url": "http://gate.test/"}


async def called(canary: Canary, outside: Outside) -> float:
    """Call the first webhook; how many seconds that takes."""
    (hook,) = canary.analysis.webhooks
    start = asyncio.get_running_loop().time()
    async with Connections(HOOKS, outside) as hooks:
        await webhooks.call(hooks, hook, webhooks.payload(canary, hook, "Progressing", "x"))
    return asyncio.get_running_loop().time() - start


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        (f"{GATE}.url", "http://other.test/x?y=1", lambda request: request.url),
        (f"{GATE}.type", "pre-rollout", lambda request: json.loads(request.body or b"")["type"]),
        (f"{GATE}.metadata", {"cmd": "hey"}, lambda request: json.loads(request.body or b"").get("metadata")),
    ],
)
async def test_a_webhook_is_called_so(make: Make, field: str, value: object, read: Callable[[Request], object]) -> None:
    for changes, as_said in (({field: value}, True), ({}, False)):
        outside = Outside()
        await called(make({**HOOK, **changes}), outside)
        assert (read(outside.requests[0]) == value) is as_said


@pytest.mark.looptime
@pytest.mark.parametrize("field", [f"{GATE}.retries"])
async def test_a_webhook_in_trouble_is_called_again(make: Make, field: str) -> None:
    for changes, calls in (({field: 2}, 3), ({}, 1)):
        outside = Outside(status=500)
        await called(make({**HOOK, **changes}), outside)
        assert len(outside.requests) == calls


@pytest.mark.looptime
@pytest.mark.parametrize("field", [f"{GATE}.timeout"])
async def test_a_webhook_that_hangs_is_left(make: Make, field: str) -> None:
    for changes, seconds in (({field: "3s"}, 3), ({}, 10)):
        assert await called(make({**HOOK, **changes}), Hanging()) == seconds


@pytest.mark.parametrize("field", [f"{GATE}.disableTLS"])
async def test_a_webhook_may_have_any_certificate(make: Make, field: str) -> None:
    for changes, insecure in (({field: True}, True), ({}, False)):
        outside = Outside()
        await called(make({**HOOK, **changes}), outside)
        assert outside.requests[0].insecure is insecure


@pytest.mark.parametrize("field", [f"{GATE}.headers"])
async def test_a_webhook_is_called_with_headers(make: Make, field: str) -> None:
    for changes, sent in (({field: {"X-Team": ["a", "b"]}}, ["a", "b"]), ({}, [])):
        outside = Outside()
        await called(make({**HOOK, **changes}), outside)
        assert [value for name, value in outside.requests[0].headers if name == "X-Team"] == sent


@pytest.mark.parametrize("field", [f"{GATE}.secretRef.name"])
async def test_a_webhook_is_called_with_what_its_secret_holds(make: Make, field: str) -> None:
    client = cast("KubeClient", Readable({(SECRET, "shop", "keys"): secret(token="abc")}))
    for changes, sent in (({field: "keys"}, "Bearer abc"), ({}, None)):
        outside, canary = Outside(), make({**HOOK, **changes})
        async with Connections(HOOKS, outside) as hooks:
            await Hooks(client, hooks, lambda: NOW).ask(canary, canary.analysis.webhooks[0], {}, "canary_1")
        assert dict(outside.requests[0].headers).get("Authorization") == sent


# --- Messengers ---------------------------------------------------------------------------------------------

ALERT = "spec.analysis.alerts[]"
RULE = {f"{ALERT}.name": "on-call", f"{ALERT}.providerRef.name": "team"}
PROVIDER: Json = {
    "metadata": {"name": "team", "namespace": "shop"},
    "spec": {"type": "slack", "address": "http://slack.test/"},
}
TOLD = Alert("Canary failed", Severity.WARN)


async def alerted(canary: Canary, objects: Objects, status: int = 200) -> list[Request]:
    """What messengers hear of an alert."""
    outside = Outside(status=status)
    client, caches = cast("KubeClient", Readable(objects)), cast("Caches", Known(objects))
    async with Sender(outside) as sender:
        alerter = Alerter(client, caches, sender, Options())
        for who in alerter.addressees(canary, TOLD):
            await alerter.send(canary, TOLD, who)
    return outside.requests


@pytest.mark.parametrize(
    ("field", "value", "kept", "told"),
    [
        (f"{ALERT}.severity", "error", "", False),
        (f"{ALERT}.severity", "warn", "", True),
        (f"{ALERT}.providerRef.name", "team", "other", True),
        (f"{ALERT}.providerRef.namespace", "lab", "shop", False),
    ],
)
async def test_an_alert_reaches_whom_it_is_meant_for(make: Make, field: str, value: str, kept: str, told: bool) -> None:
    objects: Objects = {(ALERT_PROVIDER, "shop", "team"): PROVIDER}
    assert bool(await alerted(make({**RULE, field: value}), objects)) is told
    if field.endswith(("severity", "namespace")):
        assert await alerted(make(RULE), objects)
    else:
        assert not await alerted(make({**RULE, field: kept}), objects)


@pytest.mark.parametrize("field", [f"{ALERT}.name"])
async def test_an_alert_that_cant_be_sent_is_named_in_the_log(make: Make, field: str) -> None:
    with capture_logs() as log:
        await alerted(make({**RULE, field: "on-call"}), {})
    assert [each["rules"] for each in log] == [["on-call"]]


def body(request: Request) -> Json:
    said: Json = json.loads(request.body or b"")
    return said


@pytest.mark.parametrize(
    ("field", "value", "read", "expected"),
    [
        ("AlertProvider.spec.address", "http://other.test/", lambda request: request.url, "http://other.test/"),
        ("AlertProvider.spec.channel", "shop", lambda request: body(request)["channel"], "shop"),
        ("AlertProvider.spec.username", "bot", lambda request: body(request)["username"], "bot"),
        ("AlertProvider.spec.type", "gchat", lambda request: "cardsV2" in body(request), True),
        ("AlertProvider.spec.secretRef.name", "hook", lambda request: request.url, "http://secret.test/"),
    ],
)
async def test_a_messenger_is_spoken_to_so(
    make: Make,
    document: Document,
    field: str,
    value: str,
    read: Callable[[Request], object],
    expected: object,
) -> None:
    keys = secret(address="http://secret.test/")
    for changes, as_said in (({field.removeprefix("AlertProvider."): value}, True), ({}, False)):
        objects: Objects = {
            (ALERT_PROVIDER, "shop", "team"): document(PROVIDER, changes),
            (SECRET, "shop", "hook"): keys,
        }
        (request,) = await alerted(make(RULE), objects)
        assert (read(request) == expected) is as_said


WEBHOOK: Json = {
    "metadata": {"name": "team", "namespace": "shop"},
    "spec": {"type": "webhook", "address": "http://hook.test/"},
}


@pytest.mark.parametrize(
    ("field", "value", "read", "expected"),
    [
        ("AlertProvider.spec.body", '{"a": "{{ text }}"}', body, {"a": "Canary failed"}),
        ("AlertProvider.spec.headers", {"x": ["b"]}, lambda request: dict(request.headers).get("x"), "b"),
    ],
)
async def test_a_webhook_is_told_so(
    make: Make, document: Document, field: str, value: object, read: Callable[[Request], object], expected: object
) -> None:
    for changes, as_said in (({field.removeprefix("AlertProvider."): value}, True), ({}, False)):
        objects: Objects = {(ALERT_PROVIDER, "shop", "team"): document(WEBHOOK, changes)}
        (request,) = await alerted(make(RULE), objects)
        assert (read(request) == expected) is as_said


@pytest.mark.parametrize("field", [f"{ALERT}.links"])
async def test_an_alert_leads_to_pages_that_tell_more(make: Make, field: str) -> None:
    objects: Objects = {(ALERT_PROVIDER, "shop", "team"): WEBHOOK}
    links = {field: {"x": "https://wiki.test/{{ namespace }}/{{ name }}"}}
    for changes, expected in ((links, [{"name": "x", "url": "https://wiki.test/shop/app"}]), ({}, [])):
        (request,) = await alerted(make({**RULE, **changes}), objects)
        assert body(request)["links"] == expected


@pytest.mark.parametrize("field", ["AlertProvider.spec.proxy"])
def test_a_messenger_is_reached_through_a_proxy(make: Make, document: Document, field: str) -> None:
    for changes, proxy in (({"spec.proxy": "http://proxy.test:3128"}, "http://proxy.test:3128"), ({}, "")):
        to = destination(parse_alert_provider(document(PROVIDER, changes)), None)
        assert isinstance(to, Destination)
        request = registry.request(alert_about(make({}), "x", Severity.INFO), to)
        assert isinstance(request, alerting.Request)
        assert request.proxy == proxy


@pytest.mark.field("AlertProvider.spec.channel", "AlertProvider.spec.username")
@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        ("slack", {"channel", "username"}),
        ("discord", {"channel", "username"}),
        ("rocket", {"channel", "username"}),
        ("gchat", {"username"}),
        ("msteams", set()),
        ("apprise", {"channel"}),
    ],
)
async def test_the_address_of_teams_and_google_chat_leads_to_one_channel(
    make: Make, document: Document, kind: str, heard: set[str]
) -> None:
    names = {"channel": "the-shop", "username": "the-bot"}
    spec = {"spec.type": kind, **{f"spec.{name}": value for name, value in names.items()}}
    (request,) = await alerted(make(RULE), {(ALERT_PROVIDER, "shop", "team"): document(PROVIDER, spec)})
    assert {name for name, value in names.items() if value in (request.body or b"").decode()} == heard
