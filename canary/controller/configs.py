"""ConfigMaps and Secrets: known by their metadata, read when they have changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from canary.api.canary import Canary
from canary.controller.observe.caches import Caches
from canary.controller.observe.index import Ref, ref_to
from canary.kube.client import KubeClient
from canary.kube.errors import NotFound
from canary.kube.types import CONFIG_MAP, SECRET, Json, Resource
from canary.workloads import config_sync
from canary.workloads.configs import ConfigKind, ConfigRef, checksum, is_tracked, references

RESOURCE: Mapping[ConfigKind, Resource] = {ConfigKind.CONFIG_MAP: CONFIG_MAP, ConfigKind.SECRET: SECRET}


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of an object at one version of it; its contents are not kept."""

    version: str
    checksum: str
    tracked: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """The configuration that the primary shares with the target.

    Args:
        refs: all configuration that pods of either read, whether they share it or not.
        followed: a digest of the followed configuration that new pods of the primary would read; empty for none.
        to_follow: the same of a primary that carries the target.
    """

    refs: frozenset[ConfigRef] = frozenset()
    followed: str = ""
    to_follow: str = ""


class ConfigReader:
    """Checksums of tracked ConfigMaps and Secrets, each read once a version.

    Args:
        client: where their contents are read.
        caches: where their versions are known.
    """

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._client = client
        self._caches = caches
        self._known: dict[Ref, _Known] = {}

    def forget(self, ref: Ref) -> None:
        """Forget an object that no Canary names any more."""
        self._known.pop(ref, None)

    async def checksums(self, namespace: str, refs: Iterable[ConfigRef]) -> dict[str, str]:
        """The checksum of each of these that exists and is tracked, by `configmap/NAME` or `secret/NAME`.

        Raises:
            KubeError: one that has changed can't be read.
        """
        known = await self._all(namespace, refs)
        return {key: each.checksum for key, each in known.items() if each.tracked}

    async def shared(self, canary: Canary, target: Json, primary: Json) -> Shared:
        """What the pods of the two pod templates share.

        Raises:
            KubeError: some that has changed can't be read.
        """
        refs = references(target) | references(primary)
        if not refs:
            return Shared()
        return Shared(
            refs=refs,
            followed=await self._followed(canary, primary),
            to_follow=await self._followed(canary, target),
        )

    async def _followed(self, canary: Canary, pod_template: Json) -> str:
        known = await self._all(canary.namespace, config_sync.followed(canary, pod_template))
        return config_sync.digest({key: each.checksum for key, each in known.items()})

    async def _all(self, namespace: str, refs: Iterable[ConfigRef]) -> dict[str, _Known]:
        found: dict[str, _Known] = {}
        for ref in sorted(refs):
            known = await self._read(RESOURCE[ref.kind], namespace, ref.name)
            if known is not None:
                found[ref.key] = known
        return found

    async def contents(self, namespace: str, ref: ConfigRef) -> Json | None:
        """One of these whole, read now; None when there is none.

        Raises:
            KubeError: it can't be read.
        """
        return await self._fetch(RESOURCE[ref.kind], namespace, ref.name)

    async def _read(self, resource: Resource, namespace: str, name: str) -> _Known | None:
        key = ref_to(resource, namespace, name)
        seen = self._caches.get(resource, namespace, name)
        if seen is None:
            self._known.pop(key, None)
            return None
        version = str(seen["metadata"].get("resourceVersion", ""))
        known = self._known.get(key)
        if known is None or known.version != version:
            obj = await self._fetch(resource, namespace, name)
            if obj is None:
                return None
            version = str(obj["metadata"].get("resourceVersion", ""))
            known = self._known[key] = _Known(version, checksum(obj), is_tracked(obj))
        return known

    async def _fetch(self, resource: Resource, namespace: str, name: str) -> Json | None:
        try:
            return await self._client.get(resource, namespace, name)
        except NotFound:
            return None
