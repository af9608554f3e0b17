"""The versions of a target that keeps each of them as an object of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.api.canary import Canary
from canary.controller.observe.caches import Caches
from canary.controller.observe.index import Index, Ref, ref_to
from canary.controller.observe.kept_revisions import askable
from canary.kube.types import Json
from canary.workloads.base import Target


@dataclass(frozen=True, slots=True)
class SeenVersions:
    """What was seen of them.

    Args:
        refs: where those are that matter.
        there: those that exist, by name.
        promoted: the name of the one that is promoted; empty where none is.
        latest: the name of the one that was made last; empty where there is none.
    """

    refs: frozenset[Ref] = frozenset()
    there: Mapping[str, Json] = field(default_factory=dict)
    promoted: str = ""
    latest: str = ""

    @property
    def primary(self) -> Json | None:
        """The one that is promoted; None where it does not exist."""
        return self.there.get(self.promoted)


async def versions_of(
    caches: Caches, index: Index, canary: Canary, kind: Target | None, target: Json | None
) -> SeenVersions:
    """Those that are promoted, made last, or may be put back; none where a target has no such objects.

    Raises:
        KubeError: one can't be read.
    """
    if kind is None or kind.versions is None or target is None:
        return SeenVersions()
    resource, namespace = kind.versions.version_resource, canary.namespace
    promoted, latest = kind.versions.promoted(target, canary), kind.revision(target)
    names = [name for name in dict.fromkeys((promoted, latest, *askable(canary))) if name]
    refs = frozenset(ref_to(resource, namespace, name) for name in names)
    index.add(canary.key, refs)
    await caches.need(canary.key, (resource,))
    await caches.fill(refs)
    return SeenVersions(refs, caches.named(resource, namespace, names), promoted, latest)
