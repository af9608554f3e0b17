"""Put the controller together and run it until it is told to stop."""

import asyncio
import gc
import os
import signal
import socket
import uuid
from contextlib import AsyncExitStack
from importlib.metadata import version

import structlog

from canary.alerts.send import Sender
from canary.controller.ask.asker import Asker
from canary.controller.ask.checks import OpenChecks
from canary.controller.clock import Clock
from canary.controller.observe.caches import Caches
from canary.controller.observe.index import Index, ref_to
from canary.controller.observe.needs import prepare
from canary.controller.options import Options
from canary.controller.reconcile import ACTING, Reconciler, key_of
from canary.controller.record.alerts import Alerter
from canary.controller.record.courier import Courier
from canary.controller.record.recorder import Recorder
from canary.controller.server import Server
from canary.controller.telemetry import Telemetry
from canary.kube.client import KubeClient
from canary.kube.events import EventRecorder
from canary.kube.leader import LeaderElector
from canary.kube.queue import WorkQueue
from canary.kube.store import Change
from canary.kube.types import CANARY, Json, Resource
from canary.routers.registry import KINDS, ROUTES
from canary.webhooks import HOOKS
from canary.workloads.autoscalers import AUTOSCALERS
from canary.workloads.registry import WORKLOADS
from metrics.connections import QUESTIONS
from outbound.connections import Connections

log = structlog.get_logger(__name__)

COMPONENT = "flagger"
"""Who Kubernetes events come from, as dashboards and scripts know it."""

WATCHED = (
    *WORKLOADS,
    *(autoscaler.resource for autoscaler in AUTOSCALERS.values()),
    *KINDS,
)
"""The kinds of object that a Canary may be about."""

LEASE = "flagger-leader-election"

_STILL_KNOWN = 5.0
"""Seconds for which what Canaries need, as a process that waits to lead found it, is taken for what they need."""

_GARBAGE = (25_000, 10, 10)
"""How many objects more than before are made before circles are looked for among them; Python's own is 700."""

REST_SECONDS = 0.1
"""How long changes around a Canary gather after it was looked at: a workload tells of each pod, many times."""


async def run(options: Options) -> None:
    """Run a controller until SIGTERM or SIGINT.

    Raises:
        ConfigError: there is no way to an API server.
        ListenError: the port is taken, or the address is none of this machine's.
    """
    # Of what a pass makes next to nothing is in circles: looking for them seldom costs no memory, and less time. What
    # is loaded by now stays: passes don't wait for a look at all of it.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    working = asyncio.create_task(Controller(options).run(), name="controller")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        log.info("stopped")


class Controller:
    """One controller process.

    Args:
        options: its settings.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self._queue: WorkQueue[str] = WorkQueue(rest=REST_SECONDS)
        self._index = Index()
        self._prepared = float("-inf")
        self._telemetry = Telemetry(version("canary-controller"), options.mesh_provider)

    async def run(self) -> None:
        """Watch, serve metrics, and work while leading, until cancelled."""
        options = self._options
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(KubeClient.connect(options.kubeconfig, options.context))
            caches = Caches(
                client,
                WATCHED,
                namespace=options.namespace,
                configs=options.track_configs,
                named=self._index.names,
                changed=self._changed,
                wake=self._queue.add,
            )
            prepared = asyncio.Event()
            server = Server(
                options.address, options.port, self._telemetry, ready=prepared.is_set, refresh=self._refresh
            )
            await server.start()
            stack.push_async_callback(server.close)
            async with asyncio.TaskGroup() as group:
                group.create_task(caches.run(), name="caches")
                await prepare(caches, self._index, options)
                log.info("caches are complete", canaries=caches.count(CANARY))
                log.info(
                    "who is told of Canaries that name nobody",
                    messengers=[each.type for each in options.messengers],
                    event_webhook=bool(options.event_webhook),
                )
                prepared.set()
                self._prepared = asyncio.get_running_loop().time()
                group.create_task(self._lead(client, caches), name="lead")

    async def _lead(self, client: KubeClient, caches: Caches) -> None:
        """Work for as long as the lease is held; without an election, always."""
        if not self._options.leader_election:
            await self._work(client, caches)
            return
        elector = LeaderElector(client, self._options.lease_namespace, LEASE, self._identity)
        guarded = client.guarded(elector.remaining)
        await elector.run(lambda: self._work(guarded, caches))

    async def _work(self, client: KubeClient, caches: Caches) -> None:
        """Reconcile everything from what is, until cancelled."""
        options, clock = self._options, Clock()
        async with AsyncExitStack() as stack:
            self._telemetry.leader.set(1)
            stack.callback(self._telemetry.stand_by)
            hooks = await stack.enter_async_context(Connections(HOOKS))
            # Apart, as a hook may take hours: no question waits for one.
            servers = await stack.enter_async_context(Connections(QUESTIONS))
            events = EventRecorder(client, COMPONENT, instance=self._identity)
            sender = await stack.enter_async_context(Sender())
            alerter = Alerter(client, caches, sender, options)
            board = OpenChecks(
                Asker(client, caches, options, hooks, servers, clock),
                self._queue.urge,
                failed=lambda _question: self._telemetry.question_failed(),
            )
            stack.push_async_callback(board.close)
            courier = Courier(events, alerter, self._telemetry, hooks, options, clock, self._queue.add)
            recorder = Recorder(client, caches, courier, self._telemetry, clock)
            stack.push_async_callback(recorder.close)
            reconciler = Reconciler(
                client, caches, self._queue, self._index, board, recorder, self._telemetry, options, clock
            )
            if asyncio.get_running_loop().time() > self._prepared + _STILL_KNOWN:
                await prepare(caches, self._index, options)
            self._wake_all(caches)
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run(), name="events")
                group.create_task(reconciler.run(), name="reconciler")

    def _changed(self, resource: Resource, change: Change[Json]) -> None:
        """Wake the Canaries that a change concerns, save one that has just made it.

        What it writes itself of a workload may hold what somebody else has written there, such as a new version.
        """
        if resource is CANARY:
            concerned = {f"{change.key.namespace}/{change.key.name}", *self._index.claims.take(change)}
        else:
            concerned = set(self._index.concerned(ref_to(resource, change.key.namespace, change.key.name)))
        if resource is CANARY or (resource in ROUTES and resource not in WORKLOADS):
            concerned.discard(ACTING.get())
        for key in concerned:
            self._queue.add(key)

    def _wake_all(self, caches: Caches) -> None:
        for raw in caches.list(CANARY):
            self._queue.add(key_of(raw))

    def _refresh(self) -> None:
        self._telemetry.queue_depth.set(self._queue.depth)
