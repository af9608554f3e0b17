"""A Kubernetes Job, which passes where it ends well."""

from collections.abc import Iterable, Iterator

from canary.api.gates import Gate
from canary.api.problems import Problem
from canary.gates.base import Kind, Moment, Parts, Said, Starting, State, unreadable
from canary.kube.types import JOB, POD, Json
from canary.workloads import job_templates, jobs

_STATES = {
    jobs.State.PASSED: State.PASSED,
    jobs.State.FAILED: State.FAILED,
    jobs.State.PENDING: State.RUNNING,
    jobs.State.STUCK: State.UNAVAILABLE,
}


def _start(moment: Moment) -> Json:
    template = moment.gate.job or {}
    return jobs.job_of(moment.canary, moment.name, moment.run, template, moment.render, longest=moment.time)


def _said(job: Json, pods: Iterable[Json]) -> Said:
    result = jobs.result_of(job, pods)
    words = f"{result.words}: {result.numbers[-1]:g}" if result.numbers else result.words
    return Said(_STATES[result.state], words)


def _problems(field: str, gate: Gate) -> Iterator[Problem]:
    template = gate.job or {}
    yield from job_templates.problems(field, template)
    yield from unreadable(field, template)


JOBS = Kind(JOB, jobs.has_ended, parts=Parts(POD, jobs.POD_LABEL))

GATE = Starting("Kubernetes", "jobs", (JOB,), _problems, lambda _: JOBS, _start, _said)
