"""What would be logged with each try, a Canary at a time: the first time, and then once a minute while it goes on."""

from collections import defaultdict

import structlog

log = structlog.get_logger(__name__)

APART = 60.0
"""Seconds between two lines that say the same of a Canary; what comes in between is there at level debug."""


class Seldom:
    """When each Canary was last told of, by what was told."""

    def __init__(self) -> None:
        self._last: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def warning(self, event: str, *, canary: str, reason: str, now: float) -> None:
        """Log a warning, unless the same was logged of the Canary less than a minute ago, whatever the reason.

        Args:
            event: what happened.
            canary: the key of the Canary.
            reason: why.
            now: loop time in seconds.
        """
        last = self._last[canary].get(event)
        if last is not None and now - last < APART:
            log.debug(event, canary=canary, reason=reason)
            return
        self._last[canary][event] = now
        log.warning(event, canary=canary, reason=reason)

    def forget(self, canary: str) -> None:
        """A Canary is gone."""
        self._last.pop(canary, None)
