"""What a rollout came to, for pipelines: as Markdown, or as JUnit's XML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from canary.cli.cluster.view import Check, View, checks_of, number, span, time_of
from canary.cli.failures import FAILED, CommandError
from canary.kube.types import Json, items, mapping

_GOOD: Final = ("Promoted", "PromotedUnchecked")
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS: Final = {"Pass": "✓", "Fail": "✗"}


@dataclass(frozen=True, slots=True)
class Report:
    """One rollout.

    Args:
        place: NAMESPACE/NAME of the Canary.
        target: KIND/NAME of what was rolled out.
        revision: which revision.
        outcome: how it ended; its phase while it is under way.
        cause: why, in words.
        started: when it began.
        ended: when it ended; None while it is under way.
        weight: the most that the canary has had of the requests, in percent.
        images: the image of each container.
        changes: in what it differed from what was promoted.
        checks: what was measured, as far as it is kept.
    """

    place: str
    target: str
    revision: str
    outcome: str
    cause: str
    started: datetime | None
    ended: datetime | None
    weight: int
    images: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def is_good(self) -> bool:
        """Whether its version was promoted, or may be."""
        return self.under_way or self.outcome in _GOOD

    def data(self) -> Json:
        """It for programs."""
        return {
            "canary": self.place,
            "target": self.target,
            "revision": self.revision,
            "outcome": self.outcome,
            "underWay": self.under_way,
            "cause": self.cause,
            "started": self.started.isoformat() if self.started else None,
            "ended": self.ended.isoformat() if self.ended else None,
            "highestWeight": self.weight,
            "images": dict(self.images),
            "changes": list(self.changes),
            "checks": [
                {"name": each.name, "verdict": each.verdict, "value": each.value, "threshold": each.threshold}
                | {"message": each.message}
                for each in self.checks
            ],
        }


def report(view: View, revision: str = "") -> Report:
    """The rollout that is under way, or else the last one; or the last one of a revision.

    Raises:
        CommandError: there is none, as far as the status has them.
    """
    found = [view.rollout] if view.rollout else []
    found += items(view.status.get("history"))
    chosen = next((each for each in found if revision in ("", str(each.get("revision") or ""))), None)
    if chosen is None:
        of = f" of revision {revision}" if revision else ""
        raise CommandError(f"{view.namespace}/{view.name}: its status has no rollout{of}", code=FAILED)
    ended = time_of(chosen.get("ended"))
    checks = checks_of(chosen.get("checks"))
    if not checks and chosen is found[0]:
        checks = view.checks
    weight, changes = chosen.get("highestWeight"), chosen.get("changes")
    return Report(
        place=f"{view.namespace}/{view.name}",
        target=view.target,
        revision=str(chosen.get("revision") or ""),
        outcome=str(chosen.get("outcome") or "") or (view.phase if ended is None else "?"),
        cause=str(chosen.get("cause") or "") if ended else view.message,
        started=time_of(chosen.get("started")),
        ended=ended,
        weight=weight if isinstance(weight, int) else 0,
        images=tuple((str(name), str(image)) for name, image in mapping(chosen.get("images")).items()),
        changes=tuple(map(str, changes)) if isinstance(changes, list) else (),
        checks=checks,
    )


def markdown(told: Report) -> Iterator[str]:
    """As Markdown, such as for the summary of a job."""
    mark = "…" if told.under_way else "✓" if told.is_good else "✗"
    yield f"## {mark} {_cell(told.place)}: {_cell(told.outcome)}"
    yield ""
    if told.cause:
        yield _cell(told.cause)
        yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in _facts(told):
        yield f"| {name} | {_cell(value)} |"
    if told.checks:
        yield ""
        yield "| check | verdict | value | wanted | in words |"
        yield "|---|---|---|---|---|"
    for each in told.checks:
        value = number(each.value) if each.value is not None else "-"
        verdict = f"{_MARKS.get(each.verdict, '?')} {each.verdict}"
        yield f"| {_cell(each.name)} | {verdict} | {value} | {_cell(each.threshold) or '-'} | {_cell(each.message)} |"


def _facts(told: Report) -> Iterator[tuple[str, str]]:
    yield "target", told.target
    yield "revision", told.revision
    yield from ((f"image of {name}", image) for name, image in told.images)
    if told.changes:
        yield "changed", ", ".join(told.changes)
    if told.started:
        yield "began", told.started.strftime("%Y-%m-%d %H:%M:%SZ")
    if told.ended:
        yield "ended", told.ended.strftime("%Y-%m-%d %H:%M:%SZ")
    if told.started and told.ended:
        yield "took", span((told.ended - told.started).total_seconds())
    yield "highest weight", f"{told.weight}%"


def _cell(text: str) -> str:
    """A text within a table, in which nothing of it is Markdown."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", plain)


def junit(told: Report) -> str:
    """As JUnit's XML: a case for the rollout, and one for each check."""
    took = (told.ended - told.started).total_seconds() if told.started and told.ended else 0.0
    name = f"canary {told.place}"
    failed = sum(each.verdict == "Fail" for each in told.checks) + (not told.is_good)
    skipped = sum(each.verdict not in ("Pass", "Fail") for each in told.checks) + told.under_way
    counts = {"tests": str(len(told.checks) + 1), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    suites = ET.Element("testsuites", {"name": "canary", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": _text(name), **counts, "time": f"{took:.3f}"})
    if told.started:
        suite.set("timestamp", told.started.strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ET.SubElement(suite, "properties")
    for fact, value in _facts(told):
        ET.SubElement(properties, "property", {"name": _text(fact), "value": _text(value)})
    whole = ET.SubElement(
        suite, "testcase", {"classname": _text(name), "name": f"rollout {_text(told.revision)}", "time": f"{took:.3f}"}
    )
    if told.under_way:
        ET.SubElement(whole, "skipped", {"message": _text(f"{told.outcome}: {told.cause}".rstrip(": "))})
    elif not told.is_good:
        ET.SubElement(whole, "failure", {"message": _text(told.outcome)}).text = _text(told.cause)
    for each in told.checks:
        case = ET.SubElement(suite, "testcase", {"classname": _text(name), "name": _text(each.name)})
        if each.verdict == "Fail":
            ET.SubElement(case, "failure", {"message": _text(each.message or "failed")}).text = _text(each.query)
        elif each.verdict != "Pass":
            ET.SubElement(case, "skipped", {"message": _text(f"{each.verdict}: {each.message}")})
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False)


def _text(text: str) -> str:
    """A text without the characters that XML has no way to write."""
    return _NO_XML.sub("?", text)
