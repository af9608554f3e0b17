"""The moment of a rollout that something is run for: the same after a crash, another after each step."""

from datetime import UTC, datetime

import pytest

from canary.api.canary import Canary
from canary.api.status import BakeStatus, CanaryStatus, Phase
from canary.rollout.decide import decide
from canary.rollout.decision import EndRuns
from canary.rollout.facts import Facts
from canary.rollout.moments import LENGTH, moment, wanted

T = datetime(2026, 1, 1, tzinfo=UTC)
STEP = CanaryStatus(
    phase=Phase.PROGRESSING, last_applied_spec="v2", analysis_start_time=T, canary_weight=10, last_check_time=T
)
BAKE = CanaryStatus(phase=Phase.SUCCEEDED, last_promoted_spec="v2", bake=BakeStatus(start_time=T))


def canary(status: CanaryStatus, uid: str = "u") -> Canary:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    made = Canary.model_validate(
        {"metadata": {"name": "app", "namespace": "prod", "uid": uid}, "spec": {"targetRef": target}}
    )
    return made.replace(status=status)


@pytest.mark.parametrize(
    "change",
    [
        {"canary_weight": 20},
        {"iterations": 1},
        {"partition": 2},
        {"failed_checks": 1},
        {"last_applied_spec": "v3"},
        {"analysis_start_time": T.replace(hour=1)},
    ],
)
def test_each_step_version_and_failed_check_is_a_moment_of_its_own(change: dict[str, object]) -> None:
    assert moment(canary(STEP)) != moment(canary(STEP.replace(**change)))


def test_a_look_is_not_so_that_what_is_waited_for_is_not_begun_anew() -> None:
    later = STEP.replace(last_check_time=T.replace(hour=1), reason="CheckRunning", message="…", held_since=T)
    assert moment(canary(STEP)) == moment(canary(later))
    assert len(moment(canary(STEP))) == LENGTH
    assert moment(canary(STEP)) != moment(canary(STEP, uid="another"))


def test_a_bake_is_one_moment_until_a_check_fails() -> None:
    now, later = canary(BAKE), canary(BAKE.replace(last_check_time=T))
    failed = canary(BAKE.replace(bake=BakeStatus(start_time=T, failed_checks=1)))
    assert moment(now, primary=True) == moment(later, primary=True)
    assert len({moment(each, primary=True) for each in (now, failed)} | {moment(now)}) == 3


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (STEP, moment(canary(STEP))),
        (STEP.replace(phase=Phase.WAITING_PROMOTION), moment(canary(STEP))),
        (STEP.replace(analysis_start_time=None), moment(canary(STEP.replace(analysis_start_time=None)))),
        (STEP.replace(phase=Phase.FAILED), ""),
        (STEP.replace(phase=Phase.PROMOTING, bake=BakeStatus()), ""),
        (BAKE, moment(canary(BAKE), primary=True)),
        (BAKE.replace(bake=None), ""),
    ],
)
def test_answers_are_waited_for_while_a_version_is_looked_at(status: CanaryStatus, expected: str) -> None:
    assert wanted(canary(status)) == expected


def test_what_runs_for_another_moment_is_ended() -> None:
    status = STEP.replace(phase=Phase.FAILED)
    facts = Facts(now=T, target=None, primary=None, split=None, running={"b": "old", "a": moment(canary(STEP))})
    assert EndRuns(("a", "b")) in decide(canary(status), facts).upkeep
