"""The demonstration as a picture on a terminal: at 80 columns and 24 lines all of it is seen. Needs rich."""

from collections.abc import Iterable

from rich.console import Group, JustifyMethod, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from canary.sandbox.demo.load import Load
from canary.sandbox.demo.story import Act, Check, Frame, Row, value_of

_LONGEST_BAR = 28
_BESIDE_THE_BAR = 68
"""Columns that everything else in the bar's line takes."""
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ROLE_STYLES = {"primary": "cyan", "canary": "yellow", "leaving": "dim"}
_VERDICTS = {"Pass": ("✓", "green"), "Fail": ("✗", "bold red")}
_PHASE_STYLES = {"Succeeded": "bold green", "Failed": "bold red", "Progressing": "bold yellow"}
_GOOD_SUCCESS = 99.0


def render(frame: Frame, width: int) -> RenderableType:
    """Everything of a moment, as something that rich draws, so many columns wide."""
    parts: list[RenderableType] = [_acts(frame)]
    if frame.rows:
        parts += [Text(""), _phase(frame), _rows(frame.rows, min(_LONGEST_BAR, max(1, width - _BESIDE_THE_BAR)))]
    if frame.checks:
        parts += [Text(""), _checks(frame.checks)]
    if frame.events:
        parts += [Text(""), _events(frame)]
    return Panel(
        Group(*parts),
        title="[bold]canary demo[/bold]",
        title_align="left",
        subtitle=_total(frame),
        subtitle_align="right",
        border_style="blue",
        padding=(0, 2),
        width=width,
    )


def _table(*titles: str, yields: bool = False) -> Table:
    """An open table.

    Args:
        titles: of the columns; those that begin with `>` are of numbers.
        yields: whether the last column is cut where there is no room.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim", show_header=any(titles))
    for number, title in enumerate(titles, 1):
        side: JustifyMethod = "right" if title.startswith(">") else "left"
        table.add_column(title.removeprefix(">"), justify=side, no_wrap=not (yields and number == len(titles)))
    return table


def _line(text: str, style: str = "") -> Text:
    """Words that are cut rather than broken."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _total(frame: Frame) -> Text:
    failed = Text(f"{frame.total.failed} failed", "bold red" if frame.total.failed else "green")
    return Text.assemble(f"{frame.total.served} requests served, ", failed, f" · {frame.elapsed:.0f} s")


def _acts(frame: Frame) -> Table:
    table = _table("", "", "", "", yields=True)
    for act in frame.acts:
        sign, style = _sign(act)
        note = _line(act.note, "dim" if act.well else "bold red")
        table.add_row(Text(sign, style), Text(act.title, style), _seconds(act, frame.elapsed), note)
    return table


def _sign(act: Act) -> tuple[str, str]:
    if act.began is None:
        return "·", "dim"
    if act.ended is None:
        return "▶", "bold"
    return ("✓", "green") if act.well else ("✗", "bold red")


def _seconds(act: Act, elapsed: float) -> str:
    return "" if act.began is None else f"{(elapsed if act.ended is None else act.ended) - act.began:3.0f} s"


def _phase(frame: Frame) -> Text:
    failed = f" · {frame.failed_checks} of {frame.threshold} failed checks that end a rollout"
    style = _PHASE_STYLES.get(frame.phase, "bold")
    return Text.assemble((frame.phase, style), (failed if frame.failed_checks else "", "bold red"))


def _rows(rows: Iterable[Row], width: int) -> Table:
    table = _table("version", "traffic", ">req/s", ">success", ">p99", ">served", ">failed")
    for row in rows:
        style = _ROLE_STYLES[row.role]
        table.add_row(
            Text.assemble((row.version, style), (f" {row.role}", "dim")),
            Text.assemble((bar(row.weight, width), style), f" {row.weight:3} %"),
            f"{row.rate:.0f}" if row.lately.requests else "",
            _success(row.lately),
            "" if row.lately.p99 is None else f"{1000 * row.lately.p99:.0f} ms",
            str(row.overall.served),
            Text(str(row.overall.failed), "bold red" if row.overall.failed else ""),
        )
    return table


def bar(percent: int, width: int) -> str:
    """A bar of that many hundredths of a width; the rest is there too, but empty."""
    full, part = divmod(round(width * 8 * percent / 100), 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width, "░")


def _success(load: Load) -> Text:
    if load.success is None:
        return Text("")
    return Text(f"{load.success:.1f} %", "green" if load.success >= _GOOD_SUCCESS else "bold red")


def _checks(checks: Iterable[Check]) -> Table:
    table = _table("check", "", ">value", "asked for", "", yields=True)
    for check in checks:
        sign, style = _VERDICTS.get(check.verdict, ("?", "yellow"))
        why = "" if check.verdict == "Pass" else check.message.removeprefix(f"{check.name} ")
        verdict = Text(f"{sign} {check.verdict}", style)
        table.add_row(check.name, verdict, value_of(check), check.threshold, _line(why, "dim"))
    return table


def _events(frame: Frame) -> Table:
    table = _table("", "", yields=True)
    for event in frame.events:
        table.add_row(Text(f"{event.at:3.0f} s", "dim"), _line(event.text, "yellow" if event.warning else ""))
    return table
