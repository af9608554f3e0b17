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
    "canary_controller_check",
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


def test_why_a_rollout_stands_where_it_does_is_one_series_while_there_is_one() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()

    def reasons(phase: Phase, reason: str) -> list[str]:
        telemetry.observe(subject, subject.status.replace(phase=phase, reason=reason))
        return [each for each in series(telemetry) if each.startswith("canary_controller_rollout_reason")]

    shown = 'canary_controller_rollout_reason{{name="app",namespace="prod",reason="{}"}} 1.0'.format
    assert reasons(Phase.PROGRESSING, "Analysing") == [shown("Analysing")]
    assert reasons(Phase.WAITING_PROMOTION, "WaitingForApproval") == [shown("WaitingForApproval")]
    assert reasons(Phase.PROGRESSING, "") == []
    assert reasons(Phase.PROGRESSING, "Held") == [shown("Held")]
    assert reasons(Phase.SUCCEEDED, "Succeeded") == []
    assert reasons(Phase.FAILED, "Held") == [shown("Held")], "one that failed after its promotion, too"


def test_what_comes_late_of_a_canary_that_is_gone_leaves_nothing() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    lived(telemetry, subject)
    telemetry.forget("prod/app")

    telemetry.looked(subject, timedelta(seconds=1))
    telemetry.ended(subject, Ending.FAILED)

    assert series(telemetry) == []


def test_no_metric_of_whichever_name_keeps_a_series_of_a_canary_that_is_gone() -> None:
    """Not by a list of names: whatever is added to the controller's metrics is held to it, too."""
    telemetry = Telemetry("1", "traefik")
    before = {(each.name, *each.labels.items()) for every in telemetry.registry.collect() for each in every.samples}
    lived(telemetry, canary())
    telemetry.unreadable("prod/app")
    telemetry.forget("prod/app")
    after = {(each.name, *each.labels.items()) for every in telemetry.registry.collect() for each in every.samples}
    assert after == before


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


def test_what_checks_have_said_last_is_shown_and_nothing_of_those_that_say_nothing_any_more() -> None:
    """Each metric's number, its bounds and its verdict; a webhook has a verdict alone, and that while it fails."""
    metrics = [
        {"name": "errors", "query": "x", "thresholdRange": {"min": 1, "max": 5}},
        {"name": "request-success-rate", "compareTo": "primary"},
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "analysis": {"metrics": metrics}}
    subject = parse_canary({"metadata": {"name": "app", "namespace": "prod"}, "spec": spec})
    failed = CheckStatus(name="errors", verdict=Verdict.FAIL, value=7.0)
    compared = CheckStatus(name="request-success-rate", verdict=Verdict.PASS, value=99.5, threshold="primary")
    hook = CheckStatus(name="hook", verdict=Verdict.FAIL)
    telemetry = Telemetry("1", "traefik")

    def shown() -> dict[str, float]:
        lines = (line for line in series(telemetry) if line.startswith("canary_controller_check"))
        found = (line.removeprefix("canary_controller_check_").rpartition(" ") for line in lines)
        return {name.replace('name="app",namespace="prod"', ""): float(value) for name, _, value in found}

    telemetry.observe(subject, subject.status.replace(checks=(failed, compared, hook)))
    assert shown() == {
        'verdict{metric="errors",}': 1,
        'value{metric="errors",}': 7,
        'threshold{bound="min",metric="errors",}': 1,
        'threshold{bound="max",metric="errors",}': 5,
        'verdict{metric="request-success-rate",}': 0,
        'value{metric="request-success-rate",}': 99.5,
        'verdict{metric="hook",}': 1,
    }
    unavailable = CheckStatus(name="errors", verdict=Verdict.UNAVAILABLE)
    telemetry.observe(subject, subject.status.replace(checks=(unavailable,)))
    assert shown().keys() == {
        'verdict{metric="errors",}',
        'threshold{bound="min",metric="errors",}',
        'threshold{bound="max",metric="errors",}',
    }
    telemetry.observe(subject, subject.status.replace(checks=()))
    assert shown() == {}


def test_what_the_metrics_of_its_traffic_are_found_by_is_shown_as_the_spec_has_it_now() -> None:
    telemetry, subject = Telemetry("1", "traefik"), canary()
    for name in ("before", "now"):
        service = subject.spec.service.replace(name=name, port=80)
        edited = subject.replace(spec=subject.spec.replace(service=service))
        telemetry.observe(edited, edited.status)
    shown = [line for line in series(telemetry) if line.startswith("canary_controller_canary_info")]
    labels = 'name="app",namespace="prod",ports="(80|http)",provider="traefik",service="now"'
    assert shown == [f"canary_controller_canary_info{{{labels}}} 1.0"]
