"""Simulated API servers, over TLS: what a hub asks of a member, and nothing else. Each has one Canary, and a port.

One HTTP server of this process is all of them. Lists and watches are streamed, as the API server does; server-side
apply is taken as a merge.
"""

import asyncio
import base64
import json
import ssl
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from aiohttp import web

from canary.kube.types import CANARY, Json
from canary.sandbox import addresses

FIRST_PORT = 20_000
MOST_MEMBERS = 10_000
"""Beyond their ports are those that clients have."""
HOST = addresses.API_SERVER
"""The host that the certificate of the sandbox's API server names, which these show, too."""
TOKEN = uuid.uuid4().hex
_BOOKMARKS = 60.0
"""Seconds of silence after which a watch says how far it is."""


class SimulatedMember:
    """One API server.

    Args:
        name: of the member.
        number: counts them from 0.

    Attributes:
        lag: seconds that each answer, and each event of a watch, takes; None where none comes any more.
        asked: how often which method was asked for which resource.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name, self.port = name, FIRST_PORT + number
        self.lag: float | None = 0.0
        self.asked: Counter[str] = Counter()
        self.canary: Json | None = None
        self._version = 100
        self._news = asyncio.Condition()

    @property
    def server(self) -> str:
        """Its address."""
        return f"https://{HOST}:{self.port}"

    async def says(self, **status: object) -> None:
        """Its controller has stored another status of the Canary."""
        await self._merge({"status": status})

    async def until(self, accept: Callable[[Json], bool]) -> None:
        """Wait until its Canary is as one waits for it to be; what is not there is empty."""
        async with self._news:
            await self._news.wait_for(lambda: accept(self.canary or {}))

    async def _merge(self, patch: Json) -> Json:
        before = self.canary or {"metadata": {"uid": uuid.uuid4().hex, "creationTimestamp": "2026-01-01T00:00:00Z"}}
        self._version += 1
        self.canary = _merged(before, patch)
        self.canary["metadata"]["resourceVersion"] = str(self._version)
        async with self._news:
            self._news.notify_all()
        return self.canary

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What it answers."""
        self.asked[f"{request.method} {request.path.rpartition('/')[2]}"] += 1
        await self._takes_time()
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _refused(401, "Unauthorized")
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "hub"}}})
        if request.query.get("watch") == "true":
            return await self._watched(request)
        if request.path.endswith(f"/{CANARY.plural}"):
            items = [] if self.canary is None else [self.canary]
            return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": items})
        if request.method == "PATCH" and (self.canary is not None or "force" in request.query):
            return web.json_response(await self._merge(await request.json()))
        return web.json_response(self.canary) if self.canary is not None else _refused(404, "NotFound")

    async def _takes_time(self) -> None:
        if self.lag is None:
            await asyncio.Event().wait()
        elif self.lag:
            await asyncio.sleep(self.lag)

    async def _watched(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        whole = "sendInitialEvents" in request.query
        seen = 0 if whole else int(request.query["resourceVersion"])
        ends = _now() + float(request.query.get("timeoutSeconds", "300"))
        seen = await self._tell(answer, seen)
        if whole:
            await answer.write(_line("BOOKMARK", _bookmark(self._version, {"k8s.io/initial-events-end": "true"})))
        while _now() < ends:
            if not await self._has_news(seen, min(_BOOKMARKS, ends - _now())):
                await answer.write(_line("BOOKMARK", _bookmark(seen or self._version, {})))
            seen = await self._tell(answer, seen)
        return answer

    async def _has_news(self, seen: int, within: float) -> bool:
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: self._version > max(seen, 100))
        except TimeoutError:
            return False
        return True

    async def _tell(self, answer: web.StreamResponse, seen: int) -> int:
        """Tell of the Canary as it is, where that is news; up to which version is told."""
        if self.canary is None or self._version <= seen:
            return seen
        await self._takes_time()
        version = self._version
        await answer.write(_line("MODIFIED" if seen else "ADDED", self.canary))
        return version


class SimulatedMembers:
    """All of them, while the context lasts.

    Args:
        count: how many.
        certificate: what they show, which names `HOST`.
        key: of the certificate.
    """

    def __init__(self, count: int, certificate: Path, key: Path) -> None:
        self.members = [SimulatedMember(f"member-{number:03}", number) for number in range(count)]
        self.authority = certificate.read_text()
        self._by_port = {each.port: each for each in self.members}
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate, key)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        # A handler ends with its client: a watch that a hub has given up would otherwise go on.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        for each in self.members:
            await web.TCPSite(self._runner, HOST, each.port, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        _, port, *_ = request.transport.get_extra_info("sockname")
        return await self._by_port[port].answer(request)

    def secret(self, member: SimulatedMember, namespace: str) -> Json:
        """The Secret by which a hub knows a member."""
        authority = base64.b64encode(self.authority.encode()).decode()
        cluster = {"server": member.server, "certificate-authority-data": authority}
        kubeconfig = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        labels = {"fleet.canary.dev/member": "kubeconfig"}
        metadata = {"name": member.name, "namespace": namespace, "labels": labels}
        return {
            "metadata": metadata,
            "data": {"kubeconfig": base64.b64encode(json.dumps(kubeconfig).encode()).decode()},
        }


def asked_of(members: Iterable[SimulatedMember]) -> Counter[str]:
    """How often all of them were asked for what."""
    return sum((each.asked for each in members), Counter())


def _merged(old: Json, patch: Json) -> Json:
    made = dict(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            there = made.get(key)
            made[key] = _merged(there if isinstance(there, dict) else {}, value)
        else:
            made[key] = value
    return made


def _refused(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "code": code, "reason": reason}, status=code)


def _line(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def _bookmark(version: int, annotations: dict[str, str]) -> Json:
    return {"metadata": {"resourceVersion": str(version), "annotations": annotations}}


def _now() -> float:
    return asyncio.get_running_loop().time()
