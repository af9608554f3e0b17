"""Objects of others in files, which no API server has looked at: whether what is read of them is of the right type."""

from collections.abc import Iterator

from canary.kube.types import SERVICE, Json, items, mapping
from canary.workloads.registry import TARGETS


def is_plausible(raw: Json) -> bool:
    """Whether a workload or a Service could be one; other kinds are read tolerantly."""
    spec = mapping(raw.get("spec"))
    if raw.get("kind") == SERVICE.kind:
        return all(_is_port(each, "port") for each in items(spec.get("ports")))
    if raw.get("kind") in TARGETS:
        return all(_of_workload(spec))
    return True


def _of_workload(spec: Json) -> Iterator[bool]:
    template = mapping(spec.get("template"))
    pods = mapping(template.get("spec"))
    for labels in (mapping(spec.get("selector")).get("matchLabels"), mapping(template.get("metadata")).get("labels")):
        yield all(isinstance(each, str) for each in mapping(labels).values())
    for container in (*items(pods.get("containers")), *items(pods.get("initContainers"))):
        yield isinstance(container.get("name"), str)
        yield from (_is_port(each, "containerPort") for each in items(container.get("ports")))


def _is_port(port: Json, number: str) -> bool:
    is_number = isinstance(port.get(number), int) and not isinstance(port.get(number), bool)
    return is_number and all(isinstance(port.get(name), str | None) for name in ("name", "protocol"))
