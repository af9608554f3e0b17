"""Alerts: find out who is to be told of one, and tell them."""

import asyncio
import traceback
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from canary.alerts.alert import Alert as Message
from canary.alerts.alert import Destination, Misconfigured, alert_about, destination, recipients
from canary.alerts.send import NotSent, Outcome, Sender, Sent
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
"""How long an alert may take to go out, to all messengers and with all tries."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A messenger that has not taken an alert.

    Args:
        rules: the names that the spec gives to the alerts that it tells; empty for the controller's own messengers.
        reason: why, in words, without secrets.
        passing: whether a later try may do better.
    """

    rules: tuple[str, ...]
    reason: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far an alert has come.

    Args:
        sent: how many messengers have taken it.
        missed: those that have not.
    """

    sent: int
    missed: tuple[Missed, ...] = ()

    @property
    def done(self) -> bool:
        """Whether it is not to be sent again: somebody has it, who would be told twice, or nobody ever will."""
        return self.sent > 0 or not any(each.passing for each in self.missed)


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

    def anybody(self, canary: Canary, alert: Alert) -> bool:
        """Whether anybody wants to hear of it."""
        told = recipients(canary, alert.severity)
        return bool(told.providers or (told.default and self._options.messengers))

    async def send(self, canary: Canary, alert: Alert) -> Delivery:
        """Tell those who want to hear of it, side by side, within `DEADLINE`; never raises for outside trouble.

        What keeps one of them from hearing goes into the log, and keeps none of the others.
        """
        told = recipients(canary, alert.severity)
        message = alert_about(
            canary,
            alert.message,
            alert.severity,
            cluster=self._options.cluster,
            details=alert.details,
            checks=canary.status.checks,
        )
        messengers = self._options.messengers if told.default else ()
        outcomes = await asyncio.gather(
            *(self._provider(canary, ref, message) for ref in told.providers),
            *(self._deliver(each, message) for each in messengers),
        )
        rules = (*(names_of(canary, ref) for ref in told.providers), *(() for _ in messengers))
        missed = tuple(_missed(outcomes, rules))
        for each in missed:
            log.error(
                "alert can't be sent",
                canary=canary.key,
                alert=alert.message,
                rules=list(each.rules),
                reason=each.reason,
            )
        return Delivery(sum(isinstance(each, Sent) for each in outcomes), missed)

    async def _provider(self, canary: Canary, ref: NamespacedName, message: Message) -> Outcome:
        """Tell an AlertProvider."""
        return await _in_time(self._find_and_deliver(canary, ref, message))

    async def _deliver(self, to: Destination, message: Message) -> Outcome:
        """Tell one of the controller's own messengers."""
        return await _in_time(self._sender.send(message, to))

    async def _find_and_deliver(self, canary: Canary, ref: NamespacedName, message: Message) -> Outcome:
        found = await self._destination(canary, ref)
        return await self._sender.send(message, found) if isinstance(found, Destination) else found

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


def _missed(outcomes: Sequence[Outcome], rules: Sequence[tuple[str, ...]]) -> Iterator[Missed]:
    for outcome, names in zip(outcomes, rules, strict=True):
        if not isinstance(outcome, Sent):
            yield Missed(names, outcome.reason, isinstance(outcome, NotSent) and outcome.passing)


def names_of(canary: Canary, ref: NamespacedName) -> tuple[str, ...]:
    """The names that a spec gives to the alerts that an AlertProvider tells."""
    return tuple(
        rule.name
        for rule in canary.analysis.alerts
        if rule.provider_ref.name == ref.name
        and (rule.provider_ref.namespace or canary.namespace) == (ref.namespace or canary.namespace)
    )
