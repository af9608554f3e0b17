"""What a promotion would change: of the primary's pods, and of the configuration that they read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource
from canary.cli.changes.texts import Change, change, contents
from canary.cli.failures import CommandError
from canary.controller.configs import RESOURCE
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden
from canary.kube.types import CANARY, Json, mapping
from canary.workloads import config_sync, configs
from canary.workloads.base import ROLL_ANNOTATION, Rules, Target, primary_name, selected_by
from canary.workloads.configs import ConfigRef
from canary.workloads.registry import target_for


@dataclass(frozen=True, slots=True)
class Versions:
    """What is deployed, and what is promoted.

    Args:
        canary: the Canary.
        kind: what its target is.
        target: the workload that is deployed.
        primary: the workload that is promoted; None before it was made.
        objects: the ConfigMaps and Secrets of both, by `configmap/NAME` and `secret/NAME`.
        unread: those that may not be read.
    """

    canary: Canary
    kind: Target
    target: Json
    primary: Json | None
    objects: Mapping[str, Json]
    unread: tuple[str, ...] = ()


async def versions(client: KubeClient, namespace: str, name: str) -> Versions:
    """Read both versions of a Canary.

    Raises:
        KubeError: one of them is not there, or can't be read.
        CommandError: it has no two of them.
    """
    canary = read_canary(await client.get(CANARY, namespace, name))
    kind = target_for(canary)
    if kind is None or not canary.is_copied or canary.spec.target_ref.kind == "Service":
        of = canary.spec.target_ref.kind
        raise CommandError(f"{namespace}/{name}: of a {of} no primary is made; compare its revisions by kubectl")
    target = await client.get(kind.resource, namespace, canary.target_name)
    primary = await client.find(kind.resource, namespace, canary.primary_name)
    refs = configs.references(kind.template(target)) | (configs.references(kind.template(primary or {})))
    wanted = {ref.key: ref for ref in refs}
    wanted |= {copy.key: copy for copy in (ConfigRef(ref.kind, primary_name(ref.name)) for ref in refs)}
    objects, unread = {}, []
    for key, ref in sorted(wanted.items()):
        try:
            found = await client.find(RESOURCE[ref.kind], namespace, ref.name)
        except Forbidden:
            unread.append(key)
            continue
        if found is not None:
            objects[key] = {"kind": ref.kind.kind, **found}
    return Versions(canary, kind, target, primary, objects, tuple(unread))


def read_canary(raw: Json) -> Canary:
    """A Canary of a cluster.

    Raises:
        CommandError: it can't be read.
    """
    try:
        return parse_canary(raw)
    except InvalidResource as error:
        raise CommandError(f"its spec can't be read: {error}") from error


def tracked(seen: Versions) -> dict[str, str]:
    """The configuration of which the primary reads its own copies, with checksums."""
    refs = config_sync.snapshots(seen.canary, sorted(configs.references(seen.kind.template(seen.target))))
    found = {ref.key: seen.objects[ref.key] for ref in refs if ref.key in seen.objects}
    return {key: configs.checksum(each) for key, each in found.items() if configs.is_tracked(each)}


def rules_of(primary: Json | None) -> Rules:
    """The labels by which versions are told apart: the primary's own, whatever the controller was told."""
    keys = tuple(selected_by(primary))
    return Rules(selector_labels=(*keys, *(each for each in Rules().selector_labels if each not in keys)))


def promoted(seen: Versions) -> Iterator[Change]:
    """What a promotion of what is deployed would change.

    Raises:
        CommandError: the versions can't be told apart.
    """
    canary, kind = seen.canary, seen.kind
    if (label := kind.selector_label(seen.target, rules_of(seen.primary))) is None:
        raise CommandError(f"{canary.key}: its pods have no label by which versions are told apart")
    known = tracked(seen)
    after = kind.primary(
        seen.target, canary, tracked=known, rules=Rules(selector_labels=(label.key,)), existing=seen.primary
    )
    name = f"{canary.spec.target_ref.kind} {canary.namespace}/{canary.primary_name}"
    deployed = f"{name} (as {canary.target_name} is deployed)"
    before = {field: mapping((seen.primary or {}).get("spec")).get(field) for field in after["spec"]}
    found = change(
        name,
        (f"{name} (promoted)", _plain(before)),
        (deployed, _plain(after["spec"])),
    )
    yield from [found] if found else []
    for key in sorted(known):
        ref = ConfigRef.of(key)
        copy = ConfigRef(ref.kind, primary_name(ref.name))
        named = f"{ref.kind.kind} {canary.namespace}/{copy.name}"
        found = change(
            named,
            (f"{named} (promoted)", contents(seen.objects.get(copy.key))),
            (f"{named} (as {ref.name} is)", contents(seen.objects[key])),
        )
        yield from [found] if found and copy.key not in seen.unread else []


def _plain(spec: Json) -> Json:
    """The spec without what only has pods made anew."""
    template = mapping(spec.get("template"))
    metadata = mapping(template.get("metadata"))
    kept = {key: value for key, value in mapping(metadata.get("annotations")).items() if key != ROLL_ANNOTATION}
    bare = {key: value for key, value in metadata.items() if key not in ("annotations", "creationTimestamp")}
    metadata = {**bare, **({"annotations": kept} if kept else {})}
    plain = {key: value for key, value in spec.items() if value is not None}
    return {**plain, **({"template": {**template, "metadata": metadata}} if template else {})}
