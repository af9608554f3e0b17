from datetime import UTC, datetime
from typing import Any

import pytest

from canary.alerts.alert import Destination, Field, Misconfigured, destination, links_for, recipients
from canary.alerts.said import LONGEST_TEXT, LONGEST_VALUE, MOST_CHECKS, alert_about
from canary.api.alertprovider import parse_alert_provider
from canary.api.analysis import Severity
from canary.api.canary import Canary, parse_canary
from canary.api.status import CheckStatus, Verdict
from outbound.tls import Tls

INFO, WARN, ERROR = Severity.INFO, Severity.WARN, Severity.ERROR


def a_canary(**analysis: Any) -> Canary:
    return parse_canary(
        {
            "metadata": {"name": "podinfo", "namespace": "test"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "podinfo"},
                "service": {"port": 9898},
                "analysis": {"interval": "10s", "threshold": 5} | analysis,
            },
        }
    )


def rule(severity: str, name: str = "on-call", namespace: str = "") -> dict[str, Any]:
    reference = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"name": "a", "severity": severity, "providerRef": reference}


def test_links_are_those_of_the_rules_that_ask_for_the_alert() -> None:
    mild, grave = rule("info") | {"links": {"Runbook": "a", "Wiki": "b"}}, rule("error") | {"links": {"Runbook": "c"}}
    canary = a_canary(alerts=[mild, grave, rule("info", name="other") | {"links": {"Other": "d"}}])
    (on_call, _) = recipients(canary, INFO).providers

    assert links_for(canary, on_call, INFO) == {"Runbook": "a", "Wiki": "b"}
    assert links_for(canary, on_call, ERROR) == {"Runbook": "c", "Wiki": "b"}


def provider(**spec: Any) -> Any:
    return parse_alert_provider(
        {"metadata": {"name": "on-call", "namespace": "test"}, "spec": {"type": "slack"} | spec}
    )


# --- Who is told -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("happened", list(Severity))
def test_a_canary_without_alerts_tells_those_for_all(happened: Severity) -> None:
    told = recipients(a_canary(), happened)

    assert (told.default, told.providers) == (True, ())


@pytest.mark.parametrize(
    ("asked_for", "happened", "told"),
    [
        ("info", INFO, True),
        ("info", WARN, True),
        ("info", ERROR, True),
        ("", INFO, True),
        ("warn", INFO, False),
        ("warn", WARN, True),
        ("warn", ERROR, True),
        ("error", INFO, False),
        ("error", WARN, False),
        ("error", ERROR, True),
    ],
)
def test_an_alert_reaches_those_who_asked_for_its_severity_or_less(
    asked_for: str, happened: Severity, *, told: bool
) -> None:
    found = recipients(a_canary(alerts=[rule(asked_for)]), happened)

    assert not found.default
    assert bool(found.providers) is told


def test_providers_are_of_the_canarys_namespace_unless_another_is_named_and_told_once() -> None:
    canary = a_canary(alerts=[rule("info"), rule("info", namespace="ops"), rule("warn", namespace="test")])

    found = recipients(canary, ERROR).providers

    assert [(each.namespace, each.name) for each in found] == [("test", "on-call"), ("ops", "on-call")]


# --- How they are reached --------------------------------------------------------------------------------------


def test_a_provider_has_defaults_for_channel_and_username() -> None:
    found = destination(provider(address="https://a.test/"), None)

    assert found == Destination("slack", "https://a.test/", username="flagger", channel="general")


def test_a_providers_own_settings_are_kept() -> None:
    found = destination(provider(address="https://a.test/", channel="c", username="u", proxy="http://p"), None)

    assert found == Destination("slack", "https://a.test/", username="u", channel="c", proxy="http://p")


def test_the_secrets_address_goes_before_the_providers() -> None:
    described = provider(address="https://old.test/", secretRef={"name": "url"})

    found = destination(described, {"address": "https://new.test/\n", "token": "T\n"})

    assert found == Destination("slack", "https://new.test/", token="T", channel="general")


def test_a_secret_may_hold_no_more_than_what_is_secret() -> None:
    described = provider(type="webhook", address="https://a.test/", secretRef={"name": "keys"})
    keys = {
        "token": "T",
        "header.X-Key": "K\n",
        "body.routingKey": "R",
        "proxy": "http://u:p@proxy",
        "ca.crt": "CA",
        "tls.crt": "C",
        "tls.key": "P",
        "other": "O",
    }

    found = destination(described, keys)

    assert isinstance(found, Destination)
    assert (found.address, found.token, found.headers) == ("https://a.test/", "T", (("X-Key", "K"),))
    assert found.secrets == {"routingKey": "R"}, "no other key can be sent away by a template"
    assert (found.proxy, found.tls) == ("http://u:p@proxy", Tls("CA", certificate="C", key="P"))


@pytest.mark.parametrize(
    ("spec", "secret", "words"),
    [
        ({}, None, "neither address nor secretRef"),
        ({"secretRef": {"name": "url"}, "address": "https://a.test/"}, None, "Secret url does not exist"),
        ({"secretRef": {"name": "url"}}, {"token": "T"}, "Secret url has no address"),
        ({"secretRef": {"name": "url"}}, {"address": " "}, "neither"),
    ],
)
def test_a_provider_without_an_address_is_told(spec: Any, secret: dict[str, str] | None, words: str) -> None:
    found = destination(provider(**spec), secret)

    assert isinstance(found, Misconfigured)
    assert words in found.reason


# --- What is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analysis", "routing"),
    [
        ({"stepWeight": 10, "maxWeight": 50}, "Weight step: 10 max: 50"),
        ({"stepWeights": [1, 5, 20]}, "Weight steps: 1,5,20 max: 20"),
        ({"iterations": 3}, "Blue/Green"),
        ({"iterations": 3, "match": [{"headers": {"x": {"exact": "y"}}}]}, "A/B Testing"),
    ],
)
def test_details_tell_target_limits_and_routing(analysis: dict[str, Any], routing: str) -> None:
    alert = alert_about(a_canary(**analysis), "New revision detected.", INFO, cluster="prod", details=True)

    assert alert.canary == "podinfo.test"
    assert alert.fields == (
        Field("Cluster", "prod"),
        Field("Target", "Deployment/podinfo.test"),
        Field("Failed checks threshold", "5"),
        Field("Progress deadline", "600s"),
        Field("Traffic routing", routing),
    )


def test_without_steps_no_routing_is_told() -> None:
    assert "Traffic routing" not in [field.name for field in alert_about(a_canary(), "x", INFO, details=True).fields]


def test_checks_that_did_not_pass_are_told_with_value_and_threshold() -> None:
    checks = [
        CheckStatus(name="request-success-rate", verdict=Verdict.FAIL, value=93.2, threshold="at least 99"),
        CheckStatus(name="latency", verdict=Verdict.PASS, value=1),
        CheckStatus(name="errors", verdict=Verdict.UNAVAILABLE, message="connection refused"),
        CheckStatus(name="load-test", verdict=Verdict.FAIL),
    ]

    assert alert_about(a_canary(), "Rolling back.", ERROR, checks=checks).fields == (
        Field("request-success-rate", "Fail 93.2 against at least 99"),
        Field("errors", "Unavailable: connection refused"),
        Field("load-test", "Fail"),
    )


def test_a_check_tells_all_that_its_verdict_rests_on() -> None:
    check = CheckStatus(
        name="errors",
        verdict=Verdict.FAIL,
        value=93.2,
        threshold=">= 99",
        samples=512,
        since=datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        query="sum(\n  rate(errors[1m])\n)",
        message="errors 93.2 is below 99 over 1m",
    )

    (told,) = alert_about(a_canary(), "Rolling back.", ERROR, checks=[check]).fields

    words = "Fail 93.2 against >= 99 (512 samples) since 2026-01-01T12:30:00Z: errors 93.2 is below 99 over 1m"
    assert told == Field("errors", f"{words}; asked: sum( rate(errors[1m]) )")


def test_of_too_many_checks_those_that_failed_are_told_and_the_others_counted() -> None:
    checks = [CheckStatus(name=f"no-data-{each}", verdict=Verdict.NO_DATA) for each in range(20)]
    checks += [CheckStatus(name="errors", verdict=Verdict.FAIL)]

    fields = alert_about(a_canary(), "Rolling back.", ERROR, checks=checks).fields

    assert (fields[0].name, fields[-1]) == ("errors", Field("More checks", f"{21 - MOST_CHECKS} that did not pass"))
    assert len(fields) == MOST_CHECKS + 1


def test_texts_are_cut_to_what_every_messenger_takes() -> None:
    checks = [CheckStatus(name="a", verdict=Verdict.FAIL, message="x" * 5000)]

    alert = alert_about(a_canary(), "y" * 5000, ERROR, checks=checks)

    assert (len(alert.text), len(alert.fields[0].value)) == (LONGEST_TEXT, LONGEST_VALUE)
    assert alert.text.endswith("…")
