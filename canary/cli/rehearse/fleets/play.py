"""Play a release over made-up members, and write down what came of it."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from canary.api.canary import Canary, parse_canary
from canary.api.fleet import CanaryFleet
from canary.api.fleet_rules import GATE, canary_in
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.api.labels import LabelSelector, Operator
from canary.api.status import ApprovalState, CanaryStatus, Phase
from canary.cli.rehearse.bounds import bounds_of
from canary.cli.rehearse.conditions import playable
from canary.cli.rehearse.fleets.stories import FleetStory, behaviour
from canary.cli.rehearse.staging import BEGINNING, START, Stage, scenario_of
from canary.cli.rehearse.story import CURRENT, NEW
from canary.fleet.decision import Decision
from canary.fleet.facts import GateAnswer, Member, Unreachable
from canary.fleet.orders import ORDER_ANNOTATION
from canary.fleet.simulation import AnnotateFleet, Away, FleetEntry, FleetWorld, Played
from canary.fleet.simulation.clusters import Place
from canary.fleet.waves import assigned
from canary.fleet.writes import wanted_canary
from canary.rollout.simulation import Reply, Scenario, World

LIMIT = timedelta(days=31)
MOST_MEMBERS = 200
"""Members that are made up at most."""

OVER = frozenset({FleetPhase.SUCCEEDED, FleetPhase.FAILED})


@dataclass(frozen=True, slots=True)
class FleetRehearsal:
    """What came of a story.

    Args:
        story: the story.
        status: the fleet's status at its end.
        took: how long the release took; None where it has not ended.
        serving: how many members serve the release at the end.
        entries: what happened, in order.
    """

    story: FleetStory
    status: FleetStatus
    took: timedelta | None
    serving: int
    entries: tuple[FleetEntry, ...]


def made_up(fleet: CanaryFleet, count: int, placed: Sequence[str] = ()) -> dict[str, Mapping[str, str]]:
    """Members by name with their labels: each has what the fleet asks for, and in turn what one of its waves does.

    Where the fleet says how much of all requests which one gets, they are those.

    Args:
        fleet: the fleet.
        count: how many there are, where nothing names them.
        placed: the names of those that the fleet is placed on; none where that is not known.
    """
    waves = [labels_for(each.selector) for each in fleet.spec.waves]
    taken = {value for each in waves for value in each.values()}
    own, width = labels_for(fleet.spec.members.selector, taken), len(str(count))
    names = list(placed[:MOST_MEMBERS]) or [f"member-{number:0{width}}" for number in range(1, count + 1)]
    names = [each.name for each in fleet.spec.traffic.members] if fleet.spec.traffic is not None else names
    return {name: {**own, **waves[at % len(waves)]} for at, name in enumerate(names)}


def labels_for(selector: LabelSelector, avoided: Container[str] = ()) -> dict[str, str]:
    """Labels that a selector asks for, as far as it names any; of several values one that is not avoided."""
    found = dict(selector.match_labels)
    for each in selector.match_expressions:
        if each.operator is Operator.IN and each.values:
            found[each.key] = next((value for value in each.values if value not in avoided), each.values[0])
        elif each.operator is Operator.EXISTS:
            found[each.key] = "yes"
    return found


def in_waves(fleet: CanaryFleet, labels: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """The names of the members, wave by wave, as the hub divides them."""
    members = {name: Member(name, each, Unreachable(START)) for name, each in labels.items()}
    chosen = {name: each for name, each in members.items() if fleet.spec.members.selector.matches(each.labels)}
    waves = assigned(fleet, chosen, {}, 1)
    return [[name for name, wave in waves.items() if wave == at] for at in range(1, len(fleet.spec.waves) + 1)]


def play(
    fleet: CanaryFleet, story: FleetStory, labels: Mapping[str, Mapping[str, str]], stage: Stage
) -> FleetRehearsal:
    """Play a story.

    Raises:
        NotSettlingError: a hub, or a controller, does not come to rest: a bug.
    """
    # Where images tell a release, they are those of what is deployed here.
    images = {"app": f"app:{NEW}"} if fleet.spec.images else {}
    fleet = fleet.replace(spec=fleet.spec.replace(images=images))
    waves, start = in_waves(fleet, labels), START + BEGINNING
    clusters = [_member(fleet, story, waves, name, labels[name], stage) for wave in waves for name in wave]
    world = _World(fleet, clusters, start, gates=lambda _, now: GateAnswer(story.gates_open, "it stays closed"))
    world.resumes = story.gates_open
    status = world.run(LIMIT)
    serving = sum(_serves(each.canary) for each in clusters)
    took = status.ended - start if status.ended is not None else None
    return FleetRehearsal(story, status, took, serving, tuple(world.entries))


def _serves(canary: Canary | None) -> bool:
    return canary is not None and canary.status.last_promoted_spec not in ("", CURRENT)


class _World(FleetWorld):
    """A world that ends with its release, or once all that is left is to wait for gates."""

    resumes = False
    """Whether a person opens the gates that wait for one."""

    def after_store(self, before: FleetStatus, decision: Decision) -> None:
        status = self.fleet.status
        if self.resumes and status.reason == "WaitingForGate":
            self.change(AnnotateFleet(ORDER_ANNOTATION, f"resume by=person-1 at=wave-{status.wave + 1}"))

    def is_over(self) -> bool:
        status = self.fleet.status
        return (status.phase in OVER and not status.without_share) or (
            status.reason == "WaitingForGate" and not self._moving()
        )

    def _moving(self) -> bool:
        moving = (MemberState.OPEN, MemberState.PROGRESSING)
        return any(each.state in moving for each in self.fleet.status.members)


class _MemberWorld(World):
    """A world as quick as it can be: a status is kept as it is, without its way through JSON."""

    def keep(self, status: CanaryStatus) -> CanaryStatus:
        return status


def _member(
    fleet: CanaryFleet,
    story: FleetStory,
    waves: Sequence[Sequence[str]],
    name: str,
    labels: Mapping[str, str],
    stage: Stage,
) -> Played:
    """A member whose Canary is at rest with the version before; the new one is deployed as the release begins."""
    away = [Away(START + BEGINNING + timedelta(minutes=1))] if name in story.away(waves) else []
    turns_bad = name in story.turns_bad(waves)

    def scenario(canary: Canary, _: datetime) -> Scenario:
        promoted_after = bounds_of(canary, stage).shortest
        told = scenario_of(canary, behaviour(story, waves, name, promoted_after), stage)
        closed = Reply(approved=False, name=GATE, message="the member's wave has not begun")
        return replace(told, replies=(*told.replies, closed))

    made = _Quiet(Place(name, labels, away=away), scenario, turns_bad=turns_bad)
    # A fleet that watches writes nothing: no gate is in the Canaries of its members.
    canary = canary_in(fleet) if fleet.watches else wanted_canary(fleet)
    played, _ = playable(parse_canary(canary))
    made.apply({**canary, "spec": played.spec.to_json()}, START)
    made.advance(START + BEGINNING)
    return made


class _Quiet(Played):
    """A member that is passed by for as long as nothing can come of looking at it.

    So it is while it waits for its wave, and while a version bakes that does not turn bad.
    """

    def __init__(self, place: Place, scenario: Callable[[Canary, datetime], Scenario], *, turns_bad: bool) -> None:
        super().__init__(place, scenario, _MemberWorld)
        self._turns_bad = turns_bad

    def next_moment(self) -> datetime | None:
        return None if self._is_quiet() else super().next_moment()

    def advance(self, now: datetime) -> None:
        world = self.world
        if world is not None and self._is_quiet() and world.now < now:
            world.advance(now)
        super().advance(now)

    def _is_quiet(self) -> bool:
        status = self.canary.status if self.canary is not None else CanaryStatus()
        asked = [each.gate for each in status.approvals if each.state is ApprovalState.WAITING]
        if status.phase is Phase.WAITING and asked == [GATE]:
            return True
        return status.phase is Phase.SUCCEEDED and status.is_baking and not self._turns_bad
