"""Traces of rollouts: what is over is handed on at once, and nothing here waits for anybody.

Steps and rollouts are read from stored statuses (`canary.rollout.spans`); questions, writes and messages are timed
here, and name their span to the server that they go to. Where nothing is traced, each of these is one comparison.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from canary.api.canary import Canary
from canary.rollout.spans import SPAN_BYTES, Place, Span, Standing, place_of, traced
from outbound.trace import TRACEPARENT, traceparent

log = structlog.get_logger(__name__)

Emit = Callable[[Span], None]
"""Takes a span that is over; it must not wait."""


@dataclass(slots=True)
class Noted:
    """What becomes known of something while it goes on.

    Args:
        attributes: what is told with its span.
        error: why it failed, in words; empty where it did not.
    """

    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = field(default_factory=dict)
    error: str = ""


class Tracer:
    """Traces the rollouts of all Canaries.

    Args:
        emit: takes what is over; None where nothing is traced.
        now: the clock.
    """

    def __init__(self, emit: Emit | None, now: Callable[[], datetime]) -> None:
        self._emit = emit
        self._now = now
        self._standing: dict[str, Standing] = {}

    @property
    def traces(self) -> bool:
        """Whether anything is traced."""
        return self._emit is not None

    def observe(self, canary: Canary) -> None:
        """Hand on what is over with the status that is stored of a Canary now."""
        if self._emit is None:
            return
        try:
            standing, spans = traced(canary, self._standing.get(canary.key), self._now())
        except (ValueError, OverflowError) as error:  # times that somebody has written into the status
            log.warning("a status can't be traced", canary=canary.key, reason=str(error))
            return
        self._standing[canary.key] = standing
        for span in spans:
            self._emit(span)

    def forget(self, key: str) -> None:
        """A Canary is gone."""
        self._standing.pop(key, None)

    @contextmanager
    def span(self, canary: Canary, name: str, at: datetime | None = None) -> Iterator[Noted]:
        """Time what is done for a Canary, and have its requests name this span.

        Args:
            canary: the Canary; where no rollout of it is under way, nothing is traced.
            name: what is done, in words.
            at: when the notice came up that is told, for what is told of a rollout that has ended.
        """
        place, noted = self._place(canary, at), Noted()
        if place is None or self._emit is None:
            yield noted
            return
        own, began = int.from_bytes(secrets.token_bytes(SPAN_BYTES), "big") or 1, self._now()
        # Set and set back by hand: a token is of one context, and what is cancelled may be closed in another.
        before = TRACEPARENT.get()
        TRACEPARENT.set(traceparent(place.trace, own))
        try:
            yield noted
        except asyncio.CancelledError:
            noted.error = "nobody waits for it any more"
            raise
        except BaseException as error:
            noted.error = noted.error or f"{type(error).__name__}: {error}"
            raise
        finally:
            TRACEPARENT.set(before)
            self._over(place, own, name, began, noted)

    def did(self, canary: Canary, name: str, began: datetime, error: str = "") -> None:
        """Tell of what was written for a Canary.

        Args:
            canary: the Canary; where no rollout of it is under way, nothing is told.
            name: what was done, in words.
            began: when that began.
            error: why it was not done after all; empty where it was.
        """
        place = self._place(canary, None)
        if place is not None:
            self._over(
                place, int.from_bytes(secrets.token_bytes(SPAN_BYTES), "big") or 1, name, began, Noted({}, error)
            )

    def _place(self, canary: Canary, at: datetime | None) -> Place | None:
        if self._emit is None:
            return None
        try:
            return place_of(canary, at)
        except (ValueError, OverflowError):
            return None

    def _over(self, place: Place, own: int, name: str, began: datetime, noted: Noted) -> None:
        if self._emit is not None:
            end = max(self._now(), began)
            attributes, error = noted.attributes, noted.error
            self._emit(Span(place.trace, own, place.parent, name, began, end, attributes, error=error, outward=True))


def silent(now: Callable[[], datetime]) -> Tracer:
    """A tracer of nothing."""
    return Tracer(None, now)
