"""Keep what a primary was at its last revisions, and make it the same again."""

from collections.abc import Iterator
from contextlib import suppress

from canary.controller.act.config_copies import apply_copy
from canary.controller.act.owned_objects import is_owner
from canary.controller.configs import RESOURCE, ConfigReader
from canary.controller.observe.caches import Caches, Freshness
from canary.controller.observe.kept_revisions import askable
from canary.controller.observe.surroundings import Surroundings
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Conflict, NotFound
from canary.kube.types import CONTROLLER_REVISION, Json, Resource, name_of
from canary.rollout.decision import KeepRevision, RestorePrimary
from canary.workloads import config_sync, configs, revisions
from canary.workloads.base import PRIMARY_SUFFIX, Rules, Target
from canary.workloads.configs import ConfigRef


class RevisionHistory:
    """Keeps revisions of one Canary's primary.

    Args:
        client: where to write.
        caches: what is there already; every write goes into it at once.
        configs: contents of configuration.
        rules: what copies get.
        seen: what was decided on.
    """

    def __init__(
        self, client: KubeClient, caches: Caches, configs: ConfigReader, rules: Rules, seen: Surroundings
    ) -> None:
        self._client = client
        self._caches = caches
        self._configs = configs
        self._rules = rules
        self._seen = seen
        self.written: list[Json] = []
        """What was written, as it is stored."""

    async def do(self, action: KeepRevision | RestorePrimary) -> None:
        """Apply one action.

        Raises:
            KubeError: the API server did not do it; doing it again is safe.
        """
        kind = self._seen.kind
        if kind is None:
            msg = f"{self._seen.canary.key} has no target to keep anything of"
            raise RuntimeError(msg)
        if isinstance(action, RestorePrimary):
            await self._restore(kind, action.revision)
            return
        record = await self._record(kind, action.revision)
        if action.configs:
            await self._keep_configs(record, action.revision)

    async def _record(self, kind: Target, revision: str) -> Json:
        """The ControllerRevision, which is created where there is none, and its elders deleted."""
        canary, primary = self._seen.canary, self._seen.primary
        name = revisions.record_name(canary, revision)
        known = self._caches.get(CONTROLLER_REVISION, canary.namespace, name)
        if known is not None:
            return known
        if primary is None:
            raise Conflict("GET", canary.primary_name, "there is no primary to keep anything of")
        others = await self._others()
        if same := [each for each in others if name_of(each) == name]:
            return same[0]
        made = revisions.record(
            primary,
            kind.essence(primary),
            canary,
            revision=revision,
            configs=self._copies(kind, primary),
            number=revisions.next_number(others),
        )
        record = await self._create(CONTROLLER_REVISION, made)
        for each in revisions.superfluous((*others, record), {revision, *askable(canary)}):
            with suppress(NotFound):
                await self._client.delete(CONTROLLER_REVISION, canary.namespace, name_of(each))
        return record

    async def _others(self) -> list[Json]:
        """Those that are kept already: as they are known, or read where that doesn't tell their numbers."""
        namespace, found = (
            self._seen.canary.namespace,
            self._caches.list(CONTROLLER_REVISION, self._seen.canary.namespace),
        )
        known = self._caches.state(CONTROLLER_REVISION).freshness is Freshness.FRESH
        if not known or not all(revisions.is_numbered(each) for each in found if is_owner(self._seen, each)):
            selector = f"{revisions.LABEL}={revisions.label_value(self._seen.canary)}"
            found = (await self._client.list(CONTROLLER_REVISION, namespace, label_selector=selector))["items"]
        return [each for each in found if is_owner(self._seen, each)]

    def _copies(self, kind: Target, primary: Json) -> Iterator[ConfigRef]:
        """The copies of configuration that the primary's pods read, which we have made."""
        for ref in sorted(configs.references(kind.template(primary))):
            obj = self._caches.get(RESOURCE[ref.kind], self._seen.canary.namespace, ref.name)
            if ref.name.endswith(PRIMARY_SUFFIX) and obj is not None and is_owner(self._seen, obj):
                yield ref

    async def _keep_configs(self, record: Json, revision: str) -> None:
        canary = self._seen.canary
        for ref in revisions.configs_of(record):
            resource, name = RESOURCE[ref.kind], revisions.config_name(ref, revision)
            if self._caches.get(resource, canary.namespace, name) is not None:
                continue
            obj = await self._configs.contents(canary.namespace, ref)
            if obj is not None:
                await self._create(resource, revisions.config(obj, record, canary))

    async def _create(self, resource: Resource, obj: Json) -> Json:
        """Create an object, or take the one of that name that is there: it was created by a pass that was cut off."""
        try:
            created = await self._client.create(resource, obj)
        except AlreadyExists as error:
            found = await self._client.find(resource, self._seen.canary.namespace, name_of(obj))
            if found is None:
                raise Conflict("POST", name_of(obj), "it is gone again") from error
            return found
        self._wrote(created)
        return created

    def _wrote(self, obj: Json) -> None:
        self.written.append(obj)
        self._caches.note(obj)

    async def _restore(self, kind: Target, revision: str) -> None:
        """Configuration first: the primary's pods must find it when they start."""
        canary, namespace = self._seen.canary, self._seen.canary.namespace
        name = revisions.record_name(canary, revision)
        record = await self._client.find(CONTROLLER_REVISION, namespace, name)
        if record is None:
            raise Conflict("GET", name, "it is not kept any more")
        for ref in revisions.configs_of(record):
            resource = RESOURCE[ref.kind]
            kept = await self._configs.contents(namespace, ConfigRef(ref.kind, revisions.config_name(ref, revision)))
            if kept is None:
                continue
            existing = self._caches.get(resource, namespace, ref.name)
            source = revisions.put_back(kept, ref)
            copy = configs.primary_copy(source, canary, rules=self._rules, existing=existing)
            self._wrote(await apply_copy(self._client, resource, copy))
        manifest = revisions.primary(record, kind.resource, canary, existing=self._seen.primary)
        shared = await self._configs.shared(canary, {}, manifest["spec"].get("template") or {})
        manifest = config_sync.marked(manifest, shared.followed)
        self._wrote(await self._client.apply(kind.resource, manifest))
