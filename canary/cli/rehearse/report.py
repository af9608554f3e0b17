"""What rehearsals came to: as tables and lines for people, as data for programs, as pictures."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from canary.api.durations import duration_text, format_duration
from canary.cli.rehearse.fleets import report as fleets
from canary.cli.rehearse.fleets.report import FleetReport
from canary.cli.rehearse.gathering import Trouble
from canary.cli.rehearse.grids import Grid
from canary.cli.rehearse.play import REQUESTS, Outcome, Rehearsal, Step
from canary.cli.rehearse.programme import Report, Seen, Told
from canary.rollout.plan import EVERYBODY

ENDINGS = {
    Outcome.PROMOTED: "promoted",
    Outcome.ROLLED_BACK: "rolled back",
    Outcome.REVERTED: "set back",
    Outcome.WAITING: "waits",
    Outcome.SUSPENDED: "suspended",
    Outcome.HELD: "held",
    Outcome.UNDER_WAY: "cut off",
}


def grids(report: Report | FleetReport) -> Iterator[Grid]:
    """All there is to say of what was rehearsed: a timeline a scenario, then how they end."""
    if isinstance(report, FleetReport):
        yield from fleets.grids(report)
        return
    for each in report.seen:
        yield _timeline(each.rehearsal)
    yield _summary(report)


def _timeline(rehearsal: Rehearsal) -> Grid:
    story = rehearsal.story
    return Grid(
        title=f"{story.name}: {story.description}".removesuffix(": "),
        headings=("TIME", "PHASE", "WEIGHT", "EVENT, OR (WHY)"),
        rows=tuple(_rows(rehearsal.steps)),
        footer=(ending_in_words(rehearsal),),
        right=frozenset({0, 2}),
    )


def _rows(steps: Iterable[Step]) -> Iterator[tuple[str, ...]]:
    """The steps, those in a row that tell the same taken together."""
    for same in repeats(steps):
        first = same[0]
        told = first.events or (f"({first.reason})",)
        yield format_duration(first.at), first.phase.value or "-", _share(first), told[0]
        yield from (("", "", "", line) for line in told[1:])
        if len(same) > 1:
            more = "once more, at" if len(same) == 2 else f"{len(same) - 1} times more, until"
            yield "", "", "", f"({more} {format_duration(same[-1].at)})"


def _share(step: Step) -> str:
    return f"{step.weight}% of those that match" if step.matched else f"{step.weight}%"


def repeats(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """The steps, those in a row taken together that tell the same."""
    same = groupby(steps, key=lambda step: (step.phase, step.weight, step.matched, step.events or step.reason))
    return (list(group) for _, group in same)


def ending_in_words(rehearsal: Rehearsal) -> str:
    """How a rollout ends, when and why."""
    ending = ENDINGS[rehearsal.outcome]
    after = "" if rehearsal.took is None else f" after {format_duration(rehearsal.took)}"
    why = "" if rehearsal.outcome is Outcome.PROMOTED else f": {rehearsal.why}"
    bad = f"; {_bad(rehearsal)} requests reach a bad version" if rehearsal.bad_requests else ""
    return f"{ending}{after}{why}{bad}"


def _bad(rehearsal: Rehearsal) -> str:
    count = f"{rehearsal.bad_requests:,} of {REQUESTS:,}"
    return count if rehearsal.out else f"from then on {count}"


def _summary(report: Report) -> Grid:
    rows = []
    for each in report.seen:
        seen = each.rehearsal
        after = "-" if seen.took is None else format_duration(seen.took)
        why = "" if seen.outcome is Outcome.PROMOTED else seen.why
        rows.append((seen.story.name, ENDINGS[seen.outcome], after, _bad(seen) if seen.bad_requests else "-", why))
    return Grid(
        title=f"{report.name}: {plan_in_words(report)}",
        headings=("SCENARIO", "ENDS", "AFTER", "BAD REQUESTS", "WHY"),
        rows=tuple(rows),
        footer=(
            *_times(report),
            *report.notes,
            *report.warnings,
            *(f"FAILED {line}" for line in report.disappointments),
        ),
        right=frozenset({2, 3}),
    )


def plan_in_words(report: Report) -> str:
    """The steps that a rollout takes."""
    canary, plan = report.canary, report.plan
    if canary is None or plan is None:
        return "it can't run"
    if canary.skip_analysis:
        return "new versions are not analysed"
    interval = duration_text(canary.analysis_interval)
    if canary.in_place and report.stage is not None:
        return f"{report.stage.replicas} pods, one after the other, steps of {interval}"
    if plan.written:
        least = format_duration(plan.least(canary.analysis_interval))
        return f"{plan.written} steps, {least} at least: {', '.join(map(str, canary.analysis.steps))}"
    if not plan.iterations:
        weights = ", ".join(str(step.split.canary) for step in plan.steps)
        return f"{len(plan.steps)} steps of {interval}: {weights} %"
    last = plan.steps[-1].split
    whom = " for the requests that match" if last.matched else ", then everybody for one" if last == EVERYBODY else ""
    return f"{plan.iterations} iterations of {interval}{whom}"


def _times(report: Report) -> Iterator[str]:
    bounds = report.bounds
    if bounds is None:
        return
    most = f" and {format_duration(bounds.longest)} at most" if bounds.longest is not None else ""
    yield f"To promote a version takes {format_duration(bounds.shortest)} at least{most}."
    if bounds.gates:
        yield f"It waits, without a deadline, while a gate is closed: {', '.join(bounds.gates)}."
    if bounds.resumed:
        steps = f"step{'s' if len(bounds.resumed) > 1 else ''} {', '.join(map(str, bounds.resumed))}"
        yield f"It waits, without a deadline, until a person resumes it: {steps}."


def line(report: Told) -> str:
    """One line for a Canary, a fleet, or a file that can't be used; more only where something is wrong."""
    if isinstance(report, FleetReport):
        return fleets.line(report)
    if isinstance(report, Trouble):
        head = "PASSED BY" if report.is_harmless else "UNUSABLE "
        return "\n".join(f"{head} {report.where}: {problem}" for problem in report.problems)
    if report.problems:
        name = report.name if report.kind == "Canary" else f"{report.kind} {report.name}"
        return "\n".join(f"REFUSED   {each.where}  {name}: {each.problem}" for each in report.problems)
    told = sum(each.expected is not None for each in report.seen) + len(report.failures)
    expected = f", {told} with expectations" if told else ""
    if report.disappointments:
        more = "".join(f"\n            {each}" for each in report.disappointments)
        return f"FAILED    {report.where}  {report.name}: {len(report.disappointments)} otherwise than expected{more}"
    scenarios = fleets.scenarios(len(report.seen))
    more = "".join(f"\n            {each}" for each in report.warnings)
    return f"ok        {report.where}  {report.name}: {_span(report)}; {scenarios}{expected}{more}"


def _span(report: Report) -> str:
    bounds = report.bounds
    if bounds is None:
        return "-"
    most = f" to {format_duration(bounds.longest)}" if bounds.longest is not None else " at least"
    return f"{format_duration(bounds.shortest)}{most}"


def totals(reports: Sequence[Told], took: timedelta) -> str:
    """The last line: how many went how."""
    counts = tally(reports)
    over = f" and {counts['fleets']:,} CanaryFleet{'s'[counts['fleets'] == 1 :]}" if "fleets" in counts else ""
    canaries = "1 Canary" if counts["canaries"] == 1 else f"{counts['canaries']:,} Canaries"
    words = [f"{canaries}{over} in {format_duration(round_to_tenths(took))}"]
    words += [f"{counts['failed']:,} otherwise than expected"] if counts["failed"] else []
    words += [f"{counts['refused']:,} can't run"] if counts["refused"] else []
    words += [f"{counts['objects']:,} other objects are refused"] if counts["objects"] else []
    words += [f"{counts['unusable']:,} files can't be used"] if counts["unusable"] else []
    return "; ".join(words if len(words) > 1 else [*words, "all as expected"])


def round_to_tenths(span: timedelta) -> timedelta:
    """A duration that people read."""
    return timedelta(seconds=round(span.total_seconds(), 1))


def tally(reports: Sequence[Told]) -> dict[str, int]:
    """How many went how."""
    told = [each for each in reports if isinstance(each, Report)]
    over = [each for each in reports if isinstance(each, FleetReport)]
    return {
        "canaries": sum(each.kind == "Canary" for each in told),
        **({"fleets": len(over)} if over else {}),
        "failed": sum(bool(each.disappointments) for each in told) + sum(bool(each.failures) for each in over),
        "refused": sum(bool(each.problems) and each.kind == "Canary" for each in told),
        "objects": sum(each.kind != "Canary" for each in told),
        "unusable": sum(isinstance(each, Trouble) and not each.is_harmless for each in reports),
    }


Json = dict[str, Any]


def data(reports: Sequence[Told]) -> Json:
    """Everything, as programs read it; durations in Go's notation, times since the new version was deployed."""
    over = [fleets.data(each) for each in reports if isinstance(each, FleetReport)]
    canaries = [_data(each) for each in reports if not isinstance(each, FleetReport)]
    return {"canaries": canaries, **({"canaryFleets": over} if over else {}), "summary": tally(reports)}


def _data(report: Report | Trouble) -> Json:
    if isinstance(report, Trouble):
        return {"file": report.where, "problems": list(report.problems)}
    known: Json = {"file": report.where, report.kind[:1].lower() + report.kind[1:]: report.name}
    if report.problems or report.bounds is None or report.plan is None or report.canary is None:
        return {**known, "problems": [f"{each.where}: {each.problem}" for each in report.problems]}
    bounds = report.bounds
    return {
        **known,
        "interval": duration_text(report.canary.analysis_interval),
        "weights": [step.split.canary for step in report.plan.steps] if not report.canary.skip_analysis else [],
        "iterations": report.plan.iterations,
        "shortest": format_duration(bounds.shortest),
        "longest": None if bounds.longest is None else format_duration(bounds.longest),
        "gates": list(bounds.gates),
        "resumed": list(bounds.resumed),
        "notes": [*report.notes, *report.warnings],
        "failures": list(report.disappointments),
        "scenarios": [_scenario(each) for each in report.seen],
    }


def _scenario(seen: Seen) -> Json:
    rehearsal = seen.rehearsal
    return {
        "name": rehearsal.story.name,
        "description": rehearsal.story.description,
        "ending": rehearsal.outcome.value,
        "why": rehearsal.why,
        "duration": None if rehearsal.took is None else format_duration(rehearsal.took),
        "badRequests": rehearsal.bad_requests,
        "badVersionIsOut": rehearsal.out,
        "phases": [phase.value for phase in rehearsal.phases],
        "weights": list(rehearsal.weights),
        "timeline": [_step(step) for step in rehearsal.steps],
    }


def _step(step: Step) -> Json:
    return {
        "at": format_duration(step.at),
        "phase": step.phase.value,
        "weight": step.weight,
        "matched": step.matched,
        "events": list(step.events),
        "reason": step.reason,
        "by": "others" if step.outside else "controller",
    }
