"""Runs of Tekton: what is made, and what is read out of statuses as its documents show them."""

import pytest

from canary.gates.base import State
from canary.gates.registry import problems, running
from canary.gates.tekton import GATE as TEKTON
from canary.kube.types import Json
from tests.unit.gates.test_base import canary, moment

SPEC: Json = {"pipelineRef": {"name": "ci"}, "params": [{"name": "tag", "value": "{{ tag }}"}]}


def run(kind: str = "PipelineRun") -> Json:
    metadata = {"name": "run-1", "labels": {"flagger.app/run": "m1", "tekton.dev/pipelineTask": "scan"}}
    return {"kind": kind, "metadata": metadata, "status": {}}


def test_a_run_is_made_as_its_template_says() -> None:
    template = {"metadata": {"labels": {"team": "shop"}}, "spec": SPEC}
    asked = moment({"tekton": {"pipelineRun": template}}, timeout="90s")
    made = TEKTON.start(asked)
    assert (made["apiVersion"], made["kind"]) == ("tekton.dev/v1", "PipelineRun")
    assert made["metadata"]["labels"] == {"team": "shop", "flagger.app/canary": "shop", "flagger.app/run": "m1"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u1"
    expected = {**SPEC, "params": [{"name": "tag", "value": "1.4"}], "timeouts": {"pipeline": "90s"}}
    assert made["spec"] == expected


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("taskRun", {}, {"timeout": "600s"}),
        ("taskRun", {"timeout": "5s"}, {"timeout": "5s"}),
        ("pipelineRun", {"timeouts": {"tasks": "5s"}}, {"timeouts": {"tasks": "5s"}}),
        ("pipelineRun", {"timeout": "5s"}, {"timeout": "5s"}),
    ],
)
def test_what_it_says_of_its_time_counts(kind: str, spec: Json, expected: Json) -> None:
    assert TEKTON.start(moment({"tekton": {kind: {"spec": spec}}}))["spec"] == expected


@pytest.mark.parametrize(
    ("obj", "state", "words"),
    [
        (run(), State.RUNNING, "PipelineRun run-1 to end"),
        (
            {**run(), "status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "message": "1 of 4"}]}},
            State.RUNNING,
            "PipelineRun run-1 to end (1 of 4)",
        ),
    ],
)
def test_one_that_runs_is_waited_for(obj: Json, state: State, words: str) -> None:
    said = TEKTON.said(obj, ())
    assert (said.state, said.words) == (state, words)
    assert running([obj]) == {"pipelineruns/run-1": "m1"}


def ended(status: str, reason: str, message: str, kind: str = "PipelineRun", **more: object) -> Json:
    condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message}
    return {**run(kind), "status": {"conditions": [condition], **more}}


RESULTS = [{"name": "digest", "value": "sha256:ab"}, {"name": "pages", "value": ["a", "b"]}]


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("PipelineRun", "results"),
        ("PipelineRun", "pipelineResults"),
        ("TaskRun", "results"),
        ("TaskRun", "taskResults"),
    ],
)
def test_results_come_back_in_both_versions(kind: str, key: str) -> None:
    obj = ended("True", "Succeeded", "All Steps have completed executing", kind, **{key: RESULTS})
    said = TEKTON.said(obj, ())
    assert said.state is State.PASSED
    assert said.words == f'{kind} run-1 has succeeded; digest=sha256:ab, pages=["a", "b"]'
    assert running([obj]) == {}


def test_one_that_fails_says_which_task() -> None:
    task = ended("False", "Failed", '"step-trivy-scan" exited with code 1', "TaskRun")
    said = TEKTON.said(ended("False", "Failed", "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 3"), [task])
    assert said.state is State.FAILED
    assert said.words == (
        "PipelineRun run-1 has failed (Failed): Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 3; "
        'task scan: "step-trivy-scan" exited with code 1'
    )


@pytest.mark.parametrize("reason", ["Failed", "PipelineRunTimeout", "Cancelled", "SomethingNew"])
def test_one_that_ran_and_did_not_succeed_says_no(reason: str) -> None:
    assert TEKTON.said(ended("False", reason, "x"), ()).state is State.FAILED


@pytest.mark.parametrize("reason", ["CouldntGetPipeline", "ParameterMissing", "InvalidWorkspaceBindings"])
def test_one_that_could_not_run_says_nothing_of_the_version(reason: str) -> None:
    assert TEKTON.said(ended("False", reason, "x"), ()).state is State.UNAVAILABLE
    task = ended("False", "TaskRunImagePullFailed", "no such image", "TaskRun")
    assert TEKTON.said(ended("False", "Failed", "x"), [task]).state is State.UNAVAILABLE
    other = ended("False", "Failed", "exited with code 1", "TaskRun")
    assert TEKTON.said(ended("False", "Failed", "x"), [task, other]).state is State.FAILED


@pytest.mark.parametrize(
    ("tekton", "field"),
    [
        ({}, ""),
        ({"pipelineRun": {"spec": SPEC}, "taskRun": {"spec": {"taskRef": {}}}}, ""),
        ({"pipelineRun": {"spec": {}}}, ".pipelineRun.spec"),
        ({"taskRun": {"spec": {"pipelineRef": {"name": "x"}}}}, ".taskRun.spec"),
        ({"pipelineRun": {"spec": {**SPEC, "status": "Cancelled"}}}, ".pipelineRun.spec.status"),
        ({"pipelineRun": {"spec": {**SPEC, "params": [{"value": "{{ x }}"}]}}}, ".pipelineRun.spec.params[0].value"),
    ],
)
def test_what_cant_be_is_told_with_its_field(tekton: Json, field: str) -> None:
    found = list(problems(canary({"tekton": tekton})))
    assert [each.field for each in found] == [f"spec.analysis.webhooks[0].gate.tekton{field}"]
    assert list(problems(canary({"tekton": {"taskRun": {"spec": {"taskSpec": {}}}}}))) == []
