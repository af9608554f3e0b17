"""A sandbox in the background: `up`, `status`, `down`, and running a command inside it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from canary.sandbox import binaries, daemon, netns
from canary.sandbox.assembly import Assembly, own_package
from canary.sandbox.instance import AlreadyRunningError, Instance, Status, number_in
from canary.sandbox.options import Options
from canary.sandbox.process import log_tail

Progress = Callable[[str], None]

_POLL_SECONDS = 0.1
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_SIGN_SECONDS = 1.0
"""What a process may take from holding the sandbox to writing down that it does."""


class SandboxError(RuntimeError):
    """The sandbox could not be started, stopped or entered; the text says why, for people."""


def status(instance: Instance | None = None) -> Status | None:
    """How the sandbox in the background is; None where there is none."""
    instance = instance or Instance.of_user()
    found = instance.read()
    if instance.alive():
        return found or Status("starting", str(instance.kubeconfig), "", str(instance.cluster / "logs"))
    if found is None:
        return None
    failure = found.failure or "the sandbox was killed, or the machine went down"
    return replace(found, phase="failed", failure=failure)


def up(options: Options, progress: Progress, instance: Instance | None = None) -> Status:
    """Start a sandbox in the background, after building what is missing, and wait until it is ready.

    Args:
        options: how the cluster is to be; its folder is chosen here.
        progress: is told, in lines, what goes on.
        instance: where its files lie; the user's own by default.

    Raises:
        AlreadyRunningError: there is one already.
        NamespaceError: the machine does not allow the network that it needs.
        PlaceError: its files can't lie where they should.
        SandboxError: it could not be started; the text has the reason.
        ToolMissingError: a program can be neither found nor built.
    """
    instance = instance or Instance.of_user()
    if instance.alive():
        raise AlreadyRunningError(_running(instance))
    instance.make()
    netns.probe()
    placed = _placed(options, instance)
    binaries.ensure(Assembly(placed, instance.cluster, lambda failure: None).programs(), progress)
    if instance.alive():  # started by somebody else while this was building
        raise AlreadyRunningError(_running(instance))
    instance.clear()
    daemon.write_options(instance, placed)
    with instance.log.open("wb") as log:
        launched = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "canary.sandbox.daemon", "serve", str(instance.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own_package()},
            check=False,
        )
    if launched.returncode != 0:
        raise SandboxError(f"the sandbox did not start:\n{log_tail(instance.log)}")
    try:
        return _await_ready(instance, progress, _START_SECONDS * (1 + len(placed.members)))
    except BaseException:
        _end(instance)
        raise


def _placed(options: Options, instance: Instance) -> Options:
    """The same with the folders of its clusters."""
    members = {name: replace(each, folder=instance.member(name)) for name, each in options.members.items()}
    return replace(options, folder=instance.cluster, members=members)


def _running(instance: Instance) -> str:
    found = status(instance)
    if found is not None and found.phase == "failed":
        return f"the sandbox in {instance.folder} has failed; `down` ends it: {found.failure}"
    if found is not None and found.phase == "starting":
        return f"a sandbox is being started already ({instance.folder}); `status` says how it is, `down` ends it"
    return f"a sandbox runs already ({instance.folder}); `down` ends it"


def _await_ready(instance: Instance, progress: Progress, within: float) -> Status:
    deadline = time.monotonic() + within
    with instance.log.open() as log:
        while time.monotonic() < deadline:
            ended = not instance.alive()
            _pass_on(log, progress)
            found = instance.read()
            if found is not None and found.phase == "ready":
                return found
            if found is not None and found.phase == "failed":
                raise SandboxError(found.failure)
            if ended:
                raise SandboxError(f"the sandbox did not start:\n{log_tail(instance.log)}")
            time.sleep(_POLL_SECONDS)
    raise SandboxError(f"the sandbox is not ready after {within:g} s:\n{log_tail(instance.log)}")


def _pass_on(log: IO[str], progress: Progress) -> None:
    for line in log.read().splitlines():
        progress(line)


def down(instance: Instance | None = None) -> bool:
    """End the sandbox and remove its files, and nothing else; whether there was one.

    Raises:
        SandboxError: it does not end.
    """
    instance = instance or Instance.of_user()
    _end(instance)
    return instance.remove()


def _end(instance: Instance) -> None:
    began, told = time.monotonic(), False
    while instance.alive():
        pid = instance.holder()
        if pid is not None and not _is_sandbox(pid):
            pid = None
        if pid is None and not told and time.monotonic() - began > _SIGN_SECONDS:
            raise SandboxError(
                f"{instance.folder} does not say which process holds it; end `canary.sandbox.daemon serve` by hand"
            )
        if time.monotonic() - began > _STOP_SECONDS:
            raise SandboxError(f"process {pid} does not end")
        if pid is not None and not told:
            told = True
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, signal.SIGTERM)
        time.sleep(_POLL_SECONDS)


def _is_sandbox(pid: int) -> bool:
    """Whether this is a process of ours: numbers are given again, and files are edited."""
    try:
        return b"canary.sandbox.daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def execute(command: Sequence[str], instance: Instance | None = None) -> int:
    """Run a command inside the sandbox's network, with `kubectl` and `hey` on its PATH; its exit status.

    Raises:
        SandboxError: there is no sandbox, or it can't be entered.
    """
    instance = instance or Instance.of_user()
    init = number_in(instance.init_pid) if instance.alive() else None
    if init is None:
        raise SandboxError("no sandbox is running; `up` starts one")
    path = os.pathsep.join([str(instance.cluster / "bin"), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PATH": path, "KUBECONFIG": str(instance.inside)}
    try:
        return netns.enter(init, command, variables)
    except netns.NamespaceError as error:
        raise SandboxError(str(error)) from error
