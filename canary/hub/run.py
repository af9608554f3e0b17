"""Put a hub together, and run it until it is told to stop."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from typing import Final

import structlog

from canary.controller.clock import Clock
from canary.controller.server import Server
from canary.controller.stopping import until_stopped
from canary.hub.gates import Gates
from canary.hub.link import MANAGER, Link, Place, Reach
from canary.hub.looks import look
from canary.hub.members import Members
from canary.hub.objects import Objects
from canary.hub.options import HubOptions
from canary.hub.reconcile import Reconciler
from canary.hub.routes import Routes
from canary.hub.telemetry import Telemetry
from canary.hub.writer import Writer
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.events import EventRecorder
from canary.kube.leader import LeaderElector
from canary.kube.queue import WorkQueue
from canary.kube.reach import reach
from canary.kube.types import name_of, namespace_of
from canary.webhooks import HOOKS
from outbound.connections import Connections

log = structlog.get_logger(__name__)

LEASE: Final = "canary-hub"
"""The Lease that says which of several hubs acts."""

REST_SECONDS: Final = 0.1
"""How long changes of a fleet and its members gather after it was looked at."""


async def run(options: HubOptions) -> None:
    """Run a hub until SIGTERM or SIGINT.

    Raises:
        ConfigError: there is no way to an API server.
        ListenError: the port is taken, or the address is none of this machine's.
    """
    await until_stopped(Hub(options).run(), "hub")


class Hub:
    """One hub process.

    Args:
        options: its settings.
        connect: connects to a member.

    Attributes:
        telemetry: what its `/metrics` shows.
    """

    def __init__(self, options: HubOptions, connect: Reach | None = None) -> None:
        self._options = options
        self._reach: Reach = connect or (lambda access: reach(access, user_agent=MANAGER))
        self._identity = f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self._queue: WorkQueue[str] = WorkQueue(rest=REST_SECONDS)
        self._members: Members | None = None
        self.telemetry = Telemetry(version("canary-controller"))

    async def run(self) -> None:
        """Watch its own cluster, and work while leading, until cancelled."""
        options = self._options
        async with AsyncExitStack() as stack:
            way = KubeClient.connect(options.kubeconfig, options.context, user_agent=MANAGER)
            client = await stack.enter_async_context(way)
            objects = Objects(client, options, self._look, self._queue.add)
            prepared = asyncio.Event()
            server = Server(
                options.address,
                options.port,
                self.telemetry.registry,
                ready=prepared.is_set,
                refresh=lambda: self.telemetry.queue_depth.set(self._queue.depth),
                waits="the API server",
            )
            await server.start()
            stack.push_async_callback(server.close)
            async with asyncio.TaskGroup() as group:
                group.create_task(objects.run(), name="objects")
                await objects.tried()
                prepared.set()
                log.info("knows its own cluster", fleets=len(objects.fleets), sources=[*options.sources])
                group.create_task(self._lead(client, objects), name="lead")

    async def _lead(self, client: KubeClient, objects: Objects) -> None:
        """Work for as long as the lease is held; without an election, always."""
        options = self._options
        if not options.leader_election:
            await self._work(client, objects, lambda: float("inf"))
            return
        elector = LeaderElector(client, options.lease_namespace or client.namespace, LEASE, self._identity)
        guarded = client.guarded(elector.remaining)
        await elector.run(lambda: self._work(guarded, objects, elector.remaining))

    async def _work(self, client: KubeClient, objects: Objects, may_write: Callable[[], float]) -> None:
        """Drive all fleets from what is, until cancelled."""
        clock, queue = Clock(), self._queue
        async with AsyncExitStack() as stack:
            self.telemetry.leader.set(1)
            stack.callback(self.telemetry.stand_by)
            hooks = await stack.enter_async_context(Connections(HOOKS, destinations=self._options.destinations))
            gates, writer = Gates(hooks, partial(look, client), clock, queue.urge), Writer(queue.add)
            stack.push_async_callback(gates.close)
            stack.push_async_callback(writer.close)
            events = EventRecorder(client, MANAGER, instance=self._identity)

            def link(place: Place, access: Access) -> Link:
                return Link(place, access, self._reach, may_write, self._wake)

            routes = Routes(client, self._wake_in)
            members = self._members = Members(objects, link, lambda: self._know(objects, routes))
            reconciler = Reconciler(
                client, objects, members, routes, writer, gates, events, queue, self.telemetry, clock
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(events.run(), name="events")
                group.create_task(members.run(), name="members")
                group.create_task(routes.run(), name="routes")
                for number in range(self._options.workers):
                    group.create_task(reconciler.work(), name=f"worker {number}")

    def _look(self) -> None:
        if self._members is not None:
            self._members.look()

    def _wake(self, place: Place, name: str | None) -> None:
        """Have the fleets looked at that a Canary in a member belongs to; all that have it where no name is said."""
        for key in self._members.having(place, name) if self._members is not None else ():
            self._queue.add(key)

    def _know(self, objects: Objects, routes: Routes) -> None:
        """Go by the clusters and fleets that there are now."""
        routes.follow(self._members.fleets if self._members is not None else ())
        self._wake_all(objects)

    def _wake_in(self, namespace: str) -> None:
        """Have the fleets of a namespace looked at that set the weights of routes."""
        for fleet in self._members.fleets if self._members is not None else ():
            if fleet.namespace == namespace and fleet.spec.traffic is not None:
                self._queue.add(fleet.key)

    def _wake_all(self, objects: Objects) -> None:
        for raw in objects.fleets.list():
            self._queue.add(f"{namespace_of(raw)}/{name_of(raw)}")
