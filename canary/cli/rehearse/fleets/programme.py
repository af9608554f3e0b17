"""The fleets of a file, each with what came of its stories."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from canary.api.canary import parse_canary
from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import canary_in
from canary.api.meta import Metadata
from canary.cli.rehearse.documents import Document
from canary.cli.rehearse.fleets.little import told
from canary.cli.rehearse.fleets.play import in_waves, made_up, play
from canary.cli.rehearse.fleets.read import KIND, unheeded_in
from canary.cli.rehearse.fleets.report import FleetReport
from canary.cli.rehearse.fleets.stories import BY_NAME, STORIES, FleetStory
from canary.cli.rehearse.refusals import is_weighted, settle_of
from canary.cli.rehearse.staging import REPLICAS, Stage
from canary.cli.rehearse.story import READY_AFTER
from canary.cli.rehearse.stream import name_in, namespace_in
from canary.fleet.members.base import Unusable
from canary.fleet.members.placement import FEDERATED_DEPLOYMENT, placed
from canary.fleet.simulation import NotSettlingError
from canary.rollout.simulation import NotSettlingError as ControllerNotSettlingError

MEMBERS = 6
"""Members that are made up where the command line says no number."""


def fleet_reports(
    where: str,
    documents: Sequence[Document],
    placements: Sequence[dict[str, Any]] = (),
    *,
    wanted: Sequence[str],
    members: int,
    provider: str,
    ready_after: timedelta | None,
    replicas: int | None,
) -> Iterator[FleetReport]:
    """Rehearse the fleets among the documents of a file that can work; the others are refused elsewhere.

    Args:
        where: the file.
        documents: what it holds.
        placements: what fleets may be placed by, of all files.
        wanted: names of the stories that were asked for; none asks for all.
        members: how many members are made up.
        provider: the traffic provider of Canaries that name none; empty where it is not known.
        ready_after: how long pods take to become ready; None where the command line doesn't say.
        replicas: how many pods a target has; None where the command line doesn't say.
    """
    for document in documents:
        fleet = parse_fleet(document.content)
        name = name_in(document.content)
        metadata = Metadata(name=name, namespace=namespace_in(document.content), generation=1)
        fresh = CanaryFleet(metadata=metadata, spec=fleet.spec)
        canary = parse_canary(canary_in(fresh))
        in_force = canary.spec.provider or provider
        stage = Stage(
            weighted=is_weighted(canary, in_force),
            settle=settle_of(canary, in_force),
            ready_after=READY_AFTER if ready_after is None else ready_after,
            replicas=replicas or REPLICAS,
        )
        stories = [BY_NAME[each] for each in wanted if each in BY_NAME] if wanted else list(STORIES)
        clusters = _placed(fresh, placements)
        labels = made_up(fresh, members, clusters)
        report = _report(where, fresh, [each for each in stories if each.concerns(fresh)], labels, stage)
        notes = (*_notes(fresh, clusters), *map(str, unheeded_in(document.content)))
        yield replace(report, made_up=not _names_members(fresh, clusters), notes=notes)


def _names_members(fleet: CanaryFleet, clusters: Sequence[str]) -> bool:
    return fleet.spec.traffic is not None or bool(clusters)


def _notes(fleet: CanaryFleet, clusters: Sequence[str]) -> Iterator[str]:
    """What of the members was taken for given."""
    placement = fleet.spec.members.placement
    if placement is not None and not _names_members(fleet, clusters):
        key = f"{placement.namespace or fleet.namespace}/{placement.federated_deployment}"
        yield f"Members are made up: no file names the clusters that {PLACEMENTS} {key} is placed on."


def _placed(fleet: CanaryFleet, placements: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the clusters that a fleet is placed on, where the files say so by their names."""
    placement = fleet.spec.members.placement
    wanted = (placement.namespace or fleet.namespace, placement.federated_deployment) if placement is not None else None
    there = (each for each in placements if (namespace_in(each), name_in(each)) == wanted)
    found = placed(next(there, {}), {}) if wanted is not None else {}
    return [] if isinstance(found, Unusable) else [*found]


def _report(
    where: str, fleet: CanaryFleet, stories: Sequence[FleetStory], labels: Mapping[str, Mapping[str, str]], stage: Stage
) -> FleetReport:
    seen, failures = [], []
    for story in stories:
        try:
            seen.append(play(fleet, told(fleet, story, stage), labels, stage))
        except (NotSettlingError, ControllerNotSettlingError) as error:
            failures.append(f"{story.name}: it does not come to rest, which is a bug: {error}")
    waves = tuple(tuple(each) for each in in_waves(fleet, labels))
    return FleetReport(where, fleet.key, fleet, waves, tuple(seen), tuple(failures))


PLACEMENTS = FEDERATED_DEPLOYMENT.kind
"""The kind of what fleets may be placed by."""

__all__ = ["KIND", "MEMBERS", "PLACEMENTS", "fleet_reports"]
