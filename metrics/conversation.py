"""One question's requests: what lets it in is fetched first, and told to nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from metrics.access import grants, oauth2, own
from metrics.access.grants import Grant, Granted, Grants
from metrics.access.secret import unfold
from metrics.connections import ask
from metrics.errors import CUT, ProviderError
from metrics.providers.base import Provider
from metrics.question import Question
from metrics.wire import Request, Response
from outbound.access import blotted
from outbound.connections import Sender
from outbound.tls import Tls

_PLAIN = frozenset({"accept", "content-type", "x-amz-date", "x-amz-target", "metadata-flavor"})
"""Headers that are no secret: their words may stand in others' words."""


class Conversation:
    """A question and its server.

    Args:
        question: what is asked.
        connections: where it goes.
        granted: what was granted before.
        now: the time of asking.
    """

    def __init__(self, question: Question, connections: Sender, granted: Grants, now: datetime) -> None:
        self._question, self._way = unfold(question)
        self._connections = connections
        self._grants = granted
        self._now = now
        self._provider: Provider | None = None
        self._used: Grant | None = None
        secret = question.credentials
        self._secrets = {value for key, value in secret.items() if key not in oauth2.TOLD}
        self._secrets |= {secret.get(oauth2.ADDRESS, "").partition("://")[2].rpartition("@")[0]}
        self._secrets |= {value for _, value in question.headers}

    async def admitted(self, provider: Provider) -> Question:
        """The question with what lets it in.

        Raises:
            ProviderError: that isn't to be had.
        """
        question = self._question
        environment = await own.identity() if provider.own(question) else {}
        given = provider.grant(question, environment, self._now)
        if isinstance(given, Grant):
            self._used = grant = self._on_the_way(given)
            self._secrets.update(grant.secrets)
            given = await self._grants.of(grant, self._now, lambda: self._fetch(grant))
        if given is not None:
            self._secrets.update(given.values())
            question = replace(question, credentials=given)
        self._provider, self._question = provider, question
        return question

    async def send(self, request: Request, deadline: float) -> Response:
        """The answer to a request of the question.

        Raises:
            ProviderError: there is none.
        """
        if self._provider is not None:
            request = self._provider.seal(self._question, request, self._now)
        self._secrets.update(value for name, value in request.headers if name.lower() not in _PLAIN)
        answer = await ask(self._connections, self._way.take(request), deadline)
        if answer.status == 401 and self._used is not None:
            # Revoked before it ran out: the next question fetches another one.
            self._grants.forget(self._used)
        return answer

    def told(self, error: ProviderError) -> str:
        """What went wrong, in words for anybody."""
        return blotted(self._secrets, str(error), CUT)

    def _on_the_way(self, grant: Grant) -> Grant:
        """The same proxy, and the Secret's authorities beside those that all trust; our certificate is not shown."""
        if grant.request.direct:
            return grant
        tls = Tls(self._way.tls.authority, beside=True)
        return replace(grant, request=replace(grant.request, tls=tls, proxy=self._way.proxy))

    async def _fetch(self, grant: Grant) -> Granted:
        try:
            return grant.read(await ask(self._connections, grant.request, grants.DEADLINE))
        except ProviderError as error:
            raise type(error)(f"{grant.who}: {error}") from error
