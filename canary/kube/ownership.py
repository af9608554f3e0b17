"""Who owns which field: taking over what another controller wrote, so that server-side apply can take it off again.

Server-side apply removes what its manager applied before and applies no longer. A field that another manager wrote by
an update stays for good, even if nobody knows of that manager any more. So its fields are put in the new manager's
name once, as if that had applied them from the beginning.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from canary.kube.client import FIELD_MANAGER, KubeClient
from canary.kube.types import Json, Resource

FieldPath = tuple[str, ...]
"""The names of nested fields, such as `("spec", "replicas")`."""


async def take_over(
    client: KubeClient, resource: Resource, namespace: str, name: str, *, giver: str, but: Iterable[FieldPath] = ()
) -> Json | None:
    """Own the fields of one object that another manager has written; the object itself stays as it is.

    Args:
        client: where to write; needs the rights to list and to patch.
        resource: the kind of object.
        namespace: where it lives.
        name: its name.
        giver: the other manager.
        but: fields that nobody is to own.

    Returns:
        The object as it is stored now; None where there was nothing to do.

    Raises:
        Conflict: The object has changed meanwhile.
        KubeError: It could not be done; doing it again is safe.
    """
    found = await client.find(resource, namespace, name)
    if found is None:
        return None
    managed = handed_over(found["metadata"].get("managedFields") or [], giver=giver, taker=FIELD_MANAGER, but=but)
    if managed is None:
        return None
    patch = {"metadata": {"managedFields": managed, "resourceVersion": found["metadata"]["resourceVersion"]}}
    return await client.merge_patch(resource, namespace, name, patch)


def handed_over(managed: Iterable[Json], *, giver: str, taker: str, but: Iterable[FieldPath] = ()) -> list[Json] | None:
    """The entries of `managedFields` after one manager's updates have become another's applies.

    What the giver wrote of subresources, such as the status, stays its own.

    Args:
        managed: the entries.
        giver: the manager whose updates are handed over.
        taker: the manager that is to have applied them.
        but: fields that nobody is to own afterwards.

    Returns:
        The new entries; None where the giver has nothing to hand over.
    """
    entries = list(managed)
    given = [each for each in entries if _is_by(each, giver, "Update")]
    if not given:
        return None
    mine = [each for each in entries if _is_by(each, taker, "Apply")]
    fields: Json = {}
    for each in (*mine, *given):
        fields = _union(fields, each.get("fieldsV1") or {})
    for path in but:
        fields = _without(fields, path)
    applied = {**(mine or given)[0], "manager": taker, "operation": "Apply", "fieldsV1": fields}
    return [each for each in entries if each not in given and each not in mine] + [applied]


def _is_by(entry: Json, manager: str, operation: str) -> bool:
    return (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (manager, operation, "")


def _union(some: Json, others: Json) -> Json:
    merged: Json = deepcopy(some)
    for key, value in others.items():
        merged[key] = _union(merged.get(key) or {}, value)
    return merged


def _without(fields: Json, path: FieldPath) -> Json:
    """The fields without one of them, and without what is empty then: an empty object would stand for a whole field."""
    key = f"f:{path[0]}"
    if key not in fields:
        return fields
    rest: dict[str, Any] = {name: value for name, value in fields.items() if name != key}
    inner = _without(fields[key], path[1:]) if len(path) > 1 else {}
    return {**rest, key: inner} if inner else rest
