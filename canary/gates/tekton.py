"""A run of a Tekton Pipeline or Task: it passes where it succeeds, and tells its results.

Facts of Tekton Pipelines (v1, and v1beta1 where that is what is served): a run ends with the condition `Succeeded`,
`True` or `False`; its results are `status.results`, of v1beta1 `pipelineResults` or `taskResults`; the TaskRuns of a
PipelineRun have the label `tekton.dev/pipelineRun`; of one that has started only `spec.status` may be changed.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from canary.api.gates import Gate, TektonGate
from canary.api.problems import Problem
from canary.gates.base import Kind, Moment, Parts, Said, Starting, State, unreadable
from canary.kube.types import PIPELINE_RUN, TASK_RUN, Json, condition_of, items, mapping, name_of
from canary.workloads.jobs import filled_in, metadata_of

_UNRUN: Final = frozenset(
    {
        *("CouldntGetPipeline", "CouldntGetTask", "CouldntGetPipelineResult", "CreateRunFailed"),
        *("InvalidPipelineResourceBindings", "InvalidWorkspaceBindings", "InvalidTaskRunSpecs", "InvalidParamValue"),
        *("ParameterTypeMismatch", "ParameterMissing", "ObjectParameterMissKeys", "ParamArrayIndexingInvalid"),
        *("InvalidMatrixParameterTypes", "InvalidTaskResultReference", "InvalidPipelineResultReference"),
        *("RequiredWorkspaceMarkedOptional", "PipelineValidationFailed", "PipelineInvalidGraph"),
        *("ResourceVerificationFailed", "CELEvaluationFailed", "TaskRunResolutionFailed", "TaskRunValidationFailed"),
        *("TaskValidationFailed", "TaskRunImagePullFailed", "CreateContainerConfigError", "PodCreationFailed"),
        *("PodEvicted", "ExceededResourceQuota", "ExceededNodeResources"),
    }
)
"""Reasons of a run that has failed before it, or its pod, could say anything."""

_MOST = 400
"""Characters of results, and of a message, that are told."""


def _is(run: Json, status: str) -> bool:
    return condition_of(run, "Succeeded").get("status") == status


def has_ended(run: Json) -> bool:
    """Whether nothing of it runs any more."""
    return _is(run, "True") or _is(run, "False")


PIPELINES: Final = Kind(
    PIPELINE_RUN, has_ended, {"spec": {"status": "Cancelled"}}, Parts(TASK_RUN, "tekton.dev/pipelineRun")
)
TASKS: Final = Kind(TASK_RUN, has_ended, {"spec": {"status": "TaskRunCancelled"}})


def _kind(gate: Gate) -> Kind:
    return TASKS if _of(gate).task_run is not None else PIPELINES


def _of(gate: Gate) -> TektonGate:
    return gate.tekton or TektonGate()


def _template(gate: Gate) -> Json:
    tekton = _of(gate)
    return tekton.pipeline_run or tekton.task_run or {}


def _start(moment: Moment) -> Json:
    kind = _kind(moment.gate).resource
    filled = mapping(filled_in(_template(moment.gate), moment.render))
    time = f"{max(1, int(moment.time.total_seconds()))}s"
    usual: Json = {"timeout": time} if kind == TASK_RUN else {"timeouts": {"pipeline": time}}
    if "timeout" in mapping(filled.get("spec")):
        usual = {}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": metadata_of(moment.canary, moment.name, moment.run, mapping(filled.get("metadata"))),
        "spec": {**usual, **mapping(filled.get("spec"))},
    }


def _said(run: Json, parts: Iterable[Json]) -> Said:
    name = f"{run.get('kind')} {name_of(run)}"
    condition = condition_of(run, "Succeeded")
    message, reason = _line(condition.get("message")), str(condition.get("reason") or "")
    if _is(run, "True"):
        return Said(State.PASSED, "; ".join([f"{name} has succeeded", *_results(run)]))
    if not _is(run, "False"):
        return Said(State.RUNNING, f"{name} to end{f' ({message})' if message else ''}")
    failed = [each for each in parts if _is(each, "False")]
    causes = [f"{_task(each)}: {_line(condition_of(each, 'Succeeded').get('message'))}" for each in failed]
    reasons = {str(condition_of(each, "Succeeded").get("reason") or "") for each in failed} or {reason}
    words = "; ".join([f"{name} has failed ({reason}): {message}", *causes, *_results(run)])
    return Said(State.UNAVAILABLE if reasons <= _UNRUN else State.FAILED, words)


def _task(run: Json) -> str:
    labels = mapping(mapping(run.get("metadata")).get("labels"))
    return f"task {labels.get('tekton.dev/pipelineTask') or name_of(run)}"


def _results(run: Json) -> Iterator[str]:
    """Its results in words, at most one line of them."""
    status = mapping(run.get("status"))
    found = next(
        (each for key in ("results", "pipelineResults", "taskResults") if (each := items(status.get(key)))), []
    )
    told = ", ".join(f"{each.get('name')}={_value(each.get('value'))}" for each in found)
    if told:
        yield _line(told)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _line(text: object) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= _MOST else f"{line[:_MOST]}…"


def _problems(field: str, gate: Gate) -> Iterator[Problem]:
    tekton = _of(gate)
    runs = {"pipelineRun": tekton.pipeline_run, "taskRun": tekton.task_run}
    given = {name: run for name, run in runs.items() if run is not None}
    if len(given) != 1:
        yield Problem(field, "is a run of one Pipeline, or of one Task", "set either pipelineRun or taskRun")
        return
    ((name, run),) = given.items()
    spec, what = mapping(run.get("spec")), name.removesuffix("Run")
    if not ({f"{what}Ref", f"{what}Spec"} & spec.keys()):
        message = f"names no {what.capitalize()}"
        yield Problem(f"{field}.{name}.spec", message, f"set {what}Ref, such as {{name: my-{what}}}")
    if "status" in spec:
        yield Problem(f"{field}.{name}.spec.status", "is written by the controller alone, to cancel it", "take it out")
    yield from unreadable(f"{field}.{name}", run)


GATE: Final = Starting("Tekton Pipelines", "gates/tekton", (PIPELINE_RUN, TASK_RUN), _problems, _kind, _start, _said)
