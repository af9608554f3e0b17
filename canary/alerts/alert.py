"""Alerts and where they go, as values; who is told of what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from canary.api.alertprovider import APPRISE, WEBHOOK, AlertProvider
from canary.api.analysis import Alert as AlertRule
from canary.api.analysis import Severity
from canary.api.canary import Canary
from canary.api.meta import NamespacedName
from canary.api.status import CheckStatus
from outbound import access
from outbound.message import Headers
from outbound.tls import USUAL, Tls

Json: TypeAlias = dict[str, Any]
Body: TypeAlias = Json | list[Any] | str

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
class Link:
    """A page that tells more.

    Args:
        name: the words to be clicked.
        url: its address.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A message for people.

    Args:
        name: name of the Canary.
        namespace: its namespace.
        text: what has happened.
        severity: how grave it is.
        fields: facts that go with it, in order.
        links: pages that tell more, in order.
        cluster: name of the cluster; empty where it has none.
        phase: the phase that it led to.
        kind: kind of what is rolled out.
        target: its name.
        checks: the verdicts that are among the facts.
    """

    name: str
    namespace: str
    text: str
    severity: Severity
    fields: tuple[Field, ...] = ()
    links: tuple[Link, ...] = ()
    cluster: str = ""
    phase: str = ""
    kind: str = ""
    target: str = ""
    checks: tuple[CheckStatus, ...] = ()

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
        headers: further headers; secrets.
        body: template of what is sent, empty for the messenger's own form.
        secrets: what that template may call by name.
        tls: whom the connection trusts, and by which certificate it shows itself.
    """

    type: str
    address: str = field(repr=False)
    token: str = field(default="", repr=False)
    username: str = DEFAULT_USERNAME
    channel: str = ""
    proxy: str = field(default="", repr=False)
    headers: Headers = field(default=(), repr=False)
    body: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = USUAL


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP POST that hands an alert to a messenger.

    Args:
        address: where to; a secret.
        body: what; sent as JSON where it is no text.
        token: bearer token, empty for none; a secret.
        proxy: address of the proxy to go through, empty for none.
        headers: further headers, which go before those that are usual; secrets.
        secrets: what else of it may not be told.
        tls: whom the connection trusts, and by which certificate it shows itself.
    """

    address: str = field(repr=False)
    body: Body = field(repr=False)
    token: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)
    headers: Headers = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    tls: Tls = USUAL


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
    told = (_provider(rule, canary) for rule in rules if _asks_for(rule, severity))
    # Two rules may name one provider: it is told once.
    return Recipients(default=False, providers=tuple(dict.fromkeys(told)))


def links_for(canary: Canary, provider: NamespacedName, severity: Severity) -> dict[str, str]:
    """Return the links, as templates, that go with what an AlertProvider is told of that severity."""
    links: dict[str, str] = {}
    for rule in canary.analysis.alerts:
        if _provider(rule, canary) == provider and _asks_for(rule, severity):
            links |= rule.links
    return links


def _asks_for(rule: AlertRule, severity: Severity) -> bool:
    return _GRAVITY[severity] >= _GRAVITY[rule.severity]


def _provider(rule: AlertRule, canary: Canary) -> NamespacedName:
    reference = rule.provider_ref
    return NamespacedName(name=reference.name, namespace=reference.namespace or canary.metadata.namespace)


# --- How they are reached ----------------------------------------------------------------------------------------

CALLABLE = "body."
"""What the keys of a Secret begin with whose values a template may call by name.

No other key can be called: else whoever may write an AlertProvider could have any Secret of its namespace sent away.
"""


def destination(provider: AlertProvider, secret: Mapping[str, str] | None) -> Destination | Misconfigured:
    """Return how to reach an AlertProvider.

    Args:
        provider: the AlertProvider.
        secret: decoded contents of the Secret that it names; None where it names none, or the Secret isn't
            there. Its address goes before the provider's own.
    """
    spec = provider.spec
    if spec.secret_ref is not None and secret is None:
        return Misconfigured(f"its Secret {spec.secret_ref.name} does not exist")
    # Whoever writes a Secret by hand easily leaves a newline at the end.
    known = {key: value.strip() for key, value in (secret or {}).items()}
    if spec.secret_ref is not None and "address" not in known and not spec.address:
        return Misconfigured(f"its Secret {spec.secret_ref.name} has no address, and neither has spec.address")
    address = known.get("address") or spec.address
    if not address:
        return Misconfigured("it has neither address nor secretRef")
    headers = tuple((name, value) for name, values in spec.headers.items() for value in values)
    way, _ = access.unfold(known)
    return Destination(
        type=spec.type,
        address=address,
        token=known.get("token", ""),
        username=spec.username or DEFAULT_USERNAME,
        channel=spec.channel or ("" if spec.type in (WEBHOOK, APPRISE) else DEFAULT_CHANNEL),
        proxy=way.proxy or spec.proxy,
        headers=(*headers, *way.headers),
        body=spec.body,
        secrets={
            key.removeprefix(CALLABLE): value
            for key, value in known.items()
            if key.startswith(CALLABLE) or (key == "urls" and spec.type == APPRISE)
        },
        tls=way.tls,
    )
