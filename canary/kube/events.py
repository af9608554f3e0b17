"""Telling what happens as Kubernetes Events, without ever keeping the teller waiting."""

import asyncio
import time
from datetime import UTC, datetime

import structlog

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, KubeError, NotFound, Retryable
from canary.kube.event_correlator import Correlator, Happening, Post, Regarding
from canary.kube.types import EVENT, Json

log = structlog.get_logger(__name__)

_WAITING = 1000
# With the waits between them, half a minute: an API server may restart meanwhile.
_TRIES = 6
_MESSAGE_LIMIT = 1024
_DRAIN_WITHIN = 3.0


class EventRecorder:
    """Takes events at once, and writes them in the background; under pressure it drops, and counts.

    Attributes:
        written: How many were written.
        dropped: How many were not: floods cut off, queue full, or the API server didn't take them.
    """

    def __init__(
        self,
        client: KubeClient,
        component: str,
        *,
        instance: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        """Set up; events wait until `run` runs.

        Args:
            client: The way to the server.
            component: Who tells, such as ``flagger``.
            instance: Which process of it, such as the pod's name.
            backoff: Waits between tries to write one event.
        """
        self.written = 0
        self.dropped = 0
        self._client = client
        self._component = component
        self._instance = instance or component
        self._backoff = backoff or Backoff(first=1.0, cap=10.0)
        self._correlator = Correlator()
        self._waiting: asyncio.Queue[Post] = asyncio.Queue(_WAITING)

    def record(
        self,
        regarding: Json,
        type: str,  # noqa: A002 - its API name
        reason: str,
        message: str,
        at: float | None = None,
    ) -> None:
        """Tell something about an object; never waits and never fails.

        Args:
            regarding: The object, with apiVersion, kind and metadata.
            type: ``Normal`` or ``Warning``.
            reason: One word for machines.
            message: Words for people; cut to the API's 1024 characters.
            at: When it happened, in seconds since the epoch; now where absent. What is told twice of the same moment
                is one Event.
        """
        happening = Happening(Regarding.of(regarding), type, reason, message[:_MESSAGE_LIMIT])
        wall = time.time() if at is None else at
        post = self._correlator.admit(happening, asyncio.get_running_loop().time(), wall)
        if post is None:
            self._drop(happening, "too many about one object")
            return
        try:
            self._waiting.put_nowait(post)
        except asyncio.QueueFull:
            self._drop(happening, "too many waiting")

    async def run(self) -> None:
        """Write events until cancelled; then those that wait, for 3 seconds at most."""
        post: Post | None = None
        try:
            while True:
                post = await self._waiting.get()
                await self._write(post)
                post = None
        finally:
            await self._drain(post)

    async def _drain(self, post: Post | None) -> None:
        """Write what waits, beginning with the one whose writing was cut off: writing twice does no harm."""
        # In a task of its own: in one that is cancelled, no timeout ends as one before Python 3.11.4.
        writing = asyncio.create_task(self._write_waiting(post), name="last events")
        try:
            await asyncio.wait([writing], timeout=_DRAIN_WITHIN)
        finally:
            if not writing.done():
                writing.cancel()
                self.dropped += self._waiting.qsize() + 1
                log.warning("events dropped at the end", dropped=self.dropped)
        await asyncio.wait([writing])
        if not writing.cancelled():
            writing.result()

    async def _write_waiting(self, post: Post | None) -> None:
        while True:
            if post is not None:
                await self._write(post)
            if self._waiting.empty():
                return
            post = self._waiting.get_nowait()

    async def _write(self, post: Post) -> None:
        for failures in range(1, _TRIES + 1):
            try:
                await self._post(post)
            except Retryable as error:
                if failures == _TRIES:
                    self._drop(post.happening, str(error))
                    return
                await asyncio.sleep(self._backoff.delay(failures))
            except KubeError as error:
                self._drop(post.happening, str(error))
                return
            except Exception as error:
                log.exception("an event could not be written by what nobody thought of")
                self._drop(post.happening, repr(error))
                return
            else:
                self.written += 1
                return

    async def _post(self, post: Post) -> None:
        event = self._event(post)
        namespace = event["metadata"]["namespace"]
        if post.count > 1:
            patch = {"count": post.count, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._client.merge_patch(EVENT, namespace, post.name, patch)
            except NotFound:
                pass  # It ran out, or was never written: write it whole.
            else:
                return
        try:
            await self._client.create(EVENT, event)
        except AlreadyExists:
            log.debug("event was written by a try whose answer was lost", name=post.name)

    def _event(self, post: Post) -> Json:
        happening, regarding = post.happening, post.happening.regarding
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": regarding.namespace or "default", "name": post.name},
            "involvedObject": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
            "type": happening.type,
            "reason": happening.reason,
            "message": happening.message,
            "count": post.count,
            "firstTimestamp": _timestamp(post.first),
            "lastTimestamp": _timestamp(post.last),
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }

    def _drop(self, happening: Happening, why: str) -> None:
        self.dropped += 1
        log.warning(
            "event dropped",
            why=why,
            kind=happening.regarding.kind,
            namespace=happening.regarding.namespace,
            name=happening.regarding.name,
            message=happening.message,
            dropped=self.dropped,
        )


def _timestamp(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
