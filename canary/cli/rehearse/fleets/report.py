"""What rehearsals of a fleet came to: as tables and lines for people, as data for programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from canary.api.durations import duration_text, format_duration
from canary.api.fleet import CanaryFleet, Wave
from canary.api.fleet_status import FleetPhase
from canary.cli.rehearse.fleets.play import FleetRehearsal
from canary.cli.rehearse.grids import Grid
from canary.fleet.simulation import FleetEntry
from canary.fleet.waves import named

RELEASED = "released"


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What is to be said of one fleet.

    Args:
        where: the file that it is in.
        name: NAMESPACE/NAME.
        fleet: the fleet.
        waves: the names of the members, wave by wave.
        seen: what came of each story.
        failures: what could not be played, in words.
        made_up: whether the members' names are made up; False where the files name them.
        notes: what was taken for given, and what counts for nothing.
    """

    where: str
    name: str
    fleet: CanaryFleet
    waves: tuple[tuple[str, ...], ...]
    seen: tuple[FleetRehearsal, ...]
    failures: tuple[str, ...] = ()
    made_up: bool = True
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many members there are."""
        return sum(map(len, self.waves))


def ending(rehearsal: FleetRehearsal) -> str:
    """How a release ends, in a word or two."""
    status = rehearsal.status
    match status.phase, status.reason:
        case FleetPhase.SUCCEEDED, _:
            return RELEASED
        case FleetPhase.FAILED, "Held":
            return "held"
        case FleetPhase.FAILED, _:
            return "rolled back"
        case FleetPhase.ROLLING_BACK, _:
            return "on its way back"
        case _:
            return "waits"


def grids(report: FleetReport) -> Iterator[Grid]:
    """All there is to say of one fleet: a timeline a story, then how they end."""
    for each in report.seen:
        yield _timeline(each)
    yield _summary(report)


def _timeline(rehearsal: FleetRehearsal) -> Grid:
    return Grid(
        title=f"{rehearsal.story.name}: {rehearsal.story.description}",
        headings=("TIME", "PHASE", "WAVE", "MEMBERS", "EVENT"),
        rows=tuple(row for each in rehearsal.entries for row in _rows(each)),
        footer=(_ending_in_words(rehearsal),),
        right=frozenset({0, 2}),
    )


def _rows(entry: FleetEntry) -> Iterator[tuple[str, ...]]:
    states = ", ".join(f"{count} {state.value}" for state, count in entry.states.items())
    head = (format_duration(entry.at), entry.phase.value, str(entry.wave), states)
    yield (*head, entry.events[0])
    yield from (("", "", "", "", event) for event in entry.events[1:])


def _ending_in_words(rehearsal: FleetRehearsal) -> str:
    after = f" after {format_duration(rehearsal.took)}" if rehearsal.took is not None else ""
    why = "" if rehearsal.status.message == ending(rehearsal) else f": {rehearsal.status.message}"
    return f"{ending(rehearsal)}{after}{why}"


def _summary(report: FleetReport) -> Grid:
    rows = tuple(
        (
            each.story.name,
            ending(each),
            "-" if each.took is None else format_duration(each.took),
            f"{each.serving} of {report.count}",
            "" if each.status.message == ending(each) else each.status.message,
        )
        for each in report.seen
    )
    return Grid(
        title=f"{report.name}: release {report.fleet.spec.release} over {_members(report)}",
        headings=("SCENARIO", "ENDS", "AFTER", "HAVE IT", "WHY"),
        rows=rows,
        footer=(*_waves(report), *report.notes, *(f"FAILED {each}" for each in report.failures)),
        right=frozenset({2, 3}),
    )


def _members(report: FleetReport) -> str:
    made_up = "made-up " if report.made_up else ""
    return f"{report.count} {made_up}member{'' if report.count == 1 else 's'}"


def _waves(report: FleetReport) -> Iterator[str]:
    for wave, members in zip(report.fleet.spec.waves, report.waves, strict=True):
        yield f"Wave {wave.name}: {named(members) or 'nobody'}{_terms(wave)}"


def _terms(wave: Wave) -> str:
    terms = [f"{wave.max_parallel} at a time"] if wave.max_parallel is not None else []
    terms += [f"{wave.quorum} % must pass"] if wave.quorum < 100 else []
    terms += [f"soaks for {duration_text(wave.soak)}"] if wave.soak else []
    terms += [f"waits for {named([each.name for each in wave.gates])}"] if wave.gates else []
    return f"; {', '.join(terms)}" if terms else ""


def line(report: FleetReport) -> str:
    """One line for a fleet; more only where something is wrong."""
    if report.failures:
        more = "".join(f"\n            {each}" for each in report.failures)
        return f"FAILED    {report.where}  CanaryFleet {report.name}{more}"
    released = next((each.took for each in report.seen if ending(each) == RELEASED), None)
    took = "-" if released is None else format_duration(released)
    return f"ok        {report.where}  CanaryFleet {report.name}: {took}; {scenarios(len(report.seen))}"


def scenarios(count: int) -> str:
    """How many were played of one object; of those that are asked for some are of Canaries or of fleets alone."""
    if not count:
        return "no scenario concerns it"
    return "1 scenario" if count == 1 else f"{count} scenarios"


def data(report: FleetReport) -> dict[str, Any]:
    """Everything, as programs read it; durations in Go's notation, times since the release began."""
    return {
        "file": report.where,
        "canaryFleet": report.name,
        "release": report.fleet.spec.release,
        "waves": [
            {"name": wave.name, "members": list(members)}
            for wave, members in zip(report.fleet.spec.waves, report.waves, strict=True)
        ],
        "failures": list(report.failures),
        "notes": list(report.notes),
        "scenarios": [_scenario(each) for each in report.seen],
    }


def _scenario(rehearsal: FleetRehearsal) -> dict[str, Any]:
    return {
        "name": rehearsal.story.name,
        "description": rehearsal.story.description,
        "ending": ending(rehearsal),
        "why": rehearsal.status.message,
        "duration": None if rehearsal.took is None else format_duration(rehearsal.took),
        "serving": rehearsal.serving,
        "members": {each.name: each.state.value for each in rehearsal.status.members},
        "timeline": [_step(each) for each in rehearsal.entries],
    }


def _step(entry: FleetEntry) -> dict[str, Any]:
    return {
        "at": format_duration(entry.at),
        "phase": entry.phase.value,
        "wave": entry.wave,
        "members": {state.value: count for state, count in entry.states.items()},
        "events": list(entry.events),
    }
