"""Alerts: find out who is to be told of one, and tell them."""

import asyncio
import traceback
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import structlog

from canary.alerts.alert import Alert as Message
from canary.alerts.alert import Destination, Misconfigured, destination, links_for, recipients
from canary.alerts.said import alert_about
from canary.alerts.send import NotSent, Outcome, Sender, Sent
from canary.alerts.templates import with_links
from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import Canary
from canary.api.meta import NamespacedName
from canary.api.problems import InvalidResource
from canary.controller.ask.secrets import read_secret
from canary.controller.observe.caches import Caches, Freshness
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Retryable
from canary.kube.types import ALERT_PROVIDER
from canary.rollout.decision import Alert

log = structlog.get_logger(__name__)


DEADLINE = timedelta(seconds=30)
"""How long an alert may take to reach a messenger, with the tries that follow each other at once."""

Addressee: TypeAlias = NamespacedName | Destination
"""Who is told: an AlertProvider, or one of the controller's own messengers."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A messenger that has not taken an alert.

    Args:
        who: which one.
        rules: the names that the spec gives to the alerts that it tells; empty for the controller's own messengers.
        reason: why, in words, without secrets.
        passing: whether a later try may do better.
        rest: for how long it asks to be left alone.
    """

    who: Addressee
    rules: tuple[str, ...]
    reason: str
    passing: bool
    rest: timedelta = timedelta(0)

    @property
    def name(self) -> str:
        """Who it is, in words without secrets."""
        return name_of(self.who)


def name_of(who: Addressee) -> str:
    """Who is told, in words without secrets."""
    return f"AlertProvider {who.name}" if isinstance(who, NamespacedName) else who.type


class Alerter:
    """Sends alerts.

    Args:
        client: where the Secrets of AlertProviders are read.
        caches: where AlertProviders are known.
        sender: connections to messengers.
        options: the controller's settings, and who is told of Canaries that name nobody.
    """

    def __init__(self, client: KubeClient, caches: Caches, sender: Sender, options: Options) -> None:
        self._client = client
        self._caches = caches
        self._sender = sender
        self._options = options

    def addressees(self, canary: Canary, alert: Alert) -> tuple[Addressee, ...]:
        """Who wants to hear of it."""
        told = recipients(canary, alert.severity)
        return self._options.messengers if told.default else told.providers

    async def send(self, canary: Canary, alert: Alert, who: Addressee) -> Missed | None:
        """Tell one of them, within `DEADLINE`; None where it has it. Never raises for outside trouble.

        What keeps it from hearing goes into the log.
        """
        message = alert_about(
            canary,
            alert.message,
            alert.severity,
            cluster=self._options.cluster,
            details=alert.details,
            checks=canary.status.checks,
        )
        outcome = await _in_time(self._tell(canary, alert, message, who))
        if isinstance(outcome, Sent):
            return None
        missed = _missed(canary, who, outcome)
        log.error(
            "alert can't be sent",
            canary=canary.key,
            alert=alert.message,
            rules=list(missed.rules),
            reason=missed.reason,
        )
        return missed

    async def _tell(self, canary: Canary, alert: Alert, message: Message, who: Addressee) -> Outcome:
        if isinstance(who, Destination):
            return await self._sender.send(with_links(message, self._options.links), who)
        found = await self._destination(canary, who)
        if not isinstance(found, Destination):
            return found
        links = {**self._options.links, **links_for(canary, who, alert.severity)}
        return await self._sender.send(with_links(message, links), found)

    async def _destination(self, canary: Canary, ref: NamespacedName) -> Destination | Misconfigured | NotSent:
        namespace = ref.namespace or canary.namespace
        who = f"AlertProvider {ref.name} in {namespace}"
        if namespace != canary.namespace and not self._options.cross_namespace_refs:
            return Misconfigured(f"{who}: references to other namespaces are switched off")
        raw = self._caches.get(ALERT_PROVIDER, namespace, ref.name)
        if raw is None:
            why = self._caches.why_missing(ALERT_PROVIDER)
            stale = self._caches.state(ALERT_PROVIDER).freshness is Freshness.STALE
            return NotSent(f"{who} {why}", passing=True) if stale else Misconfigured(f"{who} {why}")
        try:
            provider = parse_alert_provider(raw)
            secret = provider.spec.secret_ref
            contents = await read_secret(self._client, namespace, secret.name) if secret is not None else None
        except Retryable as error:
            return NotSent(f"{who}: {error}", passing=True)
        except (InvalidResource, KubeError) as error:
            return Misconfigured(f"{who}: {error}")
        return destination(provider, contents)


async def _in_time(sending: Coroutine[None, None, Outcome]) -> Outcome:
    """What came of telling one messenger; a bug of ours there keeps none of the others from hearing."""
    try:
        async with asyncio.timeout(DEADLINE.total_seconds()):
            return await sending
    except TimeoutError:
        return NotSent(f"not within {DEADLINE.total_seconds():g}s", passing=True)
    except Exception as error:  # noqa: BLE001 - told below, without its words: they may hold an address or a token
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "telling a messenger failed by a bug", error=type(error).__name__, at=f"{where.filename}:{where.lineno}"
        )
        return NotSent(f"internal error: {type(error).__name__}")


def _missed(canary: Canary, who: Addressee, outcome: NotSent | Misconfigured) -> Missed:
    rules = names_of(canary, who) if isinstance(who, NamespacedName) else ()
    if isinstance(outcome, NotSent):
        return Missed(who, rules, outcome.reason, outcome.passing, outcome.rest)
    return Missed(who, rules, outcome.reason, passing=False)


def names_of(canary: Canary, ref: NamespacedName) -> tuple[str, ...]:
    """The names that a spec gives to the alerts that an AlertProvider tells."""
    return tuple(
        rule.name
        for rule in canary.analysis.alerts
        if rule.provider_ref.name == ref.name
        and (rule.provider_ref.namespace or canary.namespace) == (ref.namespace or canary.namespace)
    )
