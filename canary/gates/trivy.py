"""What the Trivy operator has found in the images that are rolled out: it passes where that is nothing grave.

Facts of the Trivy operator: it reports on each container of a workload that has pods, in the workload's namespace, with
labels that name the container and what owns the pods; `report.artifact` has the repository, tag and digest, where it
knows that one, of what was scanned. A report may reach the size of an object, so that none is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from canary.api.gates import Gate, TrivyGate
from canary.api.problems import Problem
from canary.gates.base import Moment, Reading, Said, State, parts
from canary.kube.types import VULNERABILITY_REPORT, Json, items, mapping
from canary.workloads.base import LABEL_VALUE_LIMIT, labels_of, owners_of

_KIND, _NAME = "trivy-operator.resource.kind", "trivy-operator.resource.name"
_CONTAINER = "trivy-operator.container.name"

_NAMED = 3
"""Vulnerabilities of a container that are named."""


def _of(gate: Gate) -> TrivyGate:
    return gate.trivy or TrivyGate()


def _selectors(pods: Iterable[Json]) -> tuple[str, ...]:
    owners = {(str(each.get("kind")), str(each.get("name"))) for pod in pods for each in _controllers(pod)}
    return tuple(
        f"{_KIND}={kind},{_NAME}={name}" if len(name) <= LABEL_VALUE_LIMIT else f"{_KIND}={kind}"
        for kind, name in sorted(owners)
    )


def _controllers(pod: Json) -> list[Json]:
    return [each for each in owners_of(pod) if each.get("controller")]


def _said(moment: Moment, pods: Sequence[Json], reports: Sequence[Json]) -> Said:
    new = [each for each in pods if _images(each).items() >= dict(moment.images).items()]
    if not new:
        return Said(State.WAITING, "no pod runs the new version, so that nobody has scanned its images")
    owners = {(each.get("kind"), each.get("name")) for pod in new for each in _controllers(pod)}
    ours = [each for each in reports if any((own.get("kind"), own.get("name")) in owners for own in owners_of(each))]
    words, found = [], False
    for name, image in moment.images.items():
        digests = {parts(image)[2], *(_digest(pod, name) for pod in new)} - {""}
        fitting = [each for each in ours if labels_of(each).get(_CONTAINER) == name]
        fresh = [each for each in fitting if _is_of(each, image, digests)]
        if not fresh:
            why = f"; there is one of {_scanned(fitting[0])}" if fitting else ""
            return Said(State.WAITING, f"there is no report on {image} of container {name}{why}")
        counted = [each for report in fresh for each in _counted(_of(moment.gate), report)]
        found = found or bool(counted)
        words.append(f"{name}: {_told(_of(moment.gate), counted)}")
    return Said(State.FAILED if found else State.PASSED, "; ".join(words))


def _images(pod: Json) -> dict[str, str]:
    return {str(each.get("name")): str(each.get("image")) for each in items(mapping(pod.get("spec")).get("containers"))}


def _digest(pod: Json, container: str) -> str:
    """The digest of the image that a container runs; empty where it doesn't run yet, or another id is told."""
    statuses = items(mapping(pod.get("status")).get("containerStatuses"))
    found = (str(each.get("imageID") or "") for each in statuses if each.get("name") == container)
    return next(found, "").partition("@")[2]


def _artifact(report: Json) -> Json:
    return mapping(mapping(report.get("report")).get("artifact"))


def _is_of(report: Json, image: str, digests: set[str]) -> bool:
    """Whether a report is about what runs: by its digest, where both are known, else by the tag."""
    artifact = _artifact(report)
    digest = str(artifact.get("digest") or "")
    if digest and digests:
        return digest in digests
    _, tag, _ = parts(image)
    return bool(tag) and artifact.get("tag") == tag


def _scanned(report: Json) -> str:
    artifact = _artifact(report)
    return str(artifact.get("digest") or artifact.get("tag") or "another image")


def _counted(trivy: TrivyGate, report: Json) -> Iterator[Json]:
    """The vulnerabilities that count."""
    severities = {each.value for each in trivy.severities}
    for each in items(mapping(report.get("report")).get("vulnerabilities")):
        fixed = bool(each.get("fixedVersion")) or not trivy.only_fixed
        if str(each.get("severity")) in severities and fixed and each.get("vulnerabilityID") not in trivy.ignore:
            yield each


def _told(trivy: TrivyGate, found: Sequence[Json]) -> str:
    counts = Counter(str(each.get("severity")) for each in found)
    if not found:
        return f"none that is {' or '.join(each.value for each in trivy.severities)}"
    counted = ", ".join(f"{counts[each.value]} {each.value}" for each in trivy.severities if counts[each.value])
    order = {each.value: place for place, each in enumerate(trivy.severities)}
    gravest = sorted(found, key=lambda each: order[str(each.get("severity"))])[:_NAMED]
    named = ", ".join(f"{each.get('vulnerabilityID')} in {each.get('resource')}" for each in gravest)
    return f"{counted} ({named}{', …' if len(found) > _NAMED else ''})"


def _problems(field: str, gate: Gate) -> Iterator[Problem]:
    if not _of(gate).severities:
        yield Problem(f"{field}.severities", "is empty, so that nothing counts", "write such as [CRITICAL, HIGH]")


GATE: Final = Reading("the Trivy operator", "gates/trivy", (VULNERABILITY_REPORT,), _problems, _selectors, _said)
