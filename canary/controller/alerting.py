"""Alerts: find out who is to be told, and tell them."""

import structlog

from canary.api.canary import Canary
from canary.controller.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.rollout.decision import Alert

log = structlog.get_logger(__name__)


class Alerter:
    """Sends alerts."""

    def __init__(self, client: KubeClient, caches: Caches, options: Options) -> None:
        self._client = client
        self._caches = caches
        self._options = options

    async def send(self, canary: Canary, alert: Alert) -> None:
        """Tell those who want to hear of it."""
        log.info("alert", canary=canary.key, message=alert.message, severity=alert.severity.value)

    async def close(self) -> None:
        """Close connections."""
