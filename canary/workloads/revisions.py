"""What a primary was at each of its last revisions, kept so that it can be made the same again.

As the workload controllers do: one ControllerRevision for each promoted revision, numbered, the last few kept. Its
configuration is kept as objects of its own kind, so that whoever may not read a Secret may not read it here either;
these belong to the ControllerRevision and are collected with it.
"""

import re
from collections.abc import Collection, Iterable

from canary.api.canary import Canary
from canary.kube.types import CONTROLLER_REVISION, Json, Resource, mapping
from canary.workloads.base import (
    LABEL_VALUE_LIMIT,
    NAME_LIMIT,
    PRIMARY_SUFFIX,
    REVISION_ANNOTATION,
    annotations_of,
    is_owned,
    keep_selector,
    labels_of,
    name_of,
    owner_reference,
    portable,
    was_left,
    without_nulls,
)
from canary.workloads.configs import ConfigRef

HISTORY = 2
"""How many revisions are kept beside those that are needed."""

LABEL = "flagger.app/canary"
"""On what is kept: the name of its Canary. The controller follows these ControllerRevisions and no others."""

CONFIGS_ANNOTATION = "flagger.app/configs"
"""On a ControllerRevision: the configuration that the primary's pods read at it, such as `configmap/app-primary`."""

NUMBER_ANNOTATION = "flagger.app/revision-number"
"""On a ControllerRevision: its number once more, where whoever knows its metadata alone can read it."""


def label_value(canary: Canary) -> str:
    """The label's value: the Canary's name, as much of it as fits."""
    return re.sub(r"[^a-z0-9]+$", "", canary.name[:LABEL_VALUE_LIMIT])


def record_name(canary: Canary, revision: str) -> str:
    """The name of the ControllerRevision of a revision."""
    return _joined(canary.primary_name, revision)


def config_name(ref: ConfigRef, revision: str) -> str:
    """The name of what is kept of the primary's ConfigMap or Secret at a revision."""
    return _joined(ref.name, revision)


def record(
    primary: Json, essence: Json, canary: Canary, *, revision: str, configs: Iterable[ConfigRef], number: int
) -> Json:
    """The ControllerRevision to create for what a primary carries.

    Args:
        primary: the primary.
        essence: the part of its spec that makes it what it is, as `Target.essence` gives it.
        canary: the Canary.
        revision: what the primary carries.
        configs: the copies of configuration that its pods read.
        number: one more than that of any before.
    """
    kept: Json = {"labels": portable(labels_of(primary)), "annotations": portable(annotations_of(primary))}
    made = _metadata(canary, record_name(canary, revision))
    keys = ",".join(sorted(ref.key for ref in configs))
    made["annotations"] = {REVISION_ANNOTATION: revision, NUMBER_ANNOTATION: str(number)}
    if keys:
        made["annotations"][CONFIGS_ANNOTATION] = keys
    made["ownerReferences"] = [owner_reference(canary)]
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": made,
        "data": {"metadata": kept, "spec": without_nulls(essence)},
        "revision": number,
    }


def is_numbered(record: Json) -> bool:
    """Whether a ControllerRevision's metadata alone tells its number: older versions did not write it there."""
    number = annotations_of(record).get(NUMBER_ANNOTATION, "")
    return number.isdecimal() and len(number) < LABEL_VALUE_LIMIT


def next_number(records: Iterable[Json]) -> int:
    """The number of the ControllerRevision that comes after these."""
    return max((_number(each) for each in records), default=0) + 1


def superfluous(records: Iterable[Json], needed: Collection[str]) -> tuple[Json, ...]:
    """Those of a Canary's ControllerRevisions that are kept no longer, the oldest first.

    Args:
        records: all of them.
        needed: the revisions that are kept however old they are.
    """
    newest_first = sorted(records, key=_number, reverse=True)
    return tuple(reversed([each for each in newest_first[HISTORY:] if revision_of(each) not in needed]))


def revision_of(record: Json) -> str:
    """The revision that a ControllerRevision keeps."""
    return annotations_of(record).get(REVISION_ANNOTATION, "")


def configs_of(record: Json) -> tuple[ConfigRef, ...]:
    """The primary's ConfigMaps and Secrets that its pods read at this revision."""
    keys = filter(None, annotations_of(record).get(CONFIGS_ANNOTATION, "").split(","))
    return tuple(map(ConfigRef.of, keys))


def primary(record: Json, resource: Resource, canary: Canary, *, existing: Json | None) -> Json:
    """The manifest to apply so that the primary is again what it was.

    Args:
        record: the ControllerRevision.
        resource: the kind of the primary.
        canary: the Canary.
        existing: the primary that is there; one that was not made for a Canary stays without owner.
    """
    data = mapping(record.get("data"))
    kept = mapping(data.get("metadata"))
    metadata: Json = {
        "name": canary.primary_name,
        "namespace": canary.namespace,
        "labels": mapping(kept.get("labels")),
        "annotations": {**mapping(kept.get("annotations")), REVISION_ANNOTATION: revision_of(record)},
    }
    if is_owned(canary, existing) or was_left(existing):
        metadata["ownerReferences"] = [owner_reference(canary)]
    made = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": mapping(data.get("spec")),
    }
    return keep_selector(made, existing) if "template" in made["spec"] else made


def config(obj: Json, record: Json, canary: Canary) -> Json:
    """The object to create that keeps a ConfigMap or Secret of the primary, as long as its revision is kept."""
    made = _metadata(canary, _joined(name_of(obj), revision_of(record)))
    made["labels"] = {**portable(labels_of(obj)), **made["labels"]}
    made["ownerReferences"] = [
        {
            "apiVersion": CONTROLLER_REVISION.api_version,
            "kind": CONTROLLER_REVISION.kind,
            "name": name_of(record),
            "uid": mapping(record.get("metadata")).get("uid"),
        }
    ]
    return {"apiVersion": "v1", "kind": obj.get("kind"), "metadata": made, "immutable": True, **_contents(obj)}


def put_back(kept: Json, ref: ConfigRef) -> Json:
    """What the primary's ConfigMap or Secret was a copy of; `configs.primary_copy` makes it that copy again."""
    labels = {key: value for key, value in labels_of(kept).items() if key != LABEL}
    metadata: Json = {"name": ref.name.removesuffix(PRIMARY_SUFFIX), "labels": labels}
    return {"apiVersion": "v1", "kind": kept.get("kind"), "metadata": metadata, **_contents(kept)}


def _contents(obj: Json) -> Json:
    return {field: obj[field] for field in ("type", "data", "binaryData") if obj.get(field)}


def _metadata(canary: Canary, name: str) -> Json:
    return {"name": name, "namespace": canary.namespace, "labels": {LABEL: label_value(canary)}}


def _number(record: Json) -> int:
    number = record.get("revision")
    if isinstance(number, int):
        return number
    return int(annotations_of(record)[NUMBER_ANNOTATION]) if is_numbered(record) else 0


def _joined(name: str, revision: str) -> str:
    """A name that says both; of a long name as much as fits."""
    return f"{name[: NAME_LIMIT - len(revision) - 1]}-{revision}"
