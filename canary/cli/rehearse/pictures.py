"""A rehearsal as a picture: the canary's share over time, phases as bands, events as marks."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from canary.api.status import Phase
from canary.charts import Band, Chart, Line, Mark, Panel, Shape, Tone
from canary.cli.rehearse.play import Rehearsal, Step
from canary.cli.rehearse.programme import Report
from canary.cli.rehearse.report import ending_in_words, repeats

TONES = {
    Phase.FAILED: Tone.BAD,
    Phase.SUCCEEDED: Tone.GOOD,
    Phase.WAITING: Tone.NOTE,
    Phase.WAITING_PROMOTION: Tone.NOTE,
}
MARGIN = 1.05
"""How much longer than the rollout the picture is, so that its end is seen."""


def charts(report: Report) -> Iterator[Chart]:
    """A picture for every scenario of a Canary."""
    for each in report.seen:
        yield chart(report.name, each.rehearsal)


def chart(name: str, rehearsal: Rehearsal) -> Chart:
    """The picture of one scenario.

    Args:
        name: of the Canary.
        rehearsal: what came of the scenario.
    """
    story, steps = rehearsal.story, rehearsal.steps
    end = max((step.at.total_seconds() for step in steps), default=1.0) * MARGIN or 1.0
    points = tuple((step.at.total_seconds(), float(step.weight)) for step in steps)
    share = Line("canary", points, Shape.STAIRS)
    return Chart(
        title=f"{name}: {story.name}",
        subtitle=ending_in_words(rehearsal),
        panels=(Panel("Requests to the new version", (share,), unit="%", low=0, high=100),),
        end=end,
        bands=tuple(_bands(steps, end)),
        marks=tuple(_marks(steps)),
    )


def _bands(steps: Sequence[Step], end: float) -> Iterator[Band]:
    groups = [list(group) for _, group in groupby(steps, key=lambda step: step.phase)]
    ends = [*(group[0].at.total_seconds() for group in groups[1:]), end]
    for group, until in zip(groups, ends, strict=True):
        phase = group[0].phase
        yield Band(group[0].at.total_seconds(), until, phase.value or "new", TONES.get(phase, Tone.PLAIN))


def _marks(steps: Sequence[Step]) -> Iterator[Mark]:
    for same in repeats(steps):
        first = same[0]
        more = f" ({len(same) - 1} times more)" if len(same) > 1 else ""
        tone = Tone.BAD if first.warns else Tone.NOTE if first.outside else Tone.PLAIN
        for told in first.events or ((first.reason,) if first.outside else ()):
            yield Mark(first.at.total_seconds(), told + more, tone)
