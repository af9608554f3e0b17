"""Jobs that answer a question: what is made of a template, and what is read out of how they end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.gates.registry import running
from canary.kube.types import Json
from canary.workloads.jobs import State, has_ended, job_of, name_for, result_of, texts

Make = Callable[..., Canary]

TEMPLATE: Json = {
    "metadata": {"labels": {"team": "shop", "flagger.app/run": "mine"}, "annotations": {"why": "{{ name }}"}},
    "spec": {"template": {"spec": {"containers": [{"name": "test", "image": "test:1", "args": ["{{ x }}", "b"]}]}}},
}


def filled(text: str) -> str:
    return text.replace("{{ x }}", "X").replace("{{ name }}", "my-app")


def test_a_job_is_its_template_filled_in_and_the_canarys(make_canary: Make) -> None:
    canary = make_canary()
    name = name_for(canary, "smoke", "m1")
    assert job_of(canary, name, "m1", TEMPLATE, filled, longest=timedelta(minutes=10)) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"team": "shop", "flagger.app/canary": "my-app", "flagger.app/run": "m1"},
            "annotations": {"why": "my-app"},
            "ownerReferences": [
                {
                    "apiVersion": "flagger.app/v1beta1",
                    "kind": "Canary",
                    "name": "my-app",
                    "uid": "uid-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 600,
            "ttlSecondsAfterFinished": 86400,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "test",
                            "image": "test:1",
                            "args": ["X", "b"],
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                        }
                    ],
                }
            },
        },
    }


def test_what_a_template_says_goes_before_what_is_usual(make_canary: Make) -> None:
    own = {"backoffLimit": 3, "activeDeadlineSeconds": 7, "ttlSecondsAfterFinished": 300, "completions": 2}
    container = {"name": "test", "terminationMessagePolicy": "File"}
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "OnFailure", "containers": [container]}}
    template = {"spec": {**own, "template": pods}}
    job = job_of(make_canary(), "smoke-1", "m1", template, filled, longest=timedelta(minutes=10))
    assert job["spec"] == {**own, "template": pods}


@given(st.text(max_size=80), st.text(alphabet="abcdef0123456789", max_size=10))
def test_a_name_is_one_that_its_pods_can_carry(asks: str, moment: str) -> None:
    canary = Canary.model_validate(
        {
            "metadata": {"name": "my-app." + "x" * 70, "namespace": "n", "uid": "u"},
            "spec": {"targetRef": {"name": "a", "kind": "Deployment"}},
        }
    )
    name = name_for(canary, asks, moment)
    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name[0] != "-"
    assert name[-1] != "-"


def test_one_job_for_each_question_and_moment(make_canary: Make) -> None:
    canary = make_canary()
    names = {name_for(canary, asks, moment) for asks in ("smoke", "load") for moment in ("m1", "m2")}
    assert len(names) == 4
    assert name_for(canary, "smoke", "m1") == name_for(make_canary(), "smoke", "m1")


def test_every_text_of_a_template_has_its_field() -> None:
    found = dict(texts(TEMPLATE, "spec.job"))
    assert found["spec.job.spec.template.spec.containers[0].args[1]"] == "b"


def job(kind: str = "", **condition: str) -> Json:
    conditions = [{"type": kind, "status": "True", **condition}] if kind else []
    return {
        "kind": "Job",
        "metadata": {"name": "smoke-1", "labels": {"flagger.app/run": "m1"}},
        "status": {"conditions": conditions},
    }


def pod(code: int | None = None, message: str = "", **state: Any) -> Json:
    ended = {"terminated": {"exitCode": code, "message": message}} if code is not None else state
    return {"status": {"containerStatuses": [{"name": "test", "state": ended}]}}


@pytest.mark.parametrize(
    ("seen", "pods", "state", "numbers", "words"),
    [
        (job(), [], State.PENDING, (), "Job smoke-1 to end"),
        (job("FailureTarget"), [pod(1)], State.PENDING, (), "Job smoke-1 to end"),
        (job("SuccessCriteriaMet"), [pod(0)], State.PENDING, (), "Job smoke-1 to end"),
        (job("Complete"), [pod(0)], State.PASSED, (), "Job smoke-1 has ended well"),
        (job("Complete"), [], State.PASSED, (), "Job smoke-1 has ended well"),
        (job("Complete"), [pod(0, "12 of 12\nare good")], State.PASSED, (), "ended well: 12 of 12 are good"),
        (job("Complete"), [pod(1, "7"), pod(0, " 4.5\n")], State.PASSED, (4.5,), "Job smoke-1 has ended well"),
        (job("Complete"), [pod(0, "1"), pod(0, "2")], State.PASSED, (1.0, 2.0), "Job smoke-1 has ended well"),
        (
            job("Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"),
            [pod(3, "no such page\n")],
            State.FAILED,
            (),
            "Job smoke-1 has failed (Job has reached the specified backoff limit; exit code 3): no such page",
        ),
        (job("Failed", reason="DeadlineExceeded"), [], State.FAILED, (), "Job smoke-1 has failed (DeadlineExceeded)"),
        (
            job(),
            [pod(waiting={"reason": "ImagePullBackOff", "message": "no such image"})],
            State.STUCK,
            (),
            "Job smoke-1 can't start: test: ImagePullBackOff: no such image",
        ),
        (job(), [pod(waiting={"reason": "ContainerCreating"})], State.PENDING, (), "Job smoke-1 to end"),
    ],
)
def test_a_job_says_by_its_end_whether_all_is_well(
    seen: Json, pods: list[Json], state: State, numbers: tuple[float, ...], words: str
) -> None:
    result = result_of(seen, pods)
    assert (result.state, result.numbers) == (state, numbers)
    assert words in result.words
    assert has_ended(seen) is (state in (State.PASSED, State.FAILED))


def test_of_a_long_log_the_end_is_told() -> None:
    words = result_of(job("Failed"), [pod(1, "x" * 5000 + " the reason")]).words
    assert words.endswith("the reason")
    assert len(words) < 500


def test_jobs_that_have_not_ended_are_running() -> None:
    assert running([job(), {"kind": "Service", "metadata": {"name": "s"}}]) == {"jobs/smoke-1": "m1"}
    assert running([job("Complete"), job("Failed")]) == {}
