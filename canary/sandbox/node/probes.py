"""Probes, as a kubelet makes them: over HTTP, over gRPC, by a connection, by a command."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from canary.kube.types import Json
from canary.sandbox import grpc
from canary.sandbox.node.podspec import port_number

Execute = Callable[[list[str]], Awaitable[int]]
"""Run a command beside the container's program; its exit status."""

_EAGER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container's spec, with the defaults of the API."""

    spec: Json
    container: Json
    host: str

    def seconds(self, name: str, default: int) -> int:
        """One of the probe's times."""
        return int(self.spec.get(name, default))

    async def ask(self, execute: Execute) -> str | None:
        """Make one attempt: what went wrong, or None."""
        try:
            async with asyncio.timeout(self.seconds("timeoutSeconds", 1)):
                return await self._attempt(execute)
        except TimeoutError:
            return "no answer in time"
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return str(error) or type(error).__name__

    async def _attempt(self, execute: Execute) -> str | None:
        if "exec" in self.spec:
            status = await execute(list(self.spec["exec"].get("command", [])))
            return None if status == 0 else f"command exited with status {status}"
        if "httpGet" in self.spec:
            return await self._http(self.spec["httpGet"])
        if "grpc" in self.spec:
            action = self.spec["grpc"]
            async with grpc.connection(self.host, int(action["port"])) as channel:
                return await grpc.unhealthy(channel, action.get("service") or "")
        action = self.spec.get("tcpSocket") or {}
        _, writer = await asyncio.open_connection(self.host, port_number(action.get("port", 0), self.container))
        writer.close()
        return None

    async def _http(self, action: Json) -> str | None:
        host = action.get("host") or self.host
        reader, writer = await asyncio.open_connection(host, port_number(action.get("port", 80), self.container))
        try:
            headers = {"Host": host, "User-Agent": "kube-probe/sandbox", "Connection": "close"}
            headers |= {item["name"]: item["value"] for item in action.get("httpHeaders", [])}
            lines = [f"GET {action.get('path') or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            status = int((await reader.readline()).split()[1])
        except IndexError:
            return "the answer is not HTTP"
        finally:
            writer.close()
        return None if 200 <= status < 400 else f"HTTP status {status}"


async def watch(probe: Probe, execute: Execute, report: Callable[[bool, str], None], *, initially: bool) -> None:
    """Probe for good, and report each change of state once its threshold is reached.

    While a probe has not succeeded yet, its first attempts follow each other faster than its period says: a pod is
    ready the sooner, and nothing else is different.
    """
    good, run = initially, 0
    await asyncio.sleep(probe.seconds("initialDelaySeconds", 0))
    period = probe.seconds("periodSeconds", 10)
    pause = period if initially else _EAGER_SECONDS
    while True:
        problem = await probe.ask(execute)
        run = run + 1 if (problem is None) != good else 0
        threshold = probe.seconds("failureThreshold", 3) if good else probe.seconds("successThreshold", 1)
        if run >= threshold:
            good, run = not good, 0
            report(good, problem or "")
        pause = period if good else min(period, pause * 1.5)
        await asyncio.sleep(pause)


async def first_success(probe: Probe, execute: Execute) -> str | None:
    """Probe until it succeeds once, as a startup probe; what went wrong, if its attempts are used up before."""
    await asyncio.sleep(probe.seconds("initialDelaySeconds", 0))
    period = probe.seconds("periodSeconds", 10)
    deadline = asyncio.get_running_loop().time() + period * probe.seconds("failureThreshold", 3)
    pause = _EAGER_SECONDS
    while (problem := await probe.ask(execute)) is not None:
        if asyncio.get_running_loop().time() >= deadline:
            return problem
        pause = min(period, pause * 1.5)
        await asyncio.sleep(pause)
    return None
