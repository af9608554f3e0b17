"""Put the controller together and run it until it is told to stop."""

import asyncio
import gc
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from canary.alerts.send import Sender
from canary.controller.ask.builds import BUILDS, Builds
from canary.controller.ask.checks import OpenChecks
from canary.controller.ask.hooks import Hooks
from canary.controller.ask.later import LaterAsker
from canary.controller.clock import Clock
from canary.controller.observe.caches import Caches
from canary.controller.observe.index import Index, ref_to
from canary.controller.observe.needs import prepare
from canary.controller.observe.rollouts import Rollouts
from canary.controller.options import Options, VoteSettings
from canary.controller.reconcile import ACTING, Reconciler, key_of
from canary.controller.record.alerts import Alerter
from canary.controller.record.courier import Courier
from canary.controller.record.recorder import Recorder
from canary.controller.server import Server
from canary.controller.stopping import until_stopped
from canary.controller.telemetry import Telemetry
from canary.controller.tracer import Tracer
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

if TYPE_CHECKING:
    from canary.admission.serving import AdmissionService
    from canary.controller.otlp import Exporter

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

GARBAGE = (25_000, 10, 10)
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
    gc.enable()
    gc.set_threshold(*GARBAGE)
    await until_stopped(Controller(options).run(), "controller")


async def _taking_votes(
    settings: VoteSettings, client: KubeClient, namespace: str | None
) -> Callable[[], Awaitable[None]]:
    """Begin to take votes; what is returned ends it.

    Raises:
        ListenError: the port is taken, or the address is none of this machine's.
    """
    # Here and not above: most controllers take none.
    from canary.controller.votes.server import VoteServer  # noqa: PLC0415 - most controllers do without

    server = VoteServer.of(settings, client, namespace)
    await server.start()
    return server.close


class Controller:
    """One controller process.

    Args:
        options: its settings.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self._queue: WorkQueue[str] = WorkQueue(rest=REST_SECONDS)
        self._index = Index(Rollouts(options.max_rollouts))
        # All is listed that Canaries name themselves; all is, whose configuration is listed after that; and when.
        self._named, self._prepared = asyncio.Event(), asyncio.Event()
        self._prepared_at = float("-inf")
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
            admission = await self._admission(client, stack)
            server = Server(
                options.address,
                options.port,
                self._telemetry.registry,
                ready=lambda: self._prepared.is_set() and (admission is None or admission.is_ready),
                refresh=self._refresh,
            )
            await server.start()
            stack.push_async_callback(server.close)
            if options.votes is not None:
                # Each replica takes votes, whichever leads: they stand on the Canary.
                stack.push_async_callback(await _taking_votes(options.votes, client, options.namespace))
            elector = self._elector(client)
            async with asyncio.TaskGroup() as group:
                group.create_task(caches.run(), name="caches")
                if admission is not None:
                    group.create_task(admission.run(), name="admission")
                group.create_task(self._lead(elector, client, caches), name="lead")
                await prepare(caches, self._index, options, self._named.set)
                log.info("caches are complete", canaries=caches.count(CANARY))
                log.info(
                    "who is told of Canaries that name nobody",
                    messengers=[each.type for each in options.messengers],
                    event_webhook=bool(options.event_webhook),
                )
                self._prepared_at = asyncio.get_running_loop().time()
                self._prepared.set()

    async def _admission(self, client: KubeClient, stack: AsyncExitStack) -> "AdmissionService | None":
        """What answers the API server, listening; None where nothing is to."""
        settings = self._options.admission
        if settings is None:
            return None
        from canary.admission.serving import AdmissionService  # noqa: PLC0415 - most controllers do without

        service = AdmissionService(settings, self._options, client, self._telemetry)
        await service.start()
        stack.push_async_callback(service.close)
        return service

    def _elector(self, client: KubeClient) -> LeaderElector | None:
        if not self._options.leader_election:
            return None
        return LeaderElector(client, self._options.lease_namespace, LEASE, self._identity)

    async def _lead(self, elector: LeaderElector | None, client: KubeClient, caches: Caches) -> None:
        """Work for as long as the lease is held; without an election, always.

        The lease is read while the first kinds are listed, and taken while the last ones are.
        """
        if elector is None:
            await self._work(client, caches)
            return
        await elector.read_ahead()
        await self._named.wait()
        guarded = client.guarded(elector.remaining)
        await elector.run(lambda: self._work(guarded, caches))

    async def _work(self, client: KubeClient, caches: Caches) -> None:
        """Reconcile everything from what is, until cancelled."""
        options, clock = self._options, Clock()
        await self._prepared.wait()
        async with AsyncExitStack() as stack:
            self._telemetry.leader.set(1)
            stack.callback(self._telemetry.stand_by)
            allowed = options.destinations
            tracer = Tracer(self._exporter(stack), clock)
            hooks = await stack.enter_async_context(Connections(HOOKS, destinations=allowed))
            # Apart, as a hook may take hours: no question waits for one.
            servers = await stack.enter_async_context(Connections(QUESTIONS, destinations=allowed))
            builds = Builds(client, await stack.enter_async_context(Connections(BUILDS, destinations=allowed)))
            events = EventRecorder(client, COMPONENT, instance=self._identity)
            sender = await stack.enter_async_context(Sender(destinations=allowed))
            alerter = Alerter(client, caches, sender, options)
            board = OpenChecks(
                LaterAsker(lambda asker: asker(client, caches, options, hooks, servers, clock, builds)),
                self._queue.urge,
                failed=lambda _question: self._telemetry.question_failed(),
                tracer=tracer,
            )
            stack.push_async_callback(board.close)
            telling = Hooks(client, hooks, clock)
            courier = Courier(events, alerter, self._telemetry, telling, options, clock, self._queue.add, tracer)
            recorder = Recorder(client, caches, courier, self._telemetry, clock, tracer)
            stack.push_async_callback(recorder.close)
            reconciler = Reconciler(
                client,
                caches,
                self._queue,
                self._index,
                board,
                recorder,
                self._telemetry,
                options,
                clock,
                builds.end,
                tracer,
            )
            if asyncio.get_running_loop().time() > self._prepared_at + _STILL_KNOWN:
                await prepare(caches, self._index, options)
            self._wake_all(caches)
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run(), name="events")
                group.create_task(reconciler.run(), name="reconciler")

    def _exporter(self, stack: AsyncExitStack) -> "Exporter | None":
        """What takes spans, where somebody has asked for them."""
        if not self._options.traces:
            return None
        from canary.controller.otlp import Exporter  # noqa: PLC0415 - it is wanted by few

        exporter = Exporter(self._options.traces, version("canary-controller"))
        stack.push_async_callback(exporter.close)
        return exporter

    def _changed(self, resource: Resource, change: Change[Json]) -> None:
        """Wake the Canaries that a change concerns, save one that has just made it.

        What it writes itself of a workload may hold what somebody else has written there, such as a new version.
        """
        if resource is CANARY:
            concerned = {f"{change.key.namespace}/{change.key.name}", *self._index.claims.take(change)}
            concerned |= self._index.rollouts.take(change)
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
