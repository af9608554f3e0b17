"""Builds of Jenkins: looked for, started once where there is none, and ended with their moment."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from canary.api.canary import Canary
from canary.api.gates import JenkinsGate
from canary.controller.ask.secrets import read_secret
from canary.gates import jenkins
from canary.gates.base import Moment, Said, State
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Retryable
from canary.kube.types import Json
from outbound import access
from outbound.connections import Connections, Manner
from outbound.errors import CannotAskError, OutboundError
from outbound.message import Headers, Request, Response

log = structlog.get_logger(__name__)

BUILDS: Final = Manner(total=64, per_host=8, largest=4 << 20, idle=3, patience=30, accept="application/json")
"""How Jenkins is spoken to: nothing is sent twice, as it may start something."""

DEADLINE: Final = 20.0
"""Seconds that one answer may take."""

AGAIN: Final = 1.0
"""Seconds until Jenkins is asked again for a build that it has not told of.

It takes a build from the queue before the job tells of it, and tells of it before it has its parameters: who asks in
between finds none. So what is not there is so at two looks.
"""

_LOOKS: Final = 3
"""How often what is to be ended is looked for: it may go from the queue to the job while it is."""

_FORBIDDEN, _NOT_FOUND, _STARTED = 403, 404, range(200, 400)


@dataclass(frozen=True, slots=True)
class _NotToldError(Exception):
    """Jenkins can't be asked; the reason is what is said of that."""

    reason: str


class Builds:
    """Asks Jenkins.

    Args:
        client: where Secrets are read.
        connections: to Jenkins.
    """

    def __init__(self, client: KubeClient, connections: Connections) -> None:
        self._client = client
        self._connections = connections
        # In memory alone: by a restart a build that has been ended is ended once more.
        self._ended: set[str] = set()

    async def ask(self, moment: Moment) -> Said:
        """What the build of a moment says; where there is none, it is started.

        Raises:
            TemplateError: a parameter can't be filled in.
            Retryable: the API server could not be had, to read the Secret.
        """
        gate, value, secret = jenkins.of(moment.gate), jenkins.value_of(moment), dict[str, str]()
        try:
            secret = await self._secret(moment.canary, gate)
            found, job = await self._found(gate, secret, value)
            await self._post_all(gate, secret, found.over)
            if found.said is not None:
                return Said(found.said.state, _without(secret, found.said.words), value)
            if why := jenkins.unstartable(gate.run_parameter, job):
                return Said(State.UNAVAILABLE, why, value)
            answer = await self._post(gate, secret, jenkins.start_url(gate.url), jenkins.body_of(moment))
            if answer.status not in _STARTED or answer.leads_to:
                remedy = "; its user needs the right Job/Build" if answer.status == _FORBIDDEN else ""
                return Said(State.UNAVAILABLE, f"Jenkins starts no build: it answered {answer.status}{remedy}", value)
            return Said(State.WAITING, "the build is started", value)
        except _NotToldError as error:
            return Said(State.UNAVAILABLE, _without(secret, error.reason), value)

    async def end(self, canary: Canary, value: str) -> None:
        """End the build that is known by a value, if it has not ended; once, whatever else is tried."""
        if value in self._ended:
            return
        for hook in canary.analysis.webhooks:
            gate = hook.gate.jenkins if hook.gate is not None else None
            if gate is None or not jenkins.is_of(value, jenkins.whose(canary, hook)):
                continue
            try:
                await self._end(gate, await self._secret(canary, gate), value)
            except (_NotToldError, KubeError) as error:
                log.warning("a build of Jenkins could not be ended", canary=canary.key, build=value, reason=str(error))
                return
        self._ended.add(value)

    async def _end(self, gate: JenkinsGate, secret: dict[str, str], value: str) -> None:
        """End a build, wherever it is on its way from the queue to the job."""
        for look in range(_LOOKS):
            queue, job = await self._state(gate, secret)
            paths = jenkins.ends({value}, gate.run_parameter, queue, job)
            answers = await self._post_all(gate, secret, paths)
            if _FORBIDDEN in answers:
                raise _NotToldError("Jenkins answered 403; its user needs the right Job/Cancel")
            missed = _NOT_FOUND in answers or jenkins.found(value, gate.run_parameter, queue, job).said is None
            if not missed or look == _LOOKS - 1:
                return
            await asyncio.sleep(AGAIN)

    async def _found(self, gate: JenkinsGate, secret: dict[str, str], value: str) -> tuple[jenkins.Found, Json]:
        """What Jenkins has, at a second look where it has nothing at the first; and what it tells of the job."""
        queue, job = await self._state(gate, secret)
        found = jenkins.found(value, gate.run_parameter, queue, job)
        if found.said is not None or jenkins.unstartable(gate.run_parameter, job):
            return found, job
        await asyncio.sleep(AGAIN)
        queue, job = await self._state(gate, secret)
        return jenkins.found(value, gate.run_parameter, queue, job), job

    async def _secret(self, canary: Canary, gate: JenkinsGate) -> dict[str, str]:
        if gate.secret_ref is None:
            return {}
        try:
            return await read_secret(self._client, canary.namespace, gate.secret_ref.name)
        except Retryable:
            raise
        except KubeError as error:
            raise _NotToldError(f"its Secret {gate.secret_ref.name} can't be read: {error}") from error

    async def _state(self, gate: JenkinsGate, secret: dict[str, str]) -> tuple[Json, Json]:
        """The queue, and after it the job: a build goes from the one to the other."""
        queue = await self._get(secret, jenkins.queue_url(gate.url), "queue")
        return queue, await self._get(secret, jenkins.job_url(gate.url), "job")

    async def _get(self, secret: dict[str, str], url: str, what: str) -> Json:
        answer = await self._send(secret, Request("GET", url))
        if answer.status != 200:
            remedy = "; its Secret needs username and password, an API token" if answer.status in (401, 403) else ""
            remedy = "; correct the address of the job" if answer.status == 404 else remedy
            raise _NotToldError(f"Jenkins does not tell of its {what}: it answered {answer.status}{remedy}")
        try:
            told = json.loads(answer.body)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise _NotToldError(f"Jenkins does not tell of its {what}: its answer is no JSON object")
        return told

    async def _post_all(self, gate: JenkinsGate, secret: dict[str, str], paths: Iterable[str]) -> set[int]:
        """What Jenkins answers to each, side by side: of what is over, none waits for another."""
        answers = await asyncio.gather(*(self._post(gate, secret, path) for path in paths))
        return {answer.status for answer in answers}

    async def _post(self, gate: JenkinsGate, secret: dict[str, str], path: str, body: bytes = b"") -> Response:
        url = f"{jenkins.root(gate.url)}{path}" if path.startswith("/") else path
        if jenkins.root(url) != jenkins.root(gate.url) and not url.startswith(f"{jenkins.root(gate.url)}/queue/"):
            # Jenkins tells addresses by what it thinks that its own is.
            url = f"{jenkins.root(gate.url)}{url.removeprefix(jenkins.root(url))}"
        answer = await self._send(secret, Request("POST", url, (jenkins.FORM,), body))
        if answer.status != _FORBIDDEN or b"crumb" not in answer.body:
            return answer
        crumb = await self._send(secret, Request("GET", jenkins.crumb_url(gate.url)))
        try:
            headers = jenkins.crumb_of(json.loads(crumb.body), crumb.headers.get("set-cookie", ""))
        except (ValueError, RecursionError, AttributeError):
            headers = ()
        return await self._send(secret, Request("POST", url, (jenkins.FORM, *headers), body))

    async def _send(self, secret: dict[str, str], request: Request) -> Response:
        """What Jenkins answers.

        Raises:
            _NotToldError: nothing.
        """
        way, rest = access.unfold(secret)
        headers: Headers = (*request.headers, *access.authorization(rest), *way.headers)
        made = Request(request.method, request.url, headers=headers, body=request.body, proxy=way.proxy, tls=way.tls)
        try:
            return await self._connections.send(made, DEADLINE)
        except CannotAskError as error:
            raise _NotToldError(f"Jenkins can't be asked: {error}") from None
        except OutboundError as error:
            raise _NotToldError(f"Jenkins gave no answer: {error}") from None


def _without(secret: Mapping[str, str], words: str) -> str:
    """The words without what the Secret holds, but for the name of the user: Jenkins may repeat what it was sent."""
    hidden = [value for key, value in secret.items() if key != access.USERNAME]
    sent = [value for _, value in access.authorization(access.unfold(secret)[1])]
    return access.blotted([*hidden, *sent], words)
