"""What traffic providers write, as objects: for tests that look at these."""

from collections.abc import Iterable, Mapping

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.kube.types import RESOURCES, Json, ObjectRef, Resource
from canary.routers.base import Apply, Observed, Patch, Provider, Write

_SERVED: Mapping[tuple[str, str], Resource] = {
    (version, each.kind): each for each in reversed(RESOURCES) for version in (each.api_version, "")
}


def ref(obj: Json, namespace: str = "shop") -> ObjectRef:
    """Where an object is; one that names no group is of the first that has such a kind."""
    resource = _SERVED[obj.get("apiVersion", ""), obj["kind"]]
    return ObjectRef(resource, obj["metadata"].get("namespace", namespace), obj["metadata"]["name"])


def by_ref(objects: Iterable[Json], namespace: str = "shop") -> dict[ObjectRef, Json]:
    """Objects as providers want to see them."""
    return {ref(each, namespace): each for each in objects}


def manifests(writes: Iterable[Write]) -> list[Json]:
    """What is applied."""
    return [write.manifest for write in writes if isinstance(write, Apply)]


def made(provider: Provider, canary: Canary, split: Split, observed: Observed | None = None) -> list[Json]:
    """What a provider applies so that requests are divided so."""
    return manifests(provider.plan(canary, split, observed or {}))


def after(writes: Iterable[Write], observed: Observed) -> dict[ObjectRef, Json]:
    """The objects once all is written."""
    found = dict(observed)
    for write in writes:
        match write:
            case Apply(manifest):
                found[ref(manifest)] = manifest
            case Patch(where, patch):
                found[where] = merged(found[where], patch)
    return found


def merged(obj: Json, patch: Json) -> Json:
    """An object after a merge patch (RFC 7386)."""
    done = dict(obj)
    for key, value in patch.items():
        if value is None:
            done.pop(key, None)
        else:
            done[key] = merged(done.get(key) or {}, value) if isinstance(value, dict) else value
    return done
