"""Alerts: find out who is to be told of one, and tell them."""

import structlog

from canary.alerts.alert import Destination, Misconfigured, alert_about, destination, recipients
from canary.alerts.send import NotSent, Sender
from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import Canary
from canary.api.meta import NamespacedName
from canary.api.problems import InvalidResource
from canary.controller.ask.secrets import read_secret
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.types import ALERT_PROVIDER
from canary.rollout.decision import Alert

log = structlog.get_logger(__name__)


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

    async def send(self, canary: Canary, alert: Alert) -> None:
        """Tell those who want to hear of it; what keeps one of them from hearing goes into the log."""
        told = recipients(canary, alert.severity)
        message = alert_about(
            canary,
            alert.message,
            alert.severity,
            cluster=self._options.cluster,
            details=alert.details,
            checks=canary.status.checks,
        )
        found = [(await self._destination(canary, ref), names_of(canary, ref)) for ref in told.providers]
        if told.default:
            found += [(messenger, []) for messenger in self._options.messengers]
        for each, rules in found:
            outcome = each if isinstance(each, Misconfigured) else await self._sender.send(message, each)
            if isinstance(outcome, NotSent | Misconfigured):
                reason = outcome.reason
                log.error("alert can't be sent", canary=canary.key, alert=alert.message, rules=rules, reason=reason)

    async def _destination(self, canary: Canary, ref: NamespacedName) -> Destination | Misconfigured:
        namespace = ref.namespace or canary.namespace
        who = f"AlertProvider {ref.name} in {namespace}"
        if namespace != canary.namespace and not self._options.cross_namespace_refs:
            return Misconfigured(f"{who}: references to other namespaces are switched off")
        raw = self._caches.get(ALERT_PROVIDER, namespace, ref.name)
        if raw is None:
            return Misconfigured(f"{who} does not exist")
        try:
            provider = parse_alert_provider(raw)
            secret = provider.spec.secret_ref
            contents = await read_secret(self._client, namespace, secret.name) if secret is not None else None
        except (InvalidResource, KubeError) as error:
            return Misconfigured(f"{who}: {error}")
        return destination(provider, contents)


def names_of(canary: Canary, ref: NamespacedName) -> list[str]:
    """The names that a spec gives to the alerts that an AlertProvider tells."""
    return [
        rule.name
        for rule in canary.analysis.alerts
        if rule.provider_ref.name == ref.name
        and (rule.provider_ref.namespace or canary.namespace) == (ref.namespace or canary.namespace)
    ]
