"""Calling the webhooks of Canaries: with what their Secrets hold, and not before they want to be asked again."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Final

from canary import webhooks
from canary.api.analysis import GATES, Webhook
from canary.api.canary import Canary
from canary.controller.ask.secrets import read_secret
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Retryable
from canary.kube.types import Json
from canary.webhooks import LONGEST_WAIT, Outcome, Rejected, Unreachable
from outbound.connections import Connections

TRIES: Final = 5
"""How often the Secret is asked for, of a hook that nobody asks again."""


class Hooks:
    """Calls webhooks.

    Args:
        client: where their Secrets are read.
        connections: to webhooks.
        now: the clock.
    """

    def __init__(self, client: KubeClient, connections: Connections, now: Callable[[], datetime]) -> None:
        self._client = client
        self._connections = connections
        self._now = now
        # In memory alone: by a restart a hook is asked sooner, once.
        self._resting: dict[tuple[str, str, str], tuple[float, Rejected]] = {}

    async def ask(self, canary: Canary, hook: Webhook, body: Json, message: str) -> Outcome:
        """Call a hook, not before the time that its last answer asked for (Retry-After).

        A gate is answered by its last words meanwhile, so that nothing else waits for it; of others the call waits, for
        half a minute at most.

        Args:
            canary: whose hook it is.
            hook: the hook.
            body: what it is asked or told.
            message: the id of that.

        Raises:
            Retryable: the API server could not be had, to read the hook's Secret.
        """
        place = (canary.metadata.uid, hook.name, hook.url)
        loop = asyncio.get_running_loop()
        if (resting := self._resting.get(place)) is not None:
            rest = resting[0] - loop.time()
            if rest > 0 and hook.type in GATES:
                return resting[1]
            await asyncio.sleep(max(0.0, min(rest, LONGEST_WAIT.total_seconds())))
        outcome = await self._call(canary, hook, body, message)
        self._resting = {key: each for key, each in self._resting.items() if each[0] > loop.time() and key != place}
        if isinstance(outcome, Rejected) and outcome.rest:
            self._resting[place] = (loop.time() + outcome.rest.total_seconds(), outcome)
        return outcome

    async def tell(self, canary: Canary, hook: Webhook, body: Json, message: str) -> Outcome:
        """Call a hook that nobody asks again, and wait for the API server for half a minute where that is away."""
        for tries in count(1):
            try:
                return await self.ask(canary, hook, body, message)
            except Retryable as error:
                if tries == TRIES:
                    return Unreachable(f"its Secret can't be read: {error}")
                await asyncio.sleep(2.0**tries)
        raise AssertionError

    async def _call(self, canary: Canary, hook: Webhook, body: Json, message: str) -> Outcome:
        secret = None
        if hook.secret_ref is not None:
            try:
                secret = await read_secret(self._client, canary.namespace, hook.secret_ref.name)
            except Retryable:
                raise
            except KubeError as error:
                return Unreachable(f"its Secret {hook.secret_ref.name} can't be read: {error}")
        return await webhooks.call(self._connections, hook, body, message=message, secret=secret, now=self._now)
