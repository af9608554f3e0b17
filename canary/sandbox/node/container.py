"""The life of one container: a process, its probes, its restarts."""

import asyncio
import ctypes
import os
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary.kube.types import Json
from canary.sandbox.node import images, podspec, probes
from canary.sandbox.node.state import ContainerState, Running, Terminated, Waiting, timestamp

_PULL_AGAIN_SECONDS = 10.0
_CONFIGURE_AGAIN_SECONDS = 1.0
_FORGIVEN_AFTER_SECONDS = 600.0
_LAST_BACKOFF_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_MESSAGE_PATH = "/dev/termination-log"
_MESSAGE_BYTES, _LOG_BYTES = 4096, 2048
_libc = ctypes.CDLL(None)


def _die_with_node() -> None:
    """Runs in the new process: pods don't outlive the program that looks after them."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(slots=True)
class Container:
    """One container of one pod.

    Attributes:
        spec: its part of the pod's spec.
        pod: the whole pod.
        identity: where the pod is.
        folder: what the program finds under `POD_DIR`: the files of its volumes.
        log: where its output goes.
        contents: reads what the pod's spec refers to, as it is now.
        changed: called after each change of `state`.
        backoff: seconds before the second restart; doubled at each after it.
    """

    spec: Json
    pod: Json
    identity: podspec.Identity
    folder: Path
    log: Path
    contents: Callable[[], Awaitable[podspec.Lookup]]
    changed: Callable[[], None]
    backoff: float = 1.0
    state: ContainerState = field(init=False)
    _process: Process | None = None
    _environment: Mapping[str, str] = field(default_factory=dict)
    _stopping: bool = False

    def __post_init__(self) -> None:
        self.state = ContainerState(self.spec["name"], self.spec["image"])

    async def run(self, restart_policy: str) -> int:
        """Run it, again and again where the policy says so; the last exit status."""
        failures = 0
        while True:
            started = time.monotonic()
            status = await self._once()
            if self._stopping or restart_policy == "Never" or (restart_policy == "OnFailure" and status == 0):
                return status
            failures = 1 if time.monotonic() - started > _FORGIVEN_AFTER_SECONDS else failures + 1
            await self._back_off(failures)

    async def _back_off(self, failures: int) -> None:
        self.state.restarts += 1
        self.state.before = self.state.now if isinstance(self.state.now, Terminated) else None
        if failures == 1:
            return
        pause = min(self.backoff * 2 ** (failures - 2), _LAST_BACKOFF_SECONDS)
        self._now(Waiting("CrashLoopBackOff", f"back-off {pause:g}s restarting failed container={self.spec['name']}"))
        await asyncio.sleep(pause)

    async def _once(self) -> int:
        program = await self._pull()
        self._environment = await self._configure(program)
        since = timestamp()
        try:
            process = await self._start(program)
        except OSError as error:
            self._now(Terminated(128, f"StartError: {error}", since, timestamp()))
            return 128
        self._process = process
        self._now(Running(since))
        try:
            status = await self._watch(process)
        finally:
            _kill_group(process)
        self._process = None
        self.state.started = self.state.ready = False
        code = status if status >= 0 else 128 - status
        reason = "Completed" if code == 0 else "Error"
        self._now(Terminated(code, reason, since, timestamp(), self._last_message(code)))
        return code

    def _last_message(self, code: int) -> str:
        """What it has left in its file, under `POD_DIR`; else, where its spec says so and it failed, its log's end."""
        path = str(self.spec.get("terminationMessagePath") or _MESSAGE_PATH).lstrip("/")
        told = _end_of(self.folder / path, _MESSAGE_BYTES)
        if told or code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return told
        return _end_of(self.log, _LOG_BYTES)

    async def _pull(self) -> images.Program:
        arguments = [str(argument) for argument in self.spec.get("args", [])]
        command = [str(argument) for argument in self.spec.get("command", [])]
        while True:
            try:
                return images.program_of(self.spec["image"], command, arguments)
            except images.ImageError as error:
                self._now(Waiting("ErrImagePull", str(error)))
                await asyncio.sleep(1)
                text = f'Back-off pulling image "{self.spec["image"]}": ErrImagePull: {error}'
                self._now(Waiting("ImagePullBackOff", text))
                await asyncio.sleep(_PULL_AGAIN_SECONDS)

    async def _configure(self, program: images.Program) -> dict[str, str]:
        while True:
            lookup = await self.contents()
            try:
                variables = podspec.environment(self.pod, self.spec, self.identity, lookup)
                held = podspec.files(self.pod, self.spec, self.identity, lookup)
            except podspec.MissingReferenceError as error:
                self._now(Waiting("CreateContainerConfigError", str(error)))
                await asyncio.sleep(_CONFIGURE_AGAIN_SECONDS)
                continue
            for path, data in held.items():
                target = self.folder / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            machine = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            return {**machine, "VERSION": program.version, "POD_DIR": str(self.folder), **variables}

    async def _start(self, program: images.Program) -> Process:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = [podspec.expand(argument, self._environment) for argument in program.arguments]
        with self.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *arguments,
                env=dict(self._environment),
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_node,
            )

    async def _watch(self, process: Process) -> int:
        watcher = asyncio.create_task(self._probe(process))
        try:
            return await process.wait()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _probe(self, process: Process) -> None:
        startup = self._probe_of("startupProbe")
        if startup is not None:
            problem = await probes.first_success(startup, self.execute)
            if problem is not None:
                await self._end(process, self._grace())
                return
        self.state.started = True
        readiness, liveness = self._probe_of("readinessProbe"), self._probe_of("livenessProbe")
        self.state.ready = readiness is None
        self.changed()
        async with asyncio.TaskGroup() as group:
            if readiness is not None:
                group.create_task(probes.watch(readiness, self.execute, self._set_ready, initially=False))
            if liveness is not None:
                dead = asyncio.Event()
                group.create_task(probes.watch(liveness, self.execute, lambda *_: dead.set(), initially=True))
                await dead.wait()
                if not self._stopping:
                    await self._end(process, self._grace())

    def _probe_of(self, name: str) -> probes.Probe | None:
        spec = self.spec.get(name)
        if spec is None:
            return None
        return probes.Probe(images.standing_for(spec, self.spec["image"]), self.spec, self.identity.ip)

    def _set_ready(self, good: bool, problem: str) -> None:
        self.state.ready = good
        self.changed()

    def _grace(self) -> float:
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def execute(self, command: list[str]) -> int:
        """Run a command with the container's environment; its exit status."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(self._environment),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            _kill_group(process)

    async def stop(self, grace: float) -> None:
        """End it as a pod's deletion does: preStop hook, SIGTERM, and SIGKILL when `grace` seconds are over."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + grace
        await self._pre_stop(grace)
        await self._end(process, deadline - time.monotonic())

    async def _pre_stop(self, grace: float) -> None:
        hook = self.spec.get("lifecycle", {}).get("preStop", {})
        try:
            async with asyncio.timeout(grace):
                if "sleep" in hook:
                    await asyncio.sleep(hook["sleep"].get("seconds", 0))
                elif "exec" in hook:
                    await self.execute(list(hook["exec"]["command"]))
                elif "httpGet" in hook:
                    await probes.Probe({**hook, "timeoutSeconds": 10}, self.spec, self.identity.ip).ask(self.execute)
        except (TimeoutError, OSError):
            return

    async def _end(self, process: Process, grace: float) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(max(0.0, grace)):
                await process.wait()
        except TimeoutError:
            _kill_group(process)
            await process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        if self._process is not None:
            _kill_group(self._process)

    def _now(self, state: Waiting | Running | Terminated) -> None:
        self.state.now = state
        self.changed()


def _end_of(path: Path, size: int) -> str:
    """The last bytes of a file as text; empty where there is none."""
    try:
        return path.read_bytes()[-size:].decode(errors="replace")
    except OSError:
        return ""


def _kill_group(process: Process) -> None:
    """Kill the program and whatever it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
