"""The way back to an earlier promoted version: the target is set to what it was, and rolled out as any other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from canary.api.canary import Canary
from canary.cli.changes.promotion import read_canary
from canary.cli.changes.texts import Change, change, contents
from canary.cli.cluster.orders import MANAGER
from canary.cli.failures import FAILED, CommandError
from canary.controller.configs import RESOURCE
from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, Forbidden
from canary.kube.types import CANARY, CONTROLLER_REVISION, DEPLOYMENT, REPLICA_SET, Json, mapping, name_of
from canary.workloads import primary_template, revisions
from canary.workloads.base import PRIMARY_SUFFIX, annotations_of, images_of, labels_of
from canary.workloads.configs import ConfigRef
from canary.workloads.registry import TARGETS

_HASH: Final = "pod-template-hash"
_TRIES: Final = 5
_PROMOTED: Final = ("Promoted", "PromotedUnchecked")
_TOOLS: Final = (
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
    ("meta.helm.sh/", "Helm"),
)
"""By what the labels and annotations of an object begin with that is somebody's to write."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way back.

    Args:
        revision: where to.
        target: the Deployment as it is.
        template: its pod template as it was.
        configs: the ConfigMaps and Secrets as they are, each with what it held.
        lost: those of which it is not kept what they held.
    """

    revision: str
    target: Json
    template: Json
    configs: tuple[tuple[Json, Json], ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def images(self) -> dict[str, str]:
        """The image of each container, as it was."""
        return images_of({"spec": {"template": self.template}})

    @property
    def owner(self) -> str:
        """Who will put it back, by the object's labels and annotations; empty where these name nobody."""
        keys = [*labels_of(self.target), *annotations_of(self.target)]
        return next((tool for prefix, tool in _TOOLS if any(key.startswith(prefix) for key in keys)), "")

    def changes(self) -> Iterator[Change]:
        """What would change."""
        before = mapping(mapping(self.target.get("spec")).get("template"))
        yield from _named(self.target, before, self.template)
        for there, kept in self.configs:
            yield from _named(there, contents(there), contents(kept))


def _named(obj: Json, before: Json, after: Json) -> Iterator[Change]:
    name = f"{obj.get('kind')} {mapping(obj.get('metadata')).get('namespace')}/{name_of(obj)}"
    found = change(name, (f"{name} (as it is)", before), (f"{name} (as it was)", after))
    yield from [found] if found else []


async def way_back(client: KubeClient, namespace: str, name: str, wanted: str) -> Way:
    """Find the way back.

    Args:
        client: the way to the cluster.
        namespace: where the Canary is.
        name: its name.
        wanted: the revision; empty for the promoted one where another is deployed, else the one promoted before.

    Raises:
        KubeError: something is not there, or can't be read.
        CommandError: there is no way back.
    """
    raw = await client.get(CANARY, namespace, name)
    canary = read_canary(raw)
    if canary.spec.target_ref.kind != DEPLOYMENT.kind:
        kind = canary.spec.target_ref.kind
        raise CommandError(f"{canary.key}: its target is a {kind}; set that back by kubectl rollout undo")
    target = await client.get(DEPLOYMENT, namespace, canary.target_name)
    records = await _records(client, canary)
    known = _promoted(raw, records)
    deployed = primary_template.fingerprint(_template(target))
    revision = wanted or _before(known, deployed)
    if revision not in known:
        raise _unknown(canary, revision, known)
    templates = {deployed: _template(target), **await _templates(client, namespace, target)}
    template = templates.get(revision.partition("-")[0])
    if template is None:
        why = "no ReplicaSet of it is left (spec.revisionHistoryLimit)"
        raise CommandError(f"{canary.key}: {revision} can't be set back: {why}; deploy it anew", code=FAILED)
    record = next((each for each in records if revisions.revision_of(each) == revision), None)
    read = mapping(mapping(raw.get("status")).get("trackedConfigs"))
    is_read_now = TARGETS[DEPLOYMENT.kind].carried({"spec": {"template": template}}, read) == revision
    configs, lost = ((), ()) if is_read_now else await _configs(client, namespace, revision, record)
    found = Way(revision, {"kind": DEPLOYMENT.kind, **target}, template, configs, lost)
    if not any(found.changes()):
        raise CommandError(f"{canary.key}: {revision} is what is deployed", code=FAILED)
    return found


def _unknown(canary: Canary, revision: str, known: Sequence[str]) -> CommandError:
    if not known:
        return CommandError(f"{canary.key}: no version was promoted yet, as far as its status says", code=FAILED)
    which = f"{revision} was not promoted" if revision else "no other version was promoted before"
    return CommandError(f"{canary.key}: {which}, as far as is known; write one of {', '.join(known)}", code=FAILED)


def _promoted(raw: Json, records: Sequence[Json]) -> list[str]:
    """The revisions that were promoted, the newest first, as far as the status has them or they are kept."""
    status = mapping(raw.get("status"))
    history = status.get("history")
    past = [each for each in history if isinstance(each, dict)] if isinstance(history, list) else []
    found = [str(status.get("lastPromotedSpec") or "")]
    found += [str(each.get("revision") or "") for each in past if each.get("outcome") in _PROMOTED]
    found += [revisions.revision_of(each) for each in records]
    return [each for each in dict.fromkeys(found) if each]


def _before(known: Sequence[str], deployed: str) -> str:
    """The newest of the promoted revisions whose pods are others than those that are deployed."""
    return next((each for each in known if each.partition("-")[0] != deployed), "")


async def _records(client: KubeClient, canary: Canary) -> list[Json]:
    """What is kept of promoted revisions, the newest first; nothing where it may not be read."""
    selector = f"{revisions.LABEL}={revisions.label_value(canary)}"
    try:
        found: list[Json] = (await client.list(CONTROLLER_REVISION, canary.namespace, label_selector=selector))["items"]
    except Forbidden:
        return []
    return sorted(found, key=lambda each: int(each.get("revision") or 0), reverse=True)


def _template(workload: Json) -> Json:
    return mapping(mapping(workload.get("spec")).get("template"))


async def _templates(client: KubeClient, namespace: str, target: Json) -> dict[str, Json]:
    """The pod templates that a Deployment had, by their hashes."""
    uid = mapping(target.get("metadata")).get("uid")
    found = {}
    for each in (await client.list(REPLICA_SET, namespace))["items"]:
        if any(owner.get("uid") == uid for owner in mapping(each.get("metadata")).get("ownerReferences") or ()):
            template = _template(each)
            metadata = mapping(template.get("metadata"))
            labels = {key: value for key, value in mapping(metadata.get("labels")).items() if key != _HASH}
            bare = {**template, "metadata": {**metadata, "labels": labels}}
            found[primary_template.fingerprint(bare)] = bare
    return found


async def _configs(
    client: KubeClient, namespace: str, revision: str, record: Json | None
) -> tuple[tuple[tuple[Json, Json], ...], tuple[str, ...]]:
    """The configuration of a revision, as far as it is kept, and what is not."""
    found, lost = [], []
    for ref in revisions.configs_of(record) if record is not None else ():
        source = ConfigRef(ref.kind, ref.name.removesuffix(PRIMARY_SUFFIX))
        resource = RESOURCE[ref.kind]
        try:
            kept = await client.find(resource, namespace, revisions.config_name(ref, revision))
            there = await client.find(resource, namespace, source.name)
        except Forbidden:
            kept = there = None
        if kept is None or there is None:
            lost.append(source.key)
        elif any(there.get(field) != kept.get(field) for field in ("data", "binaryData")):
            kind = ref.kind.kind
            found.append(({"kind": kind, **there}, {"kind": kind, **kept}))
    if record is None and "-" in revision:
        lost.append("its configuration")
    return tuple(found), tuple(lost)


async def set_back(client: KubeClient, namespace: str, name: str, wanted: str) -> Way:
    """Find the way back, as `way_back` does, and go it.

    Where somebody else writes meanwhile it is looked for again: a Deployment's controller writes its status with every
    pod.

    Raises:
        KubeError: it may not be written, or somebody is quicker each time.
        CommandError: there is no way back.
    """
    way = here = await way_back(client, namespace, name, wanted)
    for _ in range(_TRIES - 1):
        try:
            await go(client, here)
        except Conflict:
            here = await way_back(client, namespace, name, way.revision)
        else:
            return way
    await go(client, here)
    return way


async def go(client: KubeClient, way: Way) -> None:
    """Set the target back: its configuration first, as its pods are to find it when they start.

    Raises:
        KubeError: it may not be written, or somebody has written it since.
    """
    for there, kept in way.configs:
        patch = {field: _merge(there.get(field), kept.get(field)) for field in ("data", "binaryData")}
        wanted = {field: value for field, value in patch.items() if value != {}}
        await _patch(client, there, wanted)
    patch = {"spec": {"template": _merge(_template(way.target), way.template)}}
    if patch["spec"]["template"]:
        await _patch(client, way.target, patch)


async def _patch(client: KubeClient, there: Json, patch: Json) -> None:
    metadata = mapping(there.get("metadata"))
    kinds = {DEPLOYMENT.kind: DEPLOYMENT, **{each.kind: each for each in RESOURCE.values()}}
    guarded = {**patch, "metadata": {"resourceVersion": metadata.get("resourceVersion")}}
    resource = kinds[str(there["kind"])]
    await client.merge_patch(resource, str(metadata.get("namespace")), name_of(there), guarded, field_manager=MANAGER)


def _merge(before: object, after: object) -> Json:
    """The merge patch from one map to another."""
    old, new = mapping(before), mapping(after)
    patch: Json = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            if inner := _merge(old[key], value):
                patch[key] = inner
        elif value != old.get(key):
            patch[key] = value
    return patch
