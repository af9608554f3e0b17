"""Each messenger's request, held against golden files; `UPDATE_GOLDEN=1` writes them anew, to be looked at."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.alerts.alert import Alert, Destination, Field, Link, Misconfigured, Request
from canary.alerts.registry import MESSENGERS, request
from canary.alerts.slack import refusal
from canary.api.alertprovider import PROVIDER_TYPES
from canary.api.analysis import Severity

GOLDEN = Path(__file__).parent / "golden"

FIELDS = (
    Field("Cluster", "prod"),
    Field("Target", "Deployment/podinfo.test"),
    Field("Failed checks threshold", "5"),
    Field("Progress deadline", "600s"),
    Field("Traffic routing", "Weight step: 10 max: 50"),
    Field("request-success-rate", "Fail 93.2 against at least 99"),
)
INFO = Alert("podinfo", "test", "New revision detected, progressing canary analysis.", Severity.INFO, FIELDS)
WARN = Alert("podinfo", "test", "Canary is waiting for approval.", Severity.WARN)
ERROR = Alert("podinfo", "test", "Failed checks: <b>5</b> & more", Severity.ERROR, FIELDS[-1:])

ADDRESSES = {
    "slack": "https://hooks.slack.com/services/A/B/C",
    "msteams": "https://outlook.office.com/webhook/A",
    "discord": "https://discord.com/api/webhooks/1/A",
    "rocket": "https://chat.test/hooks/A",
    "gchat": "https://chat.googleapis.com/v1/spaces/A/messages?key=B&token=C",
    "webhook": "https://events.test/alerts",
    "apprise": "http://apprise.test:8000/notify/canary",
}


def to(type_: str, **fields: Any) -> Destination:
    return Destination(
        **({"type": type_, "address": ADDRESSES.get(type_, "https://a.test/"), "channel": "general"} | fields)
    )


def asked(alert: Alert, where: Destination) -> Request:
    found = request(alert, where)
    assert isinstance(found, Request), found
    return found


@pytest.mark.parametrize("alert", [INFO, WARN, ERROR], ids=lambda alert: alert.severity.value)
@pytest.mark.parametrize("type_", sorted(MESSENGERS))
def test_each_messenger_gets_its_own_form(type_: str, alert: Alert) -> None:
    hold_against_golden(f"{type_}-{alert.severity}.json", asked(alert, to(type_)))


def test_a_workflow_of_teams_gets_an_adaptive_card() -> None:
    address = "https://prod-01.westeurope.logic.azure.com:443/workflows/A/triggers/manual/paths/invoke?sig=B"

    hold_against_golden("msteams-workflow.json", asked(ERROR, to("msteams", address=address)))


LINKS = (
    Link("Runbook", "https://wiki.test/podinfo?a=b&c=d"),
    Link("Dashboard", "https://grafana.test/d/canary?var-name=podinfo"),
)


@pytest.mark.parametrize("type_", sorted(MESSENGERS))
def test_links_can_be_clicked_in_each_messenger(type_: str) -> None:
    hold_against_golden(f"{type_}-links.json", asked(replace(ERROR, links=LINKS), to(type_)))


def test_links_can_be_clicked_in_the_card_of_a_workflow() -> None:
    address = "https://prod-01.westeurope.logic.azure.com:443/workflows/A/triggers/manual/paths/invoke?sig=B"

    hold_against_golden(
        "msteams-workflow-links.json", asked(replace(ERROR, links=LINKS), to("msteams", address=address))
    )


def hold_against_golden(name: str, found: Request) -> None:
    text = json.dumps({"address": found.address, "body": found.body}, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


def test_there_is_a_messenger_for_every_type_that_a_provider_may_have() -> None:
    assert set(MESSENGERS) == set(PROVIDER_TYPES)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://discord.com/api/webhooks/1/A", "https://discord.com/api/webhooks/1/A/slack"),
        ("https://discord.com/api/webhooks/1/A/", "https://discord.com/api/webhooks/1/A/slack"),
        ("https://discord.com/api/webhooks/1/A/slack", "https://discord.com/api/webhooks/1/A/slack"),
        ("https://discord.com/api/webhooks/1/A?thread_id=5", "https://discord.com/api/webhooks/1/A/slack?thread_id=5"),
    ],
)
def test_discord_is_asked_at_its_address_for_slacks_format(address: str, expected: str) -> None:
    assert asked(WARN, to("discord", address=address)).address == expected


def test_token_and_proxy_come_along() -> None:
    found = asked(WARN, to("slack", token="T", proxy="http://proxy.test:3128"))

    assert (found.token, found.proxy) == ("T", "http://proxy.test:3128")


def test_without_channel_and_username_the_messengers_own_hold() -> None:
    body = asked(WARN, to("slack", channel="", username="")).body

    assert isinstance(body, dict)
    assert not {"channel", "username"} & body.keys()


@pytest.mark.parametrize("type_", sorted(MESSENGERS))
def test_secrets_are_not_shown(type_: str) -> None:
    where = to(type_, address="https://a.test/SECRET", token="SECRET", proxy="http://u:SECRET@proxy.test")

    assert "SECRET" not in repr(where)
    assert "SECRET" not in repr(asked(WARN, where))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "pigeon"}, "no messenger 'pigeon'"),
        ({"address": "hooks.slack.com/x"}, "its address is not"),
        ({"address": "ftp://a/"}, "its address is not"),
        ({"address": "http://"}, "its address is not"),
        ({"address": "http://[1"}, "its address is not"),
        ({"address": "http://a:99999/"}, "its address is not"),
        ({"proxy": "my-http-proxy.com"}, "its proxy is not"),
    ],
)
def test_a_messenger_that_cannot_be_reached_is_a_value(fields: dict[str, str], words: str) -> None:
    found = request(WARN, to("slack", **fields))

    assert isinstance(found, Misconfigured)
    assert words in found.reason


@given(st.text(), st.sampled_from(Severity), st.lists(st.builds(Field, st.text(), st.text())))
def test_any_text_becomes_json_for_every_messenger(text: str, severity: Severity, fields: list[Field]) -> None:
    for type_ in MESSENGERS:
        json.dumps(asked(Alert("a", "b", text, severity, tuple(fields)), to(type_)).body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("ok", None),
        ("", None),
        ("[]", None),
        ('{"ok": true}', None),
        ('{"ok": false, "error": "channel_not_found"}', "channel_not_found"),
        ('{"ok": false}', "not ok"),
    ],
)
def test_slack_may_refuse_with_200(body: str, expected: str | None) -> None:
    assert refusal(200, body) == expected
