"""What /metrics shows of a Canary goes with it: a cluster of pull requests must not fill Prometheus for ever."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import generate_latest

from canary.api.canary import Canary, parse_canary
from canary.api.meta import Condition, ConditionStatus
from canary.api.status import BakeStatus, CheckStatus, Phase, Verdict
from canary.controller.telemetry import Telemetry
from canary.rollout.decision import Ending

NOW = datetime(2026, 3, 4, tzinfo=UTC)

PER_CANARY = (
    "flagger_canary",
    "canary_controller_canary_info",
    "canary_controller_stalled",
    "canary_controller_rollout",
    "canary_controller_unavailable_checks",
)


def canary(name: str = "app", target: str = "app", namespace: str = "prod") -> Canary:
    spec: dict[str, Any] = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}}
    checks = [{"name": "m", "verdict": "Pass", "value": 1.0}]
    return parse_canary(
        {"metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": {"checks": checks}}
    )


def lived(telemetry: Telemetry, subject: Canary) -> None:
    """A Canary that has shown everything there is to show."""
    telemetry.observe(subject, subject.status.replace(phase=Phase.PROGRESSING, last_transition_time=NOW))
    telemetry.looked(subject, timedelta(seconds=1))
    for ending in Ending:
        telemetry.ended(subject, ending)
    telemetry.observe(subject, subject.status.replace(phase=Phase.FAILED))


def series(telemetry: Telemetry) -> list[str]:
    lines = generate_latest(telemetry.registry).decode().splitlines()
    return [line for line in lines if line.startswith(PER_CANARY)]


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


def value(telemetry: Telemetry, metric: str) -> float | None:
    return telemetry.registry.get_sample_value(metric, {"name": "app", "namespace": "prod"})


def test_when_a_rollout_moved_is_shown_while_there_is_one() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    for phase in Phase:
        telemetry.observe(subject, subject.status.replace(phase=phase, last_transition_time=NOW))
        rests = phase.value in {"", "Initialized", "Succeeded", "Failed", "Terminated"}
        moved = value(telemetry, "canary_controller_rollout_moved_timestamp_seconds")
        assert moved == (None if rests else NOW.timestamp()), phase
        assert value(telemetry, "canary_controller_rollout_interval_seconds") == (None if rests else 60), phase


def test_what_stands_in_a_canary_s_way_is_shown_while_it_does() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    stalled = Condition(type="Stalled", status=ConditionStatus.TRUE, reason="Invalid", message="no")
    for conditions, shown in (((), 0), ((stalled,), 1), ((), 0)):
        telemetry.observe(subject, subject.status.replace(conditions=conditions))
        assert value(telemetry, "canary_controller_stalled") == shown


def test_a_canary_that_can_t_be_read_is_stalled_until_it_can() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    telemetry.unreadable("prod/app")
    assert value(telemetry, "canary_controller_stalled") == 1
    assert not telemetry.shows(subject)
    telemetry.observe(subject, subject.status)
    assert telemetry.shows(subject)
    assert value(telemetry, "canary_controller_stalled") == 0
    assert 'flagger_canary_total{namespace="prod"} 1.0' in series(telemetry)
    telemetry.unreadable("prod/app")
    telemetry.forget("prod/app")
    assert series(telemetry) == []


def test_checks_without_an_answer_are_counted_while_there_are_looks() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    checks = tuple(
        CheckStatus(name=str(index), verdict=verdict)
        for index, verdict in enumerate([Verdict.UNAVAILABLE, Verdict.NO_DATA, Verdict.UNAVAILABLE])
    )
    for phase, bake, shown in (
        (Phase.PROGRESSING, None, 2),
        (Phase.SUCCEEDED, BakeStatus(), 2),
        (Phase.SUCCEEDED, None, 0),
    ):
        telemetry.observe(subject, subject.status.replace(phase=phase, checks=checks, bake=bake))
        assert value(telemetry, "canary_controller_unavailable_checks") == shown


def test_what_the_metrics_of_its_traffic_are_found_by_is_shown_as_the_spec_has_it_now() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    for name in ("before", "now"):
        service = subject.spec.service.replace(name=name, port=80)
        edited = subject.replace(spec=subject.spec.replace(service=service))
        telemetry.observe(edited, edited.status)
    shown = [line for line in series(telemetry) if line.startswith("canary_controller_canary_info")]
    labels = 'name="app",namespace="prod",ports="(80|http)",provider="traefik",service="now"'
    assert shown == [f"canary_controller_canary_info{{{labels}}} 1.0"]
