"""Whose an object is that has the name of one that is made for a Canary: the name alone says nothing.

Users are led to it, it is overwritten at the next promotion and collected with the Canary: it must have been made for
that, by this controller or by Flagger, or have been given to it by a person.
"""

from dataclasses import dataclass

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.client import FIELD_MANAGER
from canary.kube.types import CONFIG_MAP, SECRET, SERVICE, Json, Resource, mapping
from canary.workloads import revisions
from canary.workloads.base import REVISION_ANNOTATION, annotations_of, labels_of, name_of, owners_of

FLAGGER = "flagger"
"""The field manager of what Flagger has written: the name of its program."""

APPLIED_ANNOTATION = "flagger.app/applied"
"""On Services, routes and the primary's autoscaler: a digest of what was applied last."""

_SHARED = frozenset({CONFIG_MAP, SECRET})
# Whoever has made an object has written one of these; who scales it, or marks it, has not.
_MAKING = ("f:selector", "f:scaleTargetRef")
_CONTENTS = ("f:data", "f:binaryData", "f:type")


@dataclass(frozen=True, slots=True)
class Namesake:
    """An object that has the name of one that is made for a Canary.

    Args:
        field: the field of the spec by which it has that name.
        resource: its kind.
        obj: what is known of it.
    """

    field: str
    resource: Resource
    obj: Json

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{self.resource.kind} {name_of(self.obj)}"


def is_evident(canary: Canary, each: Namesake) -> bool:
    """Whether it says of itself that it was made for this Canary: by an owner of that name, or by a mark.

    Copies of configuration are shared by all Canaries that track the original.
    """
    if any(owner.get("name") == canary.name or each.resource in _SHARED for owner in _canaries_of(each.obj)):
        return True
    if not _canaries_of(each.obj) and is_marked(each.obj):
        return True
    return labels_of(each.obj).get(revisions.LABEL) == revisions.label_value(canary)


def is_marked(obj: Json) -> bool:
    """Whether this controller has left its mark on an object."""
    return bool({REVISION_ANNOTATION, APPLIED_ANNOTATION} & annotations_of(obj).keys())


def is_made_by_us(obj: Json) -> bool:
    """Whether this controller or Flagger has written what makes an object what it is, by its `managedFields`.

    That tells where the owner was taken off, as `kubectl delete canary --cascade=orphan` does.
    """
    entries = mapping(obj.get("metadata")).get("managedFields") or []
    return any(each.get("manager") in (FIELD_MANAGER, FLAGGER) and _makes(each) for each in entries)


def _makes(entry: Json) -> bool:
    fields = mapping(entry.get("fieldsV1"))
    spec = mapping(fields.get("f:spec"))
    return any(field in spec for field in _MAKING) or any(field in fields for field in _CONTENTS)


def problem(canary: Canary, each: Namesake) -> tuple[Problem, ...]:
    """What to say of one that is not this Canary's; nothing of another Canary's Service, which is told with routes."""
    others = _canaries_of(each.obj)
    if others and each.resource == SERVICE:
        return ()
    if others:
        message = f"{each.title} belongs to Canary {others[0].get('name')}"
        return (Problem(each.field, message, "name another, or delete one of the two Canaries"),)
    label = f"{revisions.LABEL}={revisions.label_value(canary)}"
    message = f"{each.title} is not this Canary's, and would be overwritten"
    return (Problem(each.field, message, f"rename it, or give it to the Canary by the label {label}"),)


def _canaries_of(obj: Json) -> list[Json]:
    return [owner for owner in owners_of(obj) if owner.get("kind") == "Canary"]
