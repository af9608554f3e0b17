"""Fields that shape a rollout: the same story is played with and without each, and tells the difference."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.canary import Canary
from canary.api.status import Phase
from canary.api.traffic import Readiness, Split
from canary.rollout.facts import Facts, Workload
from canary.rollout.simulation import (
    Delete,
    Deploy,
    Reading,
    Reply,
    SafeWorld,
    Scenario,
    Scheduled,
    Timeline,
    Version,
    Window,
)
from canary.rollout.situation import Situation

GOOD, BAD, MUTE = Version(), Version(readings=(Reading(1.0),)), Version(readings=(Reading(None),))
NEVER = Version(ready_after=None)
STEPS: dict[str, object] = {"spec.analysis.stepWeight": 25, "spec.analysis.maxWeight": 50}
RATE: dict[str, object] = {"spec.analysis.metrics": [{"name": "request-success-rate", "threshold": 99}]}
NO_LIMIT: dict[str, object] = {"spec.analysis.metrics": [{"name": "request-success-rate"}]}
COMPARED: dict[str, object] = {"spec.analysis.metrics": [{"name": "request-success-rate", "compareTo": "primary"}]}
TOLERANT: dict[str, object] = {**COMPARED, "spec.analysis.metrics[].tolerance": 1}
LOW = 'metrics["request-success-rate"].value < 99'
HIGH: dict[str, object] = {
    "spec.analysis.metrics": [{"name": "request-success-rate", "threshold": 99, "dryRun": True}],
    "spec.analysis.conditions": [{"name": "high", "expression": 'metrics["request-success-rate"].value >= 99'}],
}
OWN: dict[str, object] = {"spec.analysis.metrics": [{"name": "lag", "query": "lag", "threshold": 500}]}
TWICE: dict[str, object] = {"spec.analysis.threshold": 2}
PASSING: dict[str, object] = {"spec.analysis.metrics[].noData": "Pass"}
HOOK: dict[str, object] = {
    "spec.analysis.webhooks[].name": "hook",
    "spec.analysis.webhooks[].url": "http://hooks.test/",
}
ASKED_FIRST: dict[str, object] = {"spec.analysis.webhooks[].type": "confirm-rollout"}
START = timedelta(seconds=60)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HALF = Workload("v2", Readiness(desired=4, updated=4, ready=2, available=2, total=4))
"""A workload of which two pods out of four are ready."""


def world(canary: Canary, version: Version = GOOD, *, delete: float = 0, outage: tuple[Window, ...] = ()) -> SafeWorld:
    """A version is deployed after a minute; the Canary is deleted at a second, if at any."""
    changes = [Scheduled(START, Deploy("v2"))]
    if delete:
        changes.append(Scheduled(timedelta(seconds=delete), Delete()))
    versions = {"v1": GOOD, "v2": version}
    return SafeWorld(Scenario(canary=canary, versions=versions, changes=tuple(changes), metrics_down=outage))


def play(canary: Canary, version: Version = GOOD) -> Timeline:
    return world(canary, version).run()


def weights(canary: Canary) -> tuple[int, ...]:
    return play(canary).weights


def mirrored(canary: Canary) -> set[int]:
    return {each.split.mirror for each in play(canary).entries if each.split is not None}


def baseline_shares(canary: Canary) -> set[int]:
    return {each.split.baseline for each in play(canary).entries if each.split is not None}


def minutes_between_steps(canary: Canary) -> int:
    at = {weight: moment for moment, weight in play(canary).weight_changes}
    return round((at[50] - at[25]) / timedelta(minutes=1))


def iterations(canary: Canary) -> int:
    return sum(" canary iteration " in event for event in play(canary).events)


def failed_checks(canary: Canary) -> int:
    return play(canary, BAD).status.failed_checks


def end_of_bad(canary: Canary) -> tuple[Phase, str]:
    status = play(canary, BAD).status
    return status.phase, status.reason


def end_without_data(canary: Canary) -> tuple[Phase, str]:
    status = play(canary, MUTE).status
    return status.phase, status.reason


def end_in_outage(canary: Canary) -> Phase:
    line = world(canary, outage=(Window(timedelta(seconds=100), timedelta(seconds=300)),)).run()
    return line.status.phase


def given_up_after(canary: Canary) -> int | None:
    at = play(canary, NEVER).when(Phase.FAILED)
    return None if at is None else round((at - START).total_seconds())


def served_after_deletion(canary: Canary) -> bool:
    """Whether users are back on the target, though it runs what nobody has promoted."""
    left = world(canary, delete=130)
    left.run()
    assert left.gone
    return not left.cluster.managed


def ready(side: str) -> Callable[[Canary], bool]:
    def read(canary: Canary) -> bool:
        situation = Situation(canary, Facts(now=NOW, target=HALF, primary=HALF, split=Split(0)))
        return situation.canary_ready if side == "canary" else situation.primary_ready

    return read


def closed(canary: Canary) -> Timeline:
    """Every hook says no."""
    story = world(canary).scenario
    return SafeWorld(replace(story, replies=(Reply(approved=False),), limit=timedelta(minutes=10))).run()


def waits(canary: Canary) -> bool:
    return Phase.WAITING in closed(canary).phases


def named_in_events(canary: Canary) -> bool:
    return any("gate" in event for event in closed(canary).events)


def alerts(canary: Canary) -> int:
    return sum("waiting for approval" in alert for alert in closed(canary).alerts)


def phase(canary: Canary) -> Phase:
    return play(canary).status.phase


def seconds_to_be_told(canary: Canary) -> int:
    """How long a version that fails a little more often than the primary has requests."""
    worse = Version(readings=(Reading(97.0),))
    (_, begun), *_, (_, out) = [(weight, at) for at, weight in play(canary, worse).weight_changes[1:]]
    return round((out - begun).total_seconds())


def quick(canary: Canary) -> bool:
    """Whether two steps take less than one of their intervals."""
    (begun, _), *_, (out, _) = play(canary).weight_changes[1:]
    return out - begun < timedelta(minutes=1)


def halts(canary: Canary) -> int:
    """Looks that a bad version does not pass."""
    return sum(each.startswith("Halt") for each in play(canary, BAD).events)


def minutes_to_first_halt(canary: Canary) -> int:
    entries = play(canary, BAD).entries
    begun = next(each.at for each in entries if each.weight)
    first = next(each.at for each in entries if any(event.message.startswith("Halt") for event in each.events))
    return round((first - begun) / timedelta(minutes=1))


def end_of_one_bad_pod(canary: Canary) -> Phase:
    """Of three series the first is bad."""
    return play(canary, Version(readings=(Reading(900.0, others=(99.5, 100.0)),))).status.phase


def end_of_few(canary: Canary) -> Phase:
    """A version that is bad in five requests."""
    return play(canary, Version(readings=(Reading(1.0, requests=5),))).status.phase


def fails_first(canary: Canary) -> str:
    return play(canary, BAD).status.checks[-1].name


CASES: list[tuple[str, object, Callable[[Canary], object], object, dict[str, object]]] = [
    ("spec.analysis.stepWeight", 50, weights, (0, 50, 100, 0), {}),
    ("spec.analysis.stepWeights", [1, 5, 50], weights, (0, 1, 5, 50, 0), {}),
    ("spec.analysis.maxWeight", 50, weights, (0, 25, 50, 0), {"spec.analysis.stepWeight": 25}),
    ("spec.analysis.stepWeightPromotion", 20, weights, (0, 25, 50, 30, 10, 0), STEPS),
    ("spec.analysis.mirror", True, mirrored, {0, 100}, STEPS),
    ("spec.analysis.mirrorWeight", 30, mirrored, {0, 30}, {**STEPS, "spec.analysis.mirror": True}),
    ("spec.analysis.iterations", 3, iterations, 3, {}),
    ("spec.analysis.interval", "3m", minutes_between_steps, 3, STEPS),
    ("spec.analysis.threshold", 5, failed_checks, 5, {**STEPS, **RATE}),
    ("spec.analysis.onFailure", "hold", end_of_bad, (Phase.PROGRESSING, "Held"), {**STEPS, **RATE}),
    ("spec.analysis.primaryReadyThreshold", 50, ready("primary"), True, STEPS),
    ("spec.analysis.canaryReadyThreshold", 50, ready("canary"), True, STEPS),
    ("spec.analysis.metrics[].noData", "Fail", end_without_data, (Phase.FAILED, "RolledBack"), {**STEPS, **RATE}),
    ("spec.analysis.metrics[].noData", "Pass", end_without_data, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **RATE}),
    ("spec.analysis.metrics[].compareTo", "primary", end_of_bad, (Phase.FAILED, "RolledBack"), {**STEPS, **NO_LIMIT}),
    ("spec.analysis.metrics[].compareTo", "baseline", baseline_shares, {0, 25, 50}, {**STEPS, **NO_LIMIT}),
    ("spec.analysis.metrics[].tolerance", 99, end_of_bad, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **COMPARED}),
    ("spec.analysis.metrics[].minSamples", 10**9, phase, Phase.FAILED, {**STEPS, **COMPARED}),
    ("spec.analysis.falseRollback", 0.01, seconds_to_be_told, 15, {**STEPS, **COMPARED}),
    ("spec.analysis.advance", "onEvidence", quick, True, {**STEPS, **TOLERANT}),
    ("spec.analysis.metrics[].critical", True, failed_checks, 1, {**STEPS, **RATE}),
    ("spec.analysis.metrics[].dryRun", True, end_of_bad, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **RATE}),
    ("spec.analysis.metrics[].unavailable", "Fail", end_in_outage, Phase.FAILED, {**STEPS, **RATE}),
    ("spec.analysis.metrics[].minSamples", 10, end_of_few, Phase.SUCCEEDED, {**STEPS, **RATE, **PASSING}),
    ("spec.analysis.metrics[].initialDelay", "2m", minutes_to_first_halt, 2, {**STEPS, **RATE}),
    ("spec.analysis.metrics[].consecutive", 4, halts, 5, {**STEPS, **RATE}),
    ("spec.analysis.metrics[].failureLimit", 6, halts, 7, {**STEPS, **RATE}),
    ("spec.analysis.metrics[].series", "last", end_of_one_bad_pod, Phase.SUCCEEDED, {**STEPS, **OWN}),
    ("spec.analysis.conditions[].name", "other", fails_first, "other", {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].expression", LOW, end_of_bad, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].critical", True, failed_checks, 1, {**STEPS, **HIGH, **TWICE}),
    ("spec.analysis.conditions[].dryRun", True, end_of_bad, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].noData", "Pass", end_without_data, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].unavailable", "Fail", end_in_outage, Phase.FAILED, {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].initialDelay", "2m", minutes_to_first_halt, 2, {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].consecutive", 4, halts, 5, {**STEPS, **HIGH}),
    ("spec.analysis.conditions[].failureLimit", 6, halts, 7, {**STEPS, **HIGH}),
    ("spec.analysis.webhooks[].type", "confirm-rollout", waits, True, {**STEPS, **HOOK}),
    ("spec.analysis.webhooks[].name", "gate", named_in_events, True, {**STEPS, **HOOK}),
    ("spec.analysis.webhooks[].muteAlert", True, alerts, 0, {**STEPS, **HOOK, **ASKED_FIRST}),
    ("spec.progressDeadlineSeconds", 120, given_up_after, 120, STEPS),
    ("spec.skipAnalysis", True, end_of_bad, (Phase.SUCCEEDED, "Succeeded"), {**STEPS, **RATE}),
    ("spec.suspend", True, phase, Phase.EMPTY, STEPS),
    ("spec.revertOnDeletion", True, served_after_deletion, True, STEPS),
]


@pytest.mark.parametrize(("field", "value", "read", "expected", "beside"), CASES)
def test_the_story_takes_another_course(
    shows: Callable[..., None],
    field: str,
    value: object,
    read: Callable[[Canary], object],
    expected: object,
    beside: dict[str, object],
) -> None:
    shows(field, value, read, expected, beside)


@pytest.mark.field("spec.canaryAnalysis")
def test_the_older_name_of_the_analysis_is_the_same_analysis(shows: Callable[..., None]) -> None:
    spec = {"targetRef": {"name": "app", "kind": "Deployment"}, "service": {"port": 80}}
    bare = {"metadata": {"name": "app", "generation": 1}, "spec": spec}
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 50}
    shows("spec.canaryAnalysis", analysis, weights, (0, 50, 100, 0), {}, base=bare)
