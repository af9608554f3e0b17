"""Alerts and where they go, as values; who is told of what, and what is said of a Canary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from canary.api.alertprovider import AlertProvider
from canary.api.analysis import Alert as AlertRule
from canary.api.analysis import Severity
from canary.api.canary import Canary, Strategy
from canary.api.meta import NamespacedName
from canary.api.status import CheckStatus, Verdict

Json: TypeAlias = dict[str, Any]

LONGEST_TEXT = 2000
"""Characters of an alert's text at most: what the tightest of the messengers takes."""

LONGEST_VALUE = 500
"""Characters of a field's value at most."""

DEFAULT_USERNAME = "flagger"
DEFAULT_CHANNEL = "general"


@dataclass(frozen=True, slots=True)
class Field:
    """A fact that goes with an alert.

    Args:
        name: what it is.
        value: what it is now.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A message for people.

    Args:
        name: name of the Canary.
        namespace: its namespace.
        text: what has happened.
        severity: how grave it is.
        fields: facts that go with it, in order.
    """

    name: str
    namespace: str
    text: str
    severity: Severity
    fields: tuple[Field, ...] = ()

    @property
    def canary(self) -> str:
        """The Canary in one word, `name.namespace`."""
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class Destination:
    """A messenger and how to reach it.

    Args:
        type: kind of messenger, a key of the registry.
        address: address of its hook; a secret, since whoever knows it may post.
        token: token of a bot, empty where the address alone is enough.
        username: name that messages come from, empty for the messenger's own.
        channel: channel that messages go to, empty for the messenger's own.
        proxy: address of the proxy to go through, empty for none.
    """

    type: str
    address: str = field(repr=False)
    token: str = field(default="", repr=False)
    username: str = DEFAULT_USERNAME
    channel: str = ""
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP POST that hands an alert to a messenger.

    Args:
        address: where to; a secret.
        body: what, to be sent as JSON.
        token: bearer token, empty for none; a secret.
        proxy: address of the proxy to go through, empty for none.
    """

    address: str = field(repr=False)
    body: Json
    token: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """A messenger that can't be reached as it is described.

    Args:
        reason: why, in words that tell what to change.
    """

    reason: str


# --- Who is told -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who is told of an alert.

    Args:
        default: whether those for all Canaries are: they are when the Canary has no alerts of its own.
        providers: the AlertProviders that are, each with its namespace.
    """

    default: bool
    providers: tuple[NamespacedName, ...] = ()


_GRAVITY: Mapping[Severity, int] = {Severity.INFO: 0, Severity.WARN: 1, Severity.ERROR: 2}


def recipients(canary: Canary, severity: Severity) -> Recipients:
    """Return who is told of an alert of that severity: those who asked for it, or for less grave ones too."""
    rules = canary.analysis.alerts
    if not rules:
        return Recipients(default=True)
    told = (rule for rule in rules if _GRAVITY[severity] >= _GRAVITY[rule.severity])
    # Two rules may name one provider: it is told once.
    return Recipients(default=False, providers=tuple(dict.fromkeys(_provider(rule, canary) for rule in told)))


def _provider(rule: AlertRule, canary: Canary) -> NamespacedName:
    reference = rule.provider_ref
    return NamespacedName(name=reference.name, namespace=reference.namespace or canary.metadata.namespace)


def destination(provider: AlertProvider, secret: Mapping[str, str] | None) -> Destination | Misconfigured:
    """Return how to reach an AlertProvider.

    Args:
        provider: the AlertProvider.
        secret: decoded contents of the Secret that it names; None where it names none, or the Secret isn't
            there. Its address goes before the provider's own.
    """
    spec = provider.spec
    address, token = spec.address, ""
    if spec.secret_ref is not None:
        if secret is None:
            return Misconfigured(f"its Secret {spec.secret_ref.name} does not exist")
        if "address" not in secret:
            return Misconfigured(f"its Secret {spec.secret_ref.name} has no address")
        # Whoever writes a Secret by hand easily leaves a newline at the end.
        address, token = secret["address"].strip(), secret.get("token", "").strip()
    if not address:
        return Misconfigured("it has neither address nor secretRef")
    return Destination(
        type=spec.type,
        address=address,
        token=token,
        username=spec.username or DEFAULT_USERNAME,
        channel=spec.channel or DEFAULT_CHANNEL,
        proxy=spec.proxy,
    )


# --- What is said ----------------------------------------------------------------------------------------------


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
    fields += [_check_field(check) for check in checks if check.verdict is not Verdict.PASS]
    return Alert(
        name=canary.metadata.name,
        namespace=canary.metadata.namespace,
        text=cut(text, LONGEST_TEXT),
        severity=severity,
        fields=tuple(Field(each.name, cut(each.value, LONGEST_VALUE)) for each in fields),
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
        case Strategy.CANARY if analysis.step_weight > 0:
            return f"Weight step: {analysis.step_weight} max: {canary.max_weight}"
        case Strategy.CANARY if analysis.step_weights:
            return f"Weight steps: {','.join(map(str, analysis.step_weights))} max: {canary.max_weight}"
        case _:
            return ""


def _check_field(check: CheckStatus) -> Field:
    parts = [check.verdict.value]
    if check.value is not None:
        parts.append(f"{check.value:g}")
    if check.threshold:
        parts.append(f"against {check.threshold}")
    words = " ".join(parts)
    return Field(check.name, f"{words}: {check.message}" if check.message else words)


def cut(text: str, longest: int) -> str:
    """Return a text of so many characters at most, with a mark where it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
