"""Revisions of the controller side by side: each a process of its own, with a user and a namespace of its own."""

import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench.audit import Asked, requests
from bench.process import cpu_seconds, memory_mib
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import CONTROLLER_PORT

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Lane:
    """One revision under test.

    Args:
        label: what it is called in the table.
        root: where its source lies.
        number: tells the lanes of one run apart.
    """

    label: str
    root: Path
    number: int

    @property
    def namespace(self) -> str:
        """Where its Canaries live: it watches nothing else."""
        return f"bench-{self.number}"

    @property
    def user(self) -> str:
        """Who it is for the API server, and in the audit log."""
        return f"bench-controller-{self.number}"

    def names(self, count: int) -> tuple[str, ...]:
        """The names of its Canaries, which no other lane uses."""
        return tuple(f"app-{self.number}-{each:04}" for each in range(count))

    async def start(self, cluster: Cluster, *, kubeconfig: Path | None = None, wait: bool = True) -> "Running":
        """Start the controller.

        Args:
            cluster: where.
            kubeconfig: another way to the API server than the straight one.
            wait: until it is ready.
        """
        port = CONTROLLER_PORT + self.number
        command = [sys.executable, "-m", "canary", "run"]
        command += ["--kubeconfig", str(kubeconfig or cluster.kubeconfig_for(self.user))]
        command += ["--metrics-server", addresses.PROMETHEUS_URL, f"--address={addresses.TOOLS}", f"--port={port}"]
        command += [f"--namespace={self.namespace}", f"--leader-election-namespace={self.namespace}"]
        # Without the second, the folder that the benchmark is run from would come before the lane's own.
        environment = {"PYTHONPATH": str(self.root), "PYTHONSAFEPATH": "1"}
        url = f"http://{addresses.TOOLS}:{port}"
        ready = f"{url}/readyz" if wait else None
        await cluster.run(f"controller-{self.number}", command, environment=environment, ready_url=ready)
        return Running(self, cluster, url)


@dataclass(frozen=True, slots=True)
class Running:
    """A controller at work, and what it costs.

    Args:
        lane: which revision.
        cluster: where.
        url: where it serves its metrics.
    """

    lane: Lane
    cluster: Cluster
    url: str

    @property
    def pid(self) -> int:
        """Its process.

        Raises:
            RuntimeError: it is gone.
        """
        pid = self.cluster.parts[f"controller-{self.lane.number}"].pid
        if pid is None:
            msg = f"the controller of {self.lane.label} is gone"
            raise RuntimeError(msg)
        return pid

    def cpu(self) -> float:
        """Seconds of CPU time that it has used."""
        return cpu_seconds(self.pid)

    def memory(self, field: str = "VmRSS") -> float:
        """Its memory in MiB."""
        return memory_mib(self.pid, field)

    def asked(self, since: datetime, until: datetime) -> list[Asked]:
        """What it asked of the API server in a stretch of time."""
        return requests(self.cluster.audit_log, self.lane.user, since, until)

    async def passes(self) -> Counter[str]:
        """How many times it has looked at a Canary, by what came of it."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as answer:
            families = text_string_to_metric_families(await answer.text())
        found: Counter[str] = Counter()
        for family in families:
            for sample in family.samples:
                if sample.name == "canary_controller_reconcile_total":
                    found[sample.labels["outcome"]] += round(sample.value)
        return found

    async def stop(self) -> None:
        """End it."""
        await self.cluster.parts[f"controller-{self.lane.number}"].stop()


@contextmanager
def lanes(against: str | None) -> Iterator[Sequence[Lane]]:
    """This checkout, and another revision beside it in a temporary worktree."""
    this = Lane("this", ROOT, 0)
    if against is None:
        yield (this,)
        return
    with tempfile.TemporaryDirectory(prefix="canary-bench-") as folder:
        other = Path(folder) / "other"
        _git("worktree", "add", "--detach", "--quiet", str(other), against)
        try:
            # Compiled beforehand: a process that compiles its source holds more memory.
            for root in (ROOT, other):
                subprocess.run([sys.executable, "-m", "compileall", "-q", *packages(root)], cwd=root, check=True)
            yield (this, Lane(against, other, 1))
        finally:
            _git("worktree", "remove", "--force", str(other))


def packages(root: Path) -> list[str]:
    """The packages of a revision, as it names them for its wheel."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    named: list[str] = document["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return named


def _git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True)  # noqa: S607 - git as people have it
