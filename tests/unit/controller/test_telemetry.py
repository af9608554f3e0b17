"""What /metrics shows of a Canary goes with it: a cluster of pull requests must not fill Prometheus for ever."""

from datetime import timedelta
from typing import Any

from prometheus_client import generate_latest

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.controller.telemetry import Telemetry
from canary.rollout.decision import Ending


def canary(name: str = "app", target: str = "app", namespace: str = "prod") -> Canary:
    spec: dict[str, Any] = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}}
    checks = [{"name": "m", "verdict": "Pass", "value": 1.0}]
    return parse_canary(
        {"metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": {"checks": checks}}
    )


def lived(telemetry: Telemetry, subject: Canary) -> None:
    """A Canary that has shown everything there is to show."""
    telemetry.observe(subject, subject.status)
    telemetry.looked(subject, timedelta(seconds=1))
    for ending in Ending:
        telemetry.ended(subject, ending)
    telemetry.observe(subject, subject.status.replace(phase=Phase.FAILED))


def series(telemetry: Telemetry) -> list[str]:
    lines = generate_latest(telemetry.registry).decode().splitlines()
    return [line for line in lines if line.startswith("flagger_canary")]


def test_nothing_is_left_of_a_canary_that_is_gone() -> None:
    telemetry = Telemetry("1", "traefik")
    lived(telemetry, canary())
    assert len(series(telemetry)) > 20

    telemetry.forget("prod/app")

    assert series(telemetry) == []
    assert not telemetry.shows(canary())


def test_a_canary_beside_it_is_still_shown() -> None:
    telemetry, alone = Telemetry("1", "traefik"), Telemetry("1", "traefik")
    for subject in (canary(), canary("other", "other"), canary("same", "app")):
        lived(telemetry, subject)
    lived(alone, canary("other", "other"))
    telemetry.forget("prod/app")
    assert 'flagger_canary_status{name="app",namespace="prod"} 2.0' in series(telemetry)
    assert 'flagger_canary_total{namespace="prod"} 2.0' in series(telemetry)

    telemetry.forget("prod/same")

    assert _named(series(telemetry)) == _named(series(alone))


def _named(lines: list[str]) -> set[str]:
    return {line.partition(" ")[0] for line in lines if "_created" not in line}


def test_nothing_is_left_of_a_target_that_a_canary_is_about_no_more() -> None:
    telemetry = Telemetry("1", "traefik")
    lived(telemetry, canary(target="old"))
    lived(telemetry, canary(target="new"))
    assert not [line for line in series(telemetry) if "old" in line]
    assert 'flagger_canary_total{namespace="prod"} 1.0' in series(telemetry)

    telemetry.forget("prod/app")

    assert series(telemetry) == []


def test_whoever_stands_by_shows_no_canary() -> None:
    telemetry = Telemetry("1", "traefik")
    lived(telemetry, canary())
    telemetry.stand_by()
    assert series(telemetry) == []
    lived(telemetry, canary())
    assert series(telemetry)
