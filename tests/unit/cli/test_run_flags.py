"""What `canary run` is told: how long data planes take to follow, where it works, what goes with alerts."""

import argparse
from datetime import timedelta
from pathlib import Path

import pytest

from canary.api.canary import Canary, parse_canary
from canary.cli import run_command
from canary.controller.options import Admission, Options, VoteSettings
from canary.routers.base import SERVICES_FOLLOW, TRAEFIK_FOLLOWS
from canary.routers.registry import settle_of
from outbound.destinations import ALLOW, DENY, Destinations

SECOND = timedelta(seconds=1)


def options(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    return run_command.options_of(parser.parse_args(["run", *arguments]))


def settle(provider: str, told: str = "", kind: str = "Deployment", **analysis: object) -> timedelta:
    """How long the data plane of a provider is given, on this command line."""
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "app"}
    spec = {"provider": provider, "targetRef": target, "analysis": analysis}
    made: Canary = parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "0-1"}, "spec": spec})
    said = options(f"--traffic-settle-time={told}") if told else options()
    return settle_of(made, "traefik", said.settle)


def test_each_provider_says_what_it_needs() -> None:
    assert [settle(each) for each in ("", "traefik", "gatewayapi:v1")] == [TRAEFIK_FOLLOWS] * 3
    assert settle("kubernetes") == settle("kubernetes", replicaRatio=True) == SERVICES_FOLLOW


def test_what_is_replaced_in_place_has_no_route_to_be_followed() -> None:
    assert settle("", "9s", kind="StatefulSet") == timedelta(0)


def test_a_time_without_a_name_is_for_all_that_have_none() -> None:
    told = "20s,gatewayapi:v1=1m30s"
    assert [settle(each, told) for each in ("traefik", "kubernetes", "gatewayapi:v1")] == [
        20 * SECOND,
        20 * SECOND,
        90 * SECOND,
    ]
    assert [settle(each, "traefik=0s") for each in ("traefik", "gatewayapi:v1")] == [timedelta(0), TRAEFIK_FOLLOWS]


@pytest.mark.parametrize(
    ("told", "why"),
    [("soon", "is not a duration"), ("envoy=3s", "traffic provider envoy is not supported"), ("-3s", "is negative")],
)
def test_what_is_no_time_is_refused(told: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"--traffic-settle-time={told}")
    assert why in capsys.readouterr().err


def test_destinations_are_networks_and_a_flag_may_come_several_times() -> None:
    told = options(
        "--deny-destination=10.0.0.0/8, 192.0.2.7", "--deny-destination", "::/0", "--allow-destination=10.1.0.0/16"
    ).destinations
    assert [str(each) for each in told.denied] == ["10.0.0.0/8", "192.0.2.7/32", "::/0"]
    assert [str(each) for each in told.allowed] == ["10.1.0.0/16"]
    assert options().destinations == Destinations()


@pytest.mark.parametrize("flag", [ALLOW, DENY])
@pytest.mark.parametrize("told", ["gate.test", "10.0.0.1/8", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(told: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"{flag}={told}")
    assert "write networks or addresses, such as 10.0.0.0/8,192.0.2.7" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--namespace", "--leader-election-namespace"])
@pytest.mark.parametrize("told", ["Shop", "shop,web", "a b", "-shop", "a.b", "s" * 64, "*"])
def test_what_no_namespace_can_be_called_is_refused(told: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"{flag}={told}")
    assert f"{flag}: {told!r} is no name of a namespace" in capsys.readouterr().err


def test_no_namespace_is_all_of_them_and_none_for_the_lease(capsys: pytest.CaptureFixture[str]) -> None:
    assert options("--namespace=").namespace is None
    with pytest.raises(SystemExit):
        options("--leader-election-namespace=")
    assert "'' is no name of a namespace" in capsys.readouterr().err


def test_a_namespace_that_can_be_is_taken() -> None:
    assert options("--namespace", "shop-7").namespace == "shop-7"
    assert options("--leader-election-namespace", "1").lease_namespace == "1"


def test_links_that_go_with_every_alert_are_given_one_by_one() -> None:
    dashboard = "https://grafana.test/d/canary?var-name={{ name }}"
    found = options(f"--alert-link=Dashboard={dashboard}", "--alert-link", "Wiki = https://wiki.test/")
    assert found.links == {"Dashboard": dashboard, "Wiki": "https://wiki.test/"}
    assert options().links == {}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("https://wiki.test/", "is not NAME=TEMPLATE, such as Dashboard=https://grafana/d/canary?var-name={{ name }}"),
        ("Wiki=wiki.test", "no link can be made of 'wiki.test': it makes no http:// or https:// address"),
        ("Wiki=https://wiki.test/{{ nam }}", "nam isn't defined; available are cluster, kind, name"),
    ],
)
def test_what_is_no_link_is_refused(told: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"--alert-link={told}")
    assert why in capsys.readouterr().err


WEEKENDS = '{"name": "weekends", "start": "2026-01-02T18:00", "duration": "62h", "rrule": "FREQ=WEEKLY;BYDAY=FR"}'


def test_freeze_windows_are_written_as_in_a_canary() -> None:
    once = '{"name": "once", "start": "2026-12-23T18:00", "duration": "1h", "stops": "steps"}'
    said = options(f"--freeze-window={WEEKENDS}", f"--freeze-window={once}", "--max-concurrent-rollouts=5")
    assert [each.name for each in said.freezes] == ["weekends", "once"]
    assert (said.max_rollouts, options().max_rollouts, options().freezes) == (5, 0, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("weekends", "is no freeze window: Invalid JSON"),
        ('{"name": "w"}', "is no freeze window: start: Field required"),
        (WEEKENDS.replace("rrule", "rule"), "rule: unknown field; there are name, start, duration, rrule"),
        (WEEKENDS.replace("62h", "soon"), "duration: 'soon' is not a duration"),
        (WEEKENDS.replace("=FR", "=XX"), "rrule: FREQ=WEEKLY;BYDAY=XX can't be read"),
    ],
)
def test_a_window_that_can_not_be_is_refused(text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"--freeze-window={text}")
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "address", "number"),
    [(":8082", "", 8082), ("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:0", "::1", 0), ("votes:1", "votes", 1)],
)
def test_votes_are_taken_nowhere_unless_a_flag_says_where(text: str, address: str, number: int) -> None:
    assert options().votes is None
    assert options(f"--vote-address={text}").votes == VoteSettings(address, number)
    flags = ("--vote-link-key=/keys/key", "--vote-audience=votes", "--vote-certificate-folder=/tls")
    said = options(f"--vote-address={text}", *flags)
    assert said.votes == VoteSettings(address, number, Path("/keys/key"), "votes", Path("/tls"))


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--vote-address=8082",), "is not [ADDRESS]:PORT"),
        (("--vote-address=::1:80",), "is not [ADDRESS]:PORT"),
        (("--vote-address=:70000",), "is not a whole number from 0 to 65535"),
        (("--vote-link-key=/keys/key",), "--vote-link-key has no effect without --vote-address"),
        (("--vote-audience=votes",), "--vote-audience has no effect without --vote-address"),
        (("--vote-certificate-folder=/tls",), "--vote-certificate-folder has no effect without --vote-address"),
    ],
)
def test_what_says_nowhere_to_take_votes_is_refused(
    flags: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options(*flags)
    assert why in capsys.readouterr().err


def test_traces_are_off_unless_a_flag_or_opentelemetrys_own_variable_says_where_they_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert options().traces == ""
    assert options("--otlp-endpoint=http://c:4318").traces == "http://c:4318/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d:4318")
    assert options().traces == "http://d:4318/v1/traces"
    assert options("--otlp-endpoint=http://c:4318").traces == "http://c:4318/v1/traces"


def test_without_the_extra_the_flag_is_refused_with_the_remedy_and_a_variable_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("canary.controller.otlp.is_installed", lambda: False)
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    with pytest.raises(SystemExit):
        run_command.options_of(parser.parse_args(["run", "--otlp-endpoint=http://c:4318"]))
    assert "pip install 'canary-controller[otel]'" in capsys.readouterr().err
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d:4318")
    assert options().traces == ""
    assert "pip install 'canary-controller[otel]'" in capsys.readouterr().err


def test_nobody_is_answered_unless_a_port_says_so() -> None:
    assert options().admission is None
    assert options("--admission-name=a", "--admission-port=0").admission is None


def test_admission_is_told_where_its_certificate_is() -> None:
    found = options("--admission-port=9443", "--admission-certificate-life=48h")
    assert found.admission == Admission(9443, "canary-controller-admission", None, timedelta(days=2))
    given = options("--admission-port=9443", "--admission-name=shop", "--admission-certificate-folder=/tls")
    assert given.admission == Admission(9443, "shop", Path("/tls"), timedelta(days=90))


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("port=99999", "whole number from 0 to 65535"),
        ("name=A b", "is no name of a Service"),
        ("certificate-life=1s", "is not from 10s to 87600h"),
        ("certificate-life=99999h", "is not from 10s to 87600h"),
        ("certificate-life=soon", "is not a duration"),
    ],
)
def test_what_admission_cant_be_told_is_refused(flag: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(f"--admission-{flag}")
    assert why in capsys.readouterr().err
