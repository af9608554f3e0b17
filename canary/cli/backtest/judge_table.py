"""What the judge would have done, for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from canary.cli.backtest.columns import columns, percent
from canary.cli.backtest.pretend import By, Healthy, Judged, Worse
from canary.cli.backtest.report import Report
from canary.cli.backtest.when import written

HOW = {
    By.REQUESTS: "each request goes by chance",
    By.TIME: "each stretch of time goes by chance",
}


def judge_lines(report: Report) -> Iterator[str]:
    """The part of the report about comparisons; empty where the spec compares nothing."""
    if report.judged is None and not report.not_judged:
        return
    yield "WHAT THE JUDGE WOULD HAVE DONE"
    if report.judged is None:
        yield f"Not known: {report.not_judged}."
        return
    yield from _judged(report.judged)


def _judged(judged: Judged) -> Iterator[str]:
    yield (
        f"{judged.metric}, compared at looks of {written(judged.look)}: {percent(judged.rate)} of "
        f"{judged.per_second:.3g} requests a second failed; the spec tolerates {percent(judged.tolerance)} more, and "
        f"{percent(judged.promise)} of healthy rollouts taken back."
    )
    same = (
        "THE SAME VERSION AS CANARY AND PRIMARY",
        "ROLLED BACK",
        "95 % INTERVAL",
        "PROMOTED IN",
        "WITHOUT ENOUGH REQUESTS",
    )
    yield from columns([same, *(_healthy(each) for each in judged.healthy)], right=frozenset(range(1, 5)))
    yield ""
    worse = ("A CANARY THAT FAILS", "FOUND", "AFTER", "WITH FAILED REQUESTS")
    yield from columns([worse, *(_worse(judged, each) for each in judged.worse)], right=frozenset(range(1, 4)))
    kept = all(each.least <= judged.promise for each in judged.healthy)
    yield (
        "The truth lies between the two ways of dividing. "
        + ("The promise is kept." if kept else "The promise is missed: failures come in bursts; widen tolerance.")
    )


def _healthy(found: Healthy) -> Sequence[str]:
    return (
        HOW[found.by],
        f"{found.rolled_back} of {found.rollouts} ({percent(found.share)})",
        f"{percent(found.least)} to {percent(found.most)}",
        _length(found.seconds),
        str(found.starved),
    )


def _worse(judged: Judged, found: Worse) -> Sequence[str]:
    more = min(1.0, found.more + judged.tolerance)
    return (
        "all of its requests" if more == 1 else f"{percent(more)} more",
        percent(found.found / found.rollouts),
        _length(found.seconds),
        "-" if found.bad is None else f"{found.bad:.0f}",
    )


def _length(seconds: float | None) -> str:
    return "-" if seconds is None else written(timedelta(seconds=round(seconds)))
