"""Whatever becomes of members, hubs and orders: what always holds of a release over many clusters."""

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.fleet.decision import Decision, Write
from canary.fleet.facts import Facts, GateAnswer
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.fleet.simulation import AnnotateFleet, Fate, FleetWorld, Sketch
from canary.fleet.simulation.world import HubDiedError
from tests.unit.fleet.fleets import DAY, MINUTE, START, SafeFleetWorld, fleet_of, names, play, serve, sketch

minutes = st.integers(0, 120).map(lambda count: count * MINUTE)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    """What becomes of the release in one member."""
    return Fate(
        comes_after=draw(st.sampled_from([timedelta(0), timedelta(0), 7 * MINUTE, None])),
        takes=draw(st.sampled_from([MINUTE, 5 * MINUTE, 40 * MINUTE])),
        fails=draw(st.sampled_from([0, 0, 0, 1, 9])),
        turns_bad_after=draw(st.sampled_from([None, None, None, 10 * MINUTE])),
    )


@st.composite
def members(draw: st.DrawFn, *, good: bool = False) -> list[Sketch]:
    """A few members, some of which are away, come later or go."""
    found = []
    for name in names(draw(st.integers(0, 7))):
        fate = Fate(takes=draw(st.sampled_from([MINUTE, 9 * MINUTE]))) if good else draw(fates())
        start, span = draw(minutes), draw(st.one_of(st.none(), minutes)) if not good else draw(minutes)
        away = [(start, None if span is None else start + span)] if draw(st.booleans()) else []
        moments: dict[str, Any] = {}
        if not good and draw(st.integers(0, 5)) == 0:
            moments["added"] = draw(minutes)
        if not good and draw(st.integers(0, 5)) == 0:
            moments["removed"] = draw(minutes) + moments.get("added", timedelta(0))
        there = draw(st.booleans())
        labels = {"env": draw(st.sampled_from(["eu", "us"]))}
        found.append(sketch(name, fate, away, labels=labels, has_canary=there, **moments))
    return found


waves = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "count": st.integers(1, 3),
            "quorum": st.integers(1, 100),
            "maxParallel": st.integers(1, 3),
            "soak": st.sampled_from(["0s", "5m", "1h"]),
            "selector": st.just({"matchLabels": {"env": "eu"}}),
            "gates": st.just([{"name": "tests", "url": "https://gates.example.com/"}]),
        },
    ),
    max_size=3,
).map(lambda drawn: [{"name": f"w{index}", **each} for index, each in enumerate([*drawn, {}])])


@st.composite
def fleets(draw: st.DrawFn) -> CanaryFleet:
    """A fleet of any spec that can work."""
    spec: dict[str, Any] = {"onFailure": draw(st.sampled_from(["hold", "rollbackWave", "rollbackAll"]))}
    for name in ("memberDeadline", "unreachableDeadline"):
        if draw(st.booleans()):
            spec[name] = draw(st.sampled_from(["1m", "30m", "2h"]))
    return fleet_of(draw(waves), **spec)


class Mortal(SafeFleetWorld):
    """A world whose hub dies before some of its writes, and before some of its statuses are stored."""

    def __init__(self, *args: Any, dies_at: frozenset[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dies_at, self.moments = dies_at, 0

    def _step(self) -> None:
        self.moments += 1
        if self.moments in self.dies_at:
            raise HubDiedError

    def before_write(self, write: Write, decision: Decision) -> None:
        super().before_write(write, decision)
        self._step()

    def before_store(self, facts: Facts, decision: Decision) -> None:
        super().before_store(facts, decision)
        self._step()


orders = st.lists(
    st.tuples(
        minutes,
        st.sampled_from(
            [
                (ORDER_ANNOTATION, "promote by=mia"),
                (ORDER_ANNOTATION, "abort by=mia"),
                (ORDER_ANNOTATION, "retry by=mia"),
                (ORDER_ANNOTATION, "resume by=mia"),
                (PAUSE_ANNOTATION, "by mia"),
                (PAUSE_ANNOTATION, None),
            ]
        ),
    ),
    max_size=4,
)


def changes(drawn: list[tuple[timedelta, tuple[str, str | None]]]) -> list[tuple[Any, AnnotateFleet]]:
    """Orders as what somebody does to the fleet; each is another one."""
    return [
        (START + at, AnnotateFleet(key, f"{value} at={number}" if value is not None else None))
        for number, (at, (key, value)) in enumerate(drawn)
    ]


def says_for_whom(status: FleetStatus) -> bool:
    """Whether the words of a status name a member, a gate or a person that is waited for."""
    waited = [each.name for each in status.members if each.state in WAITED]
    people = status.paused or status.reason in ("WaitingForGate", "NoMembers")
    return bool(people) or any(name in status.message for name in waited)


WAITED = (MemberState.OPEN, MemberState.PROGRESSING, MemberState.ROLLING_BACK)
OVER = (FleetPhase.SUCCEEDED, FleetPhase.FAILED)


@few
@given(fleets(), members(), orders, st.frozensets(st.integers(1, 60), max_size=4))
def test_every_release_ends_or_says_for_whom_it_waits(
    fleet: CanaryFleet,
    clusters: list[Sketch],
    drawn: list[tuple[timedelta, tuple[str, str | None]]],
    dies_at: frozenset[int],
) -> None:
    """And no pass breaks a rule of `SafeFleetWorld`, wherever the hub dies."""
    world = Mortal(fleet, clusters, START, changes(drawn), dies_at=dies_at)
    status = world.run(30 * DAY)
    assert status.phase in OVER or says_for_whom(status), status.message


@few
@given(fleets(), members(good=True), st.frozensets(st.integers(1, 60), max_size=4))
def test_a_good_release_comes_to_every_member(
    fleet: CanaryFleet, clusters: list[Sketch], dies_at: frozenset[int]
) -> None:
    """However long members are away, where no deadline counts, and wherever the hub dies."""
    patient = fleet.replace(spec=fleet.spec.replace(member_deadline=None, unreachable_deadline=None))
    world = Mortal(patient, clusters, START, dies_at=dies_at)
    world.run(30 * DAY)
    if clusters:
        assert world.fleet.status.phase is FleetPhase.SUCCEEDED
        assert serve(world) == set(world.clusters)


@few
@given(fleets(), members(), st.frozensets(st.integers(1, 60), max_size=4))
def test_rollback_of_all_brings_all_back(fleet: CanaryFleet, clusters: list[Sketch], dies_at: frozenset[int]) -> None:
    """Where it is over, no member serves the release that is not named as one that can't be brought back."""
    world = Mortal(fleet_with(fleet, "rollbackAll"), clusters, START, dies_at=dies_at)
    status = world.run(30 * DAY)
    if status.phase is FleetPhase.FAILED:
        lost = {each.name for each in status.members if each.state is MemberState.NOT_BACK}
        begun = {each.name for each in status.members if each.opened is not None and each.before not in (None, "")}
        assert serve(world) & begun <= lost
        assert not lost or status.reason == "NotAllBack"


@few
@given(fleets(), members())
def test_a_release_is_done_only_with_a_quorum_in_every_wave(fleet: CanaryFleet, clusters: list[Sketch]) -> None:
    world = play(fleet, clusters)
    ended = [each for each in world.entries if any("is done" in event for event in each.events)]
    if ended:
        assert ended[-1].states.get(MemberState.PENDING, 0) == 0
        assert all(each.passed >= each.required or each.failed for each in world.fleet.status.waves)


@few
@given(fleets(), members())
def test_a_fleet_that_watches_writes_nothing_and_judges(fleet: CanaryFleet, clusters: list[Sketch]) -> None:
    watching = fleet.replace(spec=fleet.spec.replace(mode=type(fleet.spec.mode)("watch")))
    world = play(watching, clusters)
    assert not any("fleet.canary.dev" in str(each.canary.metadata) for each in clusters if each.canary is not None)
    assert world.fleet.status.phase in OVER or says_for_whom(world.fleet.status)


@few
@given(fleets(), members(), orders)
def test_gates_that_stay_closed_let_no_wave_begin(
    fleet: CanaryFleet, clusters: list[Sketch], drawn: list[tuple[timedelta, tuple[str, str | None]]]
) -> None:
    closed: Any = lambda question, now: GateAnswer(opens=False, message="not yet")  # noqa: E731 - a value for it
    held = [each for each in changes(drawn) if "promote" not in (each[1].value or "")]
    world = play(fleet, clusters, limit=timedelta(hours=1), changes=held, gates=closed)
    gated = [number for number, wave in enumerate(fleet.spec.waves, 1) if wave.gates]
    for each in world.fleet.status.members:
        if each.opened is not None and gated and each.wave >= gated[0] and each.state is not MemberState.JOINED:
            assert _was_empty(world, gated[0])


def _was_empty(world: FleetWorld, number: int) -> bool:
    """Whether a wave had no members when it was its turn, so that it waited for no gate."""
    name = world.fleet.spec.waves[number - 1].name
    return any(f"Wave {name} of" in event and "no members" in event for each in world.entries for event in each.events)


def fleet_with(fleet: CanaryFleet, on_failure: str) -> CanaryFleet:
    """The fleet with another policy."""
    return fleet.replace(spec=fleet.spec.replace(on_failure=type(fleet.spec.on_failure)(on_failure)))
