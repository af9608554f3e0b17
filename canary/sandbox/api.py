"""The sandbox's own access to its API server."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Api:
    """A client of one API server, by the address and token of a kubeconfig file."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        token = config["users"][0]["user"]["token"]
        context = ssl.create_default_context(cadata=_decode(cluster["certificate-authority-data"]))
        self._client = httpx.AsyncClient(
            base_url=cluster["server"],
            verify=context,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(20.0, pool=60.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=64),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def request(
        self, method: str, path: str, body: Json | None = None, content_type: str = "application/json"
    ) -> Json:
        """Send one request.

        Raises:
            httpx.HTTPStatusError: the answer is an error; its text is the server's.
            httpx.TransportError: there was no answer.
        """
        content = None if body is None else json.dumps(body)
        answer = await self._client.request(method, path, content=content, headers={"Content-Type": content_type})
        if answer.is_error:
            text = f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            raise httpx.HTTPStatusError(text, request=answer.request, response=answer)
        document: Json = answer.json() if answer.content[:1] == b"{" else {"text": answer.text}
        return document

    async def answers(self, path: str) -> bool:
        """Whether a GET of this path succeeds."""
        try:
            return not (await self._client.get(path)).is_error
        except httpx.TransportError:
            return False

    async def apply(self, path: str, obj: Json) -> Json:
        """Server-side apply of one object, as the sandbox."""
        query = "?fieldManager=canary-sandbox&force=true"
        return await self.request("PATCH", path + query, obj, APPLY_PATCH)

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        """List a collection and then follow it for good, through server restarts.

        Yields:
            `("LISTED", list)` after each list, then `(type, object)` for each change.
        """
        while True:
            try:
                listed = await self.request("GET", path)
                yield "LISTED", listed
                version = str(listed["metadata"]["resourceVersion"])
                async for event in self._follow(path, version):
                    yield event
            except (httpx.HTTPError, json.JSONDecodeError):
                await asyncio.sleep(0.3)

    async def _follow(self, path: str, version: str) -> AsyncIterator[tuple[str, Json]]:
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": "1800"}
        timeout = httpx.Timeout(20.0, read=None)
        while True:
            async with self._client.stream("GET", path, params=query, timeout=timeout) as answer:
                if answer.is_error:
                    return
                async for line in answer.aiter_lines():
                    event: Json = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]


def _decode(data: str) -> str:
    return base64.b64decode(data).decode()
