"""Configuration that the primary shares with the target, by the mode that the spec gives it.

What pods read through volumes comes by itself when it changes. What they read once, when they start, comes by new pods:
an annotation on the primary's pod template changes with it.
"""

from collections.abc import Iterable, Mapping

from canary.api.canary import Canary, ConfigMode
from canary.api.problems import Problem
from canary.kube.types import Json, mapping
from canary.workloads import primary_template
from canary.workloads.configs import ConfigRef, read_at_start, references

FOLLOWED_ANNOTATION = "flagger.app/followed-configs"
"""On the primary's pods: a digest of the followed configuration that they have read."""

_DIGITS = 16


def mode_of(canary: Canary, ref: ConfigRef) -> ConfigMode:
    """How a change of a ConfigMap or Secret reaches the primary: as a new version, unless the spec says otherwise."""
    return next((each.mode for each in canary.spec.config_refs if each.key == ref.key), ConfigMode.SNAPSHOT)


def snapshots(canary: Canary, refs: Iterable[ConfigRef]) -> list[ConfigRef]:
    """Those of these of which the primary has a copy, and whose contents are part of a version."""
    return [ref for ref in refs if mode_of(canary, ref) is ConfigMode.SNAPSHOT]


def followed(canary: Canary, pod_template: Json) -> list[ConfigRef]:
    """What a change of makes new pods of this template: followed, and read when they start."""
    read = read_at_start(pod_template)
    return [
        ref for ref in sorted(references(pod_template)) if ref.key in read and mode_of(canary, ref) is ConfigMode.FOLLOW
    ]


def digest(checksums: Mapping[str, str]) -> str:
    """What stands for the contents of followed configuration; empty where there is none."""
    return primary_template.digest(dict(checksums), _DIGITS) if checksums else ""


def followed_by(workload: Json) -> str:
    """The digest that a workload's pods are made with; empty where there is none."""
    pod_template = mapping(mapping(workload.get("spec")).get("template"))
    annotations = mapping(mapping(pod_template.get("metadata")).get("annotations"))
    return str(annotations.get(FOLLOWED_ANNOTATION) or "")


def rolled(wanted: str) -> Json:
    """The merge patch after which a workload's pods are made with this digest."""
    return {"spec": {"template": {"metadata": {"annotations": {FOLLOWED_ANNOTATION: wanted}}}}}


def marked(manifest: Json, wanted: str) -> Json:
    """The manifest of a primary whose pods read, when they start, the followed configuration of this digest."""
    if not wanted:
        return manifest
    spec = manifest["spec"]
    metadata = mapping(spec["template"].get("metadata"))
    annotations = {**mapping(metadata.get("annotations")), FOLLOWED_ANNOTATION: wanted}
    pod_template = {**spec["template"], "metadata": {**metadata, "annotations": annotations}}
    return {**manifest, "spec": {**spec, "template": pod_template}}


def problems(canary: Canary, refs: Iterable[ConfigRef], *, tracking: bool) -> tuple[Problem, ...]:
    """What the spec says of configuration that nobody reads, or that nobody looks at.

    Args:
        canary: the Canary.
        refs: what pods of the target or of the primary read.
        tracking: whether the controller looks at configuration at all.
    """
    read = {ref.key for ref in refs}
    found = []
    for index, ref in enumerate(canary.spec.config_refs):
        field = f"spec.configRefs[{index}]"
        if not tracking and ref.mode is not ConfigMode.IGNORE:
            message = "the controller runs with --enable-config-tracking=false, and looks at no configuration"
            found.append(Problem(field, message, "take it out, or switch that on"))
        elif tracking and ref.key not in read:
            message = f"no pod of {canary.target_name} reads {ref.kind} {ref.name}"
            found.append(Problem(field, message, "correct its name, or take it out"))
    return tuple(found)
