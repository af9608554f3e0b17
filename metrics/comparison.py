"""Two versions compared by their counters: whom to ask what, one query after the other where it takes two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from metrics import samples, slowness
from metrics.access.grants import Grants
from metrics.conversation import Conversation
from metrics.errors import ProviderError, TooLargeError
from metrics.providers.prometheus import PROMETHEUS
from metrics.question import Empty, Question
from metrics.read import unread
from metrics.reading import Compared, Reading, Said
from metrics.samples import Counter, Span
from metrics.versions import Versions
from metrics.wire import Response
from outbound.connections import Sender

_UNTIMED = Empty("no latency of the promoted version is measured")
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is compared.

    Args:
        versions: how both are picked.
        slow: whether requests are bad that are slow, not those that fail.
        limit: beyond how many milliseconds one is slow; None for the promoted version's usual quantile.
    """

    versions: Versions
    slow: bool = False
    limit: float | None = None


async def compare(question: Question, subject: Subject, span: Span, connections: Sender) -> Reading:
    """Ask for the requests of both versions; outside trouble becomes `Unread`, never an error.

    Args:
        question: whom to ask; its query plays no part.
        subject: what is compared.
        span: the time that is compared.
        connections: where the question goes.

    Raises:
        TemplateError: a query can't be filled in.
    """
    asking = _Asking(question, subject, connections, span)
    try:
        said = await (asking.slow() if subject.slow else asking.failed())
    except ProviderError as error:
        said = unread(asking.question, error, asking.talk)
    return Reading.of(asking.question, said, span.now)


class _Asking:
    """The questions of one comparison.

    Args:
        question: whom to ask.
        subject: what is compared.
        connections: where the questions go.
        span: the time that is compared.
    """

    def __init__(self, question: Question, subject: Subject, connections: Sender, span: Span) -> None:
        self.question, self._subject, self._connections, self._span = question, subject, connections, span
        self.talk = Conversation(question, connections, Grants(), span.now)

    async def failed(self) -> Said:
        """What the counters of requests and failures say."""
        return await self._counted(samples.failures(self._subject.versions), self._span)

    async def slow(self) -> Said:
        """What the counters of requests and slow ones say, once it is known which are slow."""
        subject, span = self._subject, self._span
        for moment in slowness.moments(span) if subject.limit is None else (None,):
            query = slowness.query_of(subject.versions, span, moment)
            bound = slowness.read(subject.versions, await self._ask(query), subject.limit)
            if bound is not None:
                since = span.since if moment is None else max(span.since, moment)
                counters = bound.counters(subject.versions)
                return await self._counted(counters, replace(span, since=since), bound.milliseconds)
        return _UNTIMED

    async def _counted(
        self, counters: list[Counter], span: Span, bound: float | None = None, tries: int = _TRIES
    ) -> Compared | Empty:
        """The looks: longer ones, where the answer would be too large."""
        query = samples.query_of(counters, span)
        try:
            return samples.read(await self._ask(query), span, bound)
        except TooLargeError:
            if tries <= 1:
                raise
            return await self._counted(counters, span.coarser, bound, tries - 1)

    async def _ask(self, query: str) -> Response:
        self.question = replace(self.question, query=query, interval=max(self._span.range, timedelta(seconds=1)))
        self.talk = Conversation(self.question, self._connections, Grants(), self._span.now)
        request = PROMETHEUS.build(await self.talk.admitted(PROMETHEUS), self._span.now)
        return await self.talk.send(request, PROMETHEUS.deadline)
