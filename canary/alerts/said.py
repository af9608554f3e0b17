"""What an alert says of a Canary."""

from collections.abc import Sequence
from datetime import timedelta

from canary.alerts.alert import Alert, Field
from canary.api.analysis import Severity
from canary.api.canary import Canary, Strategy
from canary.api.meta import format_time
from canary.api.status import CheckStatus, Verdict

LONGEST_TEXT = 2000
"""Characters of an alert's text at most: what the tightest of the messengers takes."""

LONGEST_VALUE = 500
"""Characters of a field's value at most."""

MOST_CHECKS = 12
"""Checks that an alert tells of at most; with what stands beside them they are no more fields than messengers take."""


def alert_about(
    canary: Canary,
    text: str,
    severity: Severity,
    *,
    cluster: str = "",
    details: bool = False,
    checks: Sequence[CheckStatus] = (),
) -> Alert:
    """Return an alert about a Canary.

    Args:
        canary: the Canary.
        text: what has happened.
        severity: how grave it is.
        cluster: name of the cluster, empty to leave it out.
        details: whether target, threshold, deadline and routing go with it.
        checks: the last verdicts; those that failed, or could not be had, go with it.
    """
    fields = [Field("Cluster", cluster)] if cluster else []
    if details:
        fields += details_of(canary)
    left = [check for check in checks if check.verdict is not Verdict.PASS]
    # Of too many, what has failed goes before what could not be had.
    too_many = len(left) > MOST_CHECKS
    told = sorted(left, key=lambda check: check.verdict is not Verdict.FAIL)[:MOST_CHECKS] if too_many else left
    fields += [Field(check.name, in_words(check)) for check in told]
    if len(left) > len(told):
        fields.append(Field("More checks", f"{len(left) - len(told)} that did not pass"))
    return Alert(
        name=canary.metadata.name,
        namespace=canary.metadata.namespace,
        text=cut(text, LONGEST_TEXT),
        severity=severity,
        fields=tuple(Field(each.name, cut(each.value, LONGEST_VALUE)) for each in fields),
        cluster=cluster,
        phase=canary.status.phase.value,
        kind=canary.spec.target_ref.kind,
        target=canary.spec.target_ref.name,
        checks=tuple(
            check.replace(message=cut(check.message, LONGEST_VALUE), query=cut(check.query, LONGEST_VALUE))
            for check in told
        ),
    )


def details_of(canary: Canary) -> list[Field]:
    """Return the facts about a Canary that go with the alerts of its beginnings and ends."""
    target = canary.spec.target_ref
    fields = [
        Field("Target", f"{target.kind}/{target.name}.{canary.metadata.namespace}"),
        Field("Failed checks threshold", str(canary.threshold)),
        Field("Progress deadline", f"{canary.progress_deadline / timedelta(seconds=1):g}s"),
    ]
    routing = _routing(canary)
    return [*fields, Field("Traffic routing", routing)] if routing else fields


def _routing(canary: Canary) -> str:
    analysis = canary.analysis
    match canary.strategy:
        case Strategy.AB_TESTING:
            return "A/B Testing"
        case Strategy.BLUE_GREEN:
            return "Blue/Green"
        case Strategy.CANARY if analysis.steps:
            return f"Steps: {', '.join(map(str, analysis.steps))}"
        case Strategy.CANARY if analysis.step_weight > 0:
            return f"Weight step: {analysis.step_weight} max: {canary.max_weight}"
        case Strategy.CANARY if analysis.step_weights:
            return f"Weight steps: {','.join(map(str, analysis.step_weights))} max: {canary.max_weight}"
        case _:
            return ""


def in_words(check: CheckStatus) -> str:
    """Return a verdict with all it rests on: its number, the limit, how much was counted, since when, cause, query."""
    parts = [check.verdict.value]
    if check.value is not None:
        parts.append(f"{check.value:g}")
    if check.threshold:
        parts.append(f"against {check.threshold}")
    if check.samples is not None and check.samples > 1:
        parts.append(f"({check.samples} samples)")
    if check.since is not None:
        parts.append(f"since {format_time(check.since)}")
    words = " ".join(parts)
    if check.message:
        words += f": {check.message}"
    # A query may be written over several lines.
    return f"{words}; asked: {' '.join(check.query.split())}" if check.query else words


def cut(text: str, longest: int) -> str:
    """Return a text of so many characters at most, with a mark where it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
