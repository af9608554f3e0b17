"""Jobs that answer a question about a new version by how they end: pure, from a Canary to the Job and back.

The Job's name is made of the Canary, of what asks, and of the moment of the rollout, so that it is started once for
each, whoever goes on after a crash.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256

from canary.api.canary import Canary
from canary.api.metrictemplate import JOB as JOB_TYPE
from canary.kube.types import JOB, Json, condition_of, items, mapping
from canary.workloads.base import LABEL_VALUE_LIMIT, name_of, owner_reference, owners_of, portable
from canary.workloads.revisions import LABEL, label_value

RUN_LABEL = "flagger.app/run"
"""On a Job: the moment of the rollout that it answers for."""

POD_LABEL = "job-name"
"""On a Job's pods, by its controller: the Job's name."""

SHORTEST_KEPT = 300
"""Seconds that an ended Job stays at least: its result must be seen, also by a controller that is being restarted."""

KEPT = 86_400
"""Seconds that an ended Job stays where its template doesn't say: its log is still there the next morning."""

_DIGEST = 10
_TOLD = 400
"""Characters of a log's end that are told."""

_STUCK = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}
)
"""Why a container waits for what no waiting brings."""

Render = Callable[[str], str]
"""Fills a text in; raises what says why it can't."""


class State(StrEnum):
    """How far a Job has come."""

    PENDING = "Pending"
    PASSED = "Passed"
    FAILED = "Failed"
    STUCK = "Stuck"


@dataclass(frozen=True, slots=True)
class Result:
    """What a Job says.

    Args:
        state: how far it has come.
        words: the same in words.
        numbers: what its pods have printed as their last message, where that is a number.
    """

    state: State
    words: str
    numbers: tuple[float, ...] = ()


def is_job(template: Json) -> bool:
    """Whether a MetricTemplate is answered by a Job."""
    return mapping(mapping(template.get("spec")).get("provider")).get("type") == JOB_TYPE


def name_for(canary: Canary, asks: str, moment: str, *further: str) -> str:
    """The name of the Job that answers at a moment: as the name of its pods' label, 63 characters at most.

    Args:
        canary: the Canary.
        asks: the name of what asks, such as a metric's.
        moment: the name of the moment of the rollout.
        further: what else tells it from others, such as what it is made of.
    """
    digest = sha256("/".join((canary.metadata.uid, asks, moment, *further)).encode()).hexdigest()[:_DIGEST]
    readable = re.sub(r"[^a-z0-9]+", "-", f"{canary.name}-{asks}".lower()).strip("-")
    return f"{readable[: LABEL_VALUE_LIMIT - _DIGEST - 1].rstrip('-')}-{digest}"


def job_of(
    canary: Canary,
    name: str,
    moment: str,
    template: Json,
    render: Render,
    *,
    longest: timedelta,
) -> Json:
    """The Job to create.

    Args:
        canary: its owner.
        name: its name, from `name_for`.
        moment: the name of the moment of the rollout.
        template: metadata and spec, as a CronJob's `jobTemplate` has them.
        render: fills the texts of it in.
        longest: how long it may take, where its spec doesn't say.
    """
    filled = mapping(filled_in(template, render))
    spec = mapping(filled.get("spec"))
    pods = mapping(spec.get("template"))
    seconds = max(1, int(longest.total_seconds()))
    usual = {"backoffLimit": 0, "activeDeadlineSeconds": seconds, "ttlSecondsAfterFinished": KEPT}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": metadata_of(canary, name, moment, mapping(filled.get("metadata"))),
        "spec": {**usual, **spec, "template": {**pods, "spec": _pod(mapping(pods.get("spec")))}},
    }


def metadata_of(canary: Canary, name: str, moment: str, metadata: Json) -> Json:
    """The metadata of what is run for a Canary at a moment, with what is said of it beside.

    Args:
        canary: its owner.
        name: its name, from `name_for`.
        moment: the name of the moment of the rollout.
        metadata: labels and annotations that it has, too.
    """
    return {
        "name": name,
        "namespace": canary.namespace,
        "labels": {**portable(mapping(metadata.get("labels"))), LABEL: label_value(canary), RUN_LABEL: moment},
        "annotations": portable(mapping(metadata.get("annotations"))),
        "ownerReferences": [owner_reference(canary)],
    }


def _pod(spec: Json) -> Json:
    """A pod that ends, and whose log's end is its last message where it fails without one."""
    containers = [
        {"terminationMessagePolicy": "FallbackToLogsOnError", **each} for each in items(spec.get("containers"))
    ]
    return {"restartPolicy": "Never", **spec, "containers": containers}


def texts(template: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a template with the field that it stands in."""
    match template:
        case str():
            yield path, template
        case dict():
            for name, each in template.items():
                yield from texts(each, f"{path}.{name}")
        case list():
            for index, each in enumerate(template):
                yield from texts(each, f"{path}[{index}]")


def filled_in(template: object, render: Render) -> object:
    """A template with its texts filled in."""
    match template:
        case str():
            return render(template) if "{{" in template else template
        case dict():
            return {name: filled_in(each, render) for name, each in template.items()}
        case list():
            return [filled_in(each, render) for each in template]
    return template


def is_of(job: Json, canary: Canary) -> bool:
    """Whether a Job is this Canary's."""
    return any(owner.get("uid") == canary.metadata.uid for owner in owners_of(job))


def has_ended(job: Json) -> bool:
    """Whether nothing of it runs any more."""
    return _is(job, "Complete") or _is(job, "Failed")


def result_of(job: Json, pods: Iterable[Json]) -> Result:
    """What a Job says.

    Args:
        job: the Job.
        pods: its pods, as far as they are there.
    """
    name, of_pods = name_of(job), list(pods)
    if _is(job, "Complete"):
        told = [message for each in of_pods for message, code in _messages(each) if code == 0 and message]
        numbers = tuple(number for each in told if (number := _number(each)) is not None)
        return Result(State.PASSED, _said(f"Job {name} has ended well", told[-1:] if not numbers else []), numbers)
    if _is(job, "Failed"):
        failed = [(message, code) for each in of_pods for message, code in _messages(each) if code]
        why = str(condition_of(job, "Failed").get("message") or condition_of(job, "Failed").get("reason") or "")
        ended = [f"exit code {code}" for _, code in failed[-1:]]
        words = f"Job {name} has failed ({'; '.join([*filter(None, [why]), *ended])})"
        return Result(State.FAILED, _said(words, [message for message, _ in failed[-1:] if message]))
    if stuck := next((why for each in of_pods for why in _stuck(each)), ""):
        return Result(State.STUCK, f"Job {name} can't start: {stuck}")
    return Result(State.PENDING, f"Job {name} to end")


def _is(job: Json, kind: str) -> bool:
    return condition_of(job, kind).get("status") == "True"


def _said(words: str, told: list[str]) -> str:
    """The words, with the end of what was printed."""
    end = " ".join(told[0].split()) if told else ""
    if not end:
        return words
    return f"{words}: {end if len(end) <= _TOLD else f'…{end[-_TOLD:]}'}"


def _messages(pod: Json) -> Iterator[tuple[str, int]]:
    """The last message and the exit code of each container that has ended."""
    for each in items(mapping(pod.get("status")).get("containerStatuses")):
        ended = mapping(mapping(each.get("state")).get("terminated"))
        if isinstance(code := ended.get("exitCode"), int):
            yield str(ended.get("message") or "").strip(), code


def _stuck(pod: Json) -> Iterator[str]:
    status = mapping(pod.get("status"))
    for each in (*items(status.get("initContainerStatuses")), *items(status.get("containerStatuses"))):
        waits = mapping(mapping(each.get("state")).get("waiting"))
        if (reason := waits.get("reason")) in _STUCK:
            words = " ".join(str(waits.get("message") or "").split())[:_TOLD]
            yield f"{each.get('name')}: {reason}{f': {words}' if words else ''}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
