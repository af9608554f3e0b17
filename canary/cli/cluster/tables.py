"""Tables as kubectl prints them, and data for programs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from canary.cli.cluster.view import View, number, span
from canary.cli.cluster.waits import waits_for
from canary.kube.types import Json

_GAP: Final = "   "
_NOTHING: Final = "-"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side; the last is as long as it is."""
    cells = [[*headings], *([_one_line(cell) or _NOTHING for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def canaries(views: Sequence[View], now: datetime, *, everywhere: bool, wide: bool) -> list[str]:
    """The table of `canary get`."""
    headings = ["NAME", "STATUS", "WEIGHT", "STEP", "FAILED", "SINCE"]
    headings = (["NAMESPACE", *headings] if everywhere else headings) + (
        ["TARGET", "PROVIDER", "INTERVAL", "REVISION", "REASON"] if wide else []
    )
    rows = [_row(view, now, everywhere=everywhere, wide=wide) for view in views]
    return table([*headings, "WAITS FOR"], rows)


def _row(view: View, now: datetime, *, everywhere: bool, wide: bool) -> list[str]:
    row = [view.namespace] if everywhere else []
    row += [view.name, view.phase, f"{view.weight}%", step(view), failed(view), since(view, now)]
    if wide:
        provider, interval = str(view.spec.get("provider") or ""), str(view.analysis.get("interval") or "")
        row += [view.target, provider, interval, str(view.status.get("lastAppliedSpec") or ""), view.reason]
    return [*row, waits_for(view, now)]


def step(view: View) -> str:
    """Which step of how many; empty at rest."""
    return f"{view.step}/{view.steps}" if view.steps and not view.resting else ""


def failed(view: View) -> str:
    """Failed checks of how many that are allowed."""
    return f"{view.failed}/{view.threshold}" if view.threshold else str(view.failed)


def since(view: View, now: datetime) -> str:
    """For how long it has stood where it does."""
    return span((now - view.since).total_seconds()) if view.since else ""


def checks(view: View, now: datetime) -> list[str]:
    """The table of what was measured."""
    rows = [
        (
            each.name,
            each.verdict,
            number(each.value) if each.value is not None else "",
            each.threshold,
            f"{span((now - each.time).total_seconds())} ago" if each.time else "",
            each.message,
        )
        for each in view.checks
    ]
    return table(("CHECK", "VERDICT", "VALUE", "WANTED", "ASKED", "IN WORDS"), rows)


def history(view: View) -> list[str]:
    """The table of `canary history`."""
    rows = []
    for each in view.history:
        ended, started = each.ended, each.started
        took = span((ended - started).total_seconds()) if ended and started else ""
        when = ended.strftime("%Y-%m-%d %H:%M:%SZ") if ended else ""
        rows.append((when, each.outcome, each.revision, took, f"{each.weight}%", ", ".join(each.changes), each.cause))
    return table(("ENDED", "OUTCOME", "REVISION", "TOOK", "HIGHEST", "CHANGED", "CAUSE"), rows)


def listed(objects: Sequence[Json]) -> Json:
    """Several objects as one, as kubectl gives them."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [*objects]}


def written(data: object, form: str) -> str:
    """Data as JSON or YAML, as kubectl writes it: managed fields are left out."""
    if form == "json":
        return json.dumps(data, indent=4, ensure_ascii=False)
    import yaml  # noqa: PLC0415 - JSON has no need of it

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")


def bare(raw: Json) -> Json:
    """An object without what only machines read."""
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    return {**raw, "metadata": metadata}
