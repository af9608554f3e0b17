"""What files of Canaries, MetricTemplates and AlertProviders would change in a cluster."""

from collections.abc import Sequence
from typing import Final

from canary.api import strict
from canary.api.v1beta2.convert import as_stored
from canary.cli.changes.texts import Change, change
from canary.cli.failures import CommandError
from canary.cli.lint.files import Unusable, read
from canary.cli.lint.report import why
from canary.kube.client import KubeClient
from canary.kube.types import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE, Json, mapping

_KINDS: Final = {each.kind: each for each in (CANARY, METRIC_TEMPLATE, ALERT_PROVIDER)}


def objects_in(places: Sequence[str]) -> list[tuple[str, Json]]:
    """The objects of this group in files, each with its file.

    Raises:
        CommandError: a file can't be read, or there is none.
    """
    found: list[tuple[str, Json]] = []
    for source in read(places):
        if isinstance(source, Unusable):
            if not source.is_harmless:
                raise CommandError(why(source))
            continue
        ours = [as_stored(each.content) for each in source.documents if strict.is_ours(each.content)]
        found += [(source.where, each) for each in ours if str(each.get("kind")) in _KINDS]
    named = [each for each in found if isinstance(mapping(each[1].get("metadata")).get("name"), str)]
    if not named:
        raise CommandError(f"there is nothing of flagger.app in {', '.join(places)}; name other files")
    return named


async def against(client: KubeClient, namespace: str, found: Sequence[tuple[str, Json]]) -> list[Change]:
    """What would change in the cluster if these objects were applied.

    Raises:
        KubeError: one of them can't be read there.
    """
    changes = []
    for where, raw in found:
        metadata = mapping(raw.get("metadata"))
        kind, name = str(raw["kind"]), str(metadata["name"])
        place = str(metadata.get("namespace") or namespace)
        live = await client.find(_KINDS[kind], place, name)
        named = f"{kind} {place}/{name}"
        made = change(
            named,
            (f"{named} (in the cluster)" if live else "(not in the cluster)", _said(live or {}, metadata, kind)),
            (f"{named} ({where})", _said(raw, metadata, kind)),
        )
        changes += [made] if made else []
    return changes


def _said(raw: Json, written: Json, kind: str) -> Json:
    """What an object says, of labels and annotations what the file has."""
    metadata = mapping(raw.get("metadata"))
    said: Json = {}
    for field in ("labels", "annotations"):
        there = mapping(metadata.get(field))
        if kept := {key: there[key] for key in mapping(written.get(field)) if key in there}:
            said[field] = kept
    if raw:
        said["spec"] = strict.with_defaults(kind, mapping(raw.get("spec")))
    return said
