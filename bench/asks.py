"""What it costs to ask and to judge: many Canaries in mid-rollout, at a metrics server of this machine.

Each is looked at once an interval: decided on, asked about, and decided on with the answers, by the controller's own
code. Only the API server is left out. Beside its three metrics each asks how many requests have come.
"""

import asyncio
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import aiohttp

from bench.figures import Figures
from bench.lane import ROOT
from canary.api.canary import Canary, parse_canary
from canary.api.status import CanaryStatus, Phase
from canary.api.traffic import Readiness, Split
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.ask.checks import OpenChecks
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.controller.run import GARBAGE
from canary.kube.client import KubeClient
from canary.kube.types import METRIC_TEMPLATE, Json, Resource
from canary.rollout.decide import decide
from canary.rollout.facts import Facts, Workload
from canary.webhooks import HOOKS
from metrics.connections import QUESTIONS
from outbound.connections import Connections

INTERVAL = 10.0
NAMESPACE = "bench"
LABEL = "this"

_TEMPLATE: Json = {
    "apiVersion": METRIC_TEMPLATE.api_version,
    "kind": METRIC_TEMPLATE.kind,
    "metadata": {"name": "everybody", "namespace": NAMESPACE},
    "spec": {"provider": {"type": "prometheus"}, "query": 'sum(rate(errors_total{cluster="all"}[{{ interval }}]))'},
}
_READY = Workload("v1", Readiness(desired=1, updated=1, ready=1, available=1, total=1))


class _Known:
    """In place of the caches: one MetricTemplate, which every Canary names."""

    def get(self, resource: Resource, _namespace: str, _name: str) -> Json | None:
        """As the caches have it."""
        return _TEMPLATE if resource is METRIC_TEMPLATE else None


def canary(number: int) -> Canary:
    """A Canary at its first step, with two built-in metrics and one that all have in common."""
    name = f"app-{number:04}"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    metrics = [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "10s"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "10s"},
        {"name": "errors", "templateRef": {"name": "everybody"}, "thresholdRange": {"max": 100}, "interval": "10s"},
    ]
    spec = {
        "provider": "traefik",
        "targetRef": target,
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 5, "stepWeight": 1, "maxWeight": 99, "metrics": metrics},
    }
    return parse_canary({"metadata": {"name": name, "namespace": NAMESPACE, "uid": name}, "spec": spec})


@dataclass
class _Driver:
    """Looks at each Canary when it is due, as the controller's loop does.

    Args:
        asker: asks.
        canaries: by key.
        took: seconds from the time at which a look was due until it was judged.
        due: loop time of the next look, by key.
        ended: whether it is over.
    """

    asker: Asker
    canaries: dict[str, Canary] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    due: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    board: OpenChecks = field(init=False)

    def __post_init__(self) -> None:
        self.board = OpenChecks(self.asker, self.look)

    def look(self, key: str) -> None:
        """One pass: decide, and ask what is to be asked, or go on to the next look."""
        if self.ended:
            return
        before, now = self.canaries[key], datetime.now(UTC)
        facts = Facts(
            now=now,
            target=replace(_READY, revision="v2"),
            primary=_READY,
            split=Split(canary=before.status.canary_weight),
            provider="traefik",
            countable=True,
            answers=self.board.answers(key),
        )
        decision = decide(before, facts)
        self.canaries[key] = before.replace(status=decision.status)
        self.board.ask(before, decision.asks)
        loop = asyncio.get_running_loop()
        if decision.asks:
            return
        if decision.status.last_check_time != before.status.last_check_time:
            self.took.append(loop.time() - self.due[key])
        if decision.status.phase is not Phase.PROGRESSING or decision.wake is None:
            msg = f"{key} is no more in mid-rollout: {decision.reason}"
            raise RuntimeError(msg)
        wait = max(0.0, (decision.wake - datetime.now(UTC)).total_seconds())
        self.due[key] = loop.time() + wait
        loop.call_later(wait, self.look, key)


async def asks(figures: Figures, count: int, seconds: float) -> None:
    """Ask and judge for a while.

    Args:
        figures: take the numbers.
        count: how many Canaries there are.
        seconds: for how long they are looked at.
    """
    with _server() as url:
        options = Options(metrics_server=url, mesh_provider="traefik")
        async with Connections(HOOKS) as hooks, Connections(QUESTIONS) as servers, aiohttp.ClientSession() as session:
            client, builds = cast("KubeClient", None), Builds(cast("KubeClient", None), servers)
            asker = Asker(client, cast("Caches", _Known()), options, hooks, servers, lambda: datetime.now(UTC), builds)
            driver = _Driver(asker)
            _begin(driver, count)
            await asyncio.sleep(2 * INTERVAL + 1)
            gc.freeze()
            gc.set_threshold(*GARBAGE)
            driver.took.clear()
            asked, cpu, began = await _asked(session, url), time.process_time(), time.monotonic()
            await asyncio.sleep(seconds)
            used, passed = time.process_time() - cpu, time.monotonic() - began
            looks, asked = len(driver.took), await _asked(session, url) - asked
            driver.ended = True
            await driver.board.close()
    figures.add("cores", LABEL, used / passed)
    figures.add("looks a second", LABEL, looks / passed)
    figures.add("requests to the metrics server, a look", LABEL, asked / looks)
    figures.add("CPU ms a look", LABEL, 1000 * used / looks)
    figures.quantiles("s from when a look is due until it is judged", LABEL, driver.took)


def _begin(driver: _Driver, count: int) -> None:
    """Have the Canaries be in mid-rollout, each due at a time of its own."""
    loop, now = asyncio.get_running_loop(), datetime.now(UTC)
    for number in range(count):
        made = canary(number)
        wait = INTERVAL * number / count
        looked = now + timedelta(seconds=wait - INTERVAL)
        status = CanaryStatus(
            phase=Phase.PROGRESSING,
            canary_weight=1,
            last_applied_spec="v2",
            last_promoted_spec="v1",
            reason="Analysing",
            last_check_time=looked,
            last_progress_time=looked,
            last_transition_time=looked,
            analysis_start_time=looked - timedelta(minutes=5),
        )
        driver.canaries[made.key] = made.replace(status=status)
        driver.due[made.key] = loop.time() + wait
        loop.call_later(wait, driver.look, made.key)


@contextmanager
def _server() -> Iterator[str]:
    """The metrics server, in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bench.answers", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
    try:
        for _ in range(200):
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.communicate(timeout=10)


async def _asked(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(f"{url}/asked") as answer:
        return int(await answer.text())
