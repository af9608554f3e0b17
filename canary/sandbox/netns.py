"""One private network for a whole cluster: `python -m canary.sandbox.netns -- COMMAND…`.

The command runs in network, mount and process namespaces of its own (and a user namespace, where it is not started by
root). Every address of `10.0.0.0/8` is local there, so pods and Services can have addresses as in a real cluster, and
nothing reaches the outside. Everything started inside dies with the command, and with whoever started it.
"""

import argparse
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

MARKER = "CANARY_SANDBOX_NAMESPACE"
"""Environment variable that is set inside such a namespace."""

DNS_ADDRESS = "10.0.0.10"

CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MNT_DETACH = 2
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_SIOCSIFADDR = 0x8916
_SIOCSIFFLAGS = 0x8914
_SIOCSIFNETMASK = 0x891C
_IFF_UP_RUNNING = 0x41
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_RESOLV_CONF = f"nameserver {DNS_ADDRESS}\nsearch .\noptions ndots:1 timeout:2 attempts:3\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


class NamespaceError(RuntimeError):
    """The machine does not let us make the namespaces that a cluster needs."""


def inside() -> bool:
    """Whether this process runs in a namespace made by this module."""
    return MARKER in os.environ


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, pid_file: Path | None = None) -> int:
    """Run a command in a fresh namespace and wait for it.

    Args:
        command: its argument list.
        environment: its variables; those of this process by default.
        pid_file: gets the process number, as it is outside, by which `enter` finds the namespace.

    Returns:
        The command's exit status, 128 + N where signal N ended it.

    Raises:
        NamespaceError: the machine does not allow it; the text says what to change.
    """
    env = {**(os.environ if environment is None else environment), MARKER: "1"}
    alive_read, alive_write = os.pipe()
    problem_read, problem_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(alive_write)
        os.close(problem_read)
        _become_namespace(list(command), env, alive_read, problem_write, pid_file)
    os.close(alive_read)
    os.close(problem_write)
    _forward_signals(child)
    with os.fdopen(problem_read) as problem:
        text = problem.read()
    status = _wait(child)
    os.close(alive_write)
    if text:
        raise NamespaceError(text)
    return status


def probe() -> None:
    """See that the machine allows such a namespace, before time goes into what runs in one.

    Raises:
        NamespaceError: it does not; the text says what to change.
    """
    # In a process of its own: `run` keeps this one's signals for its command.
    command = [sys.executable, "-P", str(Path(__file__)), "--", sys.executable, "-S", "-c", ""]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if tried.returncode != 0:
        raise NamespaceError(tried.stderr.strip() or f"can't make a network namespace (status {tried.returncode})")


def _become_namespace(command: list[str], env: dict[str, str], alive: int, problem: int, pid_file: Path | None) -> None:
    """Never returns: the middle process, which makes the namespaces and waits for their init."""
    try:
        _die_with_parent(alive)
        _unshare()
        init = os.fork()
        if init == 0:
            _be_init(command, env, alive, problem)
        os.close(problem)
        if pid_file is not None:
            pid_file.write_text(str(init))
        _forward_signals(init)
        os._exit(_wait(init))
    except OSError as error:
        _report(problem, error)
        os._exit(125)


def _be_init(command: list[str], env: dict[str, str], alive: int, problem: int) -> None:
    """Never returns: process 1 of the namespace, whose end takes all others along."""
    try:
        _die_with_parent(alive)
        _private_files()
        _loopback_everything()
        main = os.fork()
    except OSError as error:
        _report(problem, error)
        os._exit(125)
    if main == 0:
        os.close(problem)
        os.close(alive)
        _execute(command, env)
    os.close(problem)
    _forward_signals(main)
    os._exit(_reap_until(main))


def enter(init: int, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in a namespace that runs already, and wait for it.

    Args:
        init: what `run` wrote to its `pid_file`.
        command: its argument list.
        environment: its variables.

    Returns:
        The command's exit status, 128 + N where signal N ended it.

    Raises:
        NamespaceError: that namespace is gone, or another user's.
    """
    problem_read, problem_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(problem_read)
        _join(init, list(command), {**environment, MARKER: "1"}, problem_write)
    os.close(problem_write)
    _forward_signals(child)
    with os.fdopen(problem_read) as problem:
        text = problem.read()
    status = _wait(child)
    if text:
        raise NamespaceError(text)
    return status


def _join(init: int, command: list[str], env: dict[str, str], problem: int) -> None:
    """Never returns: the process that enters, and waits for the one that runs the command."""
    try:
        here = Path.cwd()
        _set_namespaces(init)
        main = os.fork()
    except OSError as error:
        os.write(problem, f"can't enter the sandbox's network: {error}".encode())
        os._exit(125)
    os.close(problem)
    if main == 0:
        os.chdir(here)
        _execute(command, env)
    _forward_signals(main)
    os._exit(_wait(main))


def _set_namespaces(init: int) -> None:
    # All are opened and compared first: after the first step /proc may show other processes.
    opened = [
        (kind, os.open(f"/proc/{init}/ns/{kind}", os.O_RDONLY))
        for kind in ("user", "mnt", "net", "pid")
        if Path(f"/proc/{init}/ns/{kind}").stat().st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino
    ]
    for kind, number in opened:
        check(libc().setns(number, 0), f"{kind} namespace")
        os.close(number)


def _execute(command: list[str], env: dict[str, str]) -> None:
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, env)  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - this is a command line
        os._exit(127)


def libc() -> ctypes.CDLL:
    """The C library, for what Python has no function for."""
    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """See that a function of the C library did it.

    Raises:
        OSError: it did not.
    """
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _unshare() -> None:
    """Take new namespaces; without the right to, as the root of a new user namespace."""
    wanted = CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWNET
    uid, gid = os.getuid(), os.getgid()
    if uid == 0 and libc().unshare(wanted) == 0:
        return
    check(libc().unshare(wanted | _CLONE_NEWUSER), "new user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def mount(source: str, target: str, kind: str | None, flags: int) -> int:
    """Have what is at one path at another, too, by the system call of this name; 0, or -1 where it can't be done."""
    encoded = kind.encode() if kind else None
    return int(libc().mount(source.encode(), target.encode(), encoded, flags, None))


def _private_files() -> None:
    """Give the namespace its own name resolution and its own view of processes."""
    check(mount("none", "/", None, MS_REC | MS_PRIVATE), "private mounts")
    mount("proc", "/proc", "proc", 0)  # where a container masks /proc this fails, and costs only a view
    folder = tempfile.mkdtemp(prefix="canary-netns-")
    check(mount("tmpfs", folder, "tmpfs", 0), "private files")
    for name, text in (("resolv.conf", _RESOLV_CONF), ("nsswitch.conf", _NSSWITCH), ("hosts", _HOSTS)):
        own, target = Path(folder, name), Path("/etc", name)
        own.write_text(text)
        if target.exists():
            check(mount(str(own), os.path.realpath(target), None, MS_BIND), f"own {target}")
    # What is mounted elsewhere stays; the folder goes, and nothing is left behind.
    check(libc().umount2(folder.encode(), _MNT_DETACH), "private files")
    Path(folder).rmdir()


def _loopback_everything() -> None:
    """Make every address of 10.0.0.0/8 local: the prefix of a loopback address is local as a whole."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _interface(control, b"lo", _SIOCSIFFLAGS, struct.pack("H14x", _IFF_UP_RUNNING))
        _interface(control, b"lo:0", _SIOCSIFADDR, _ipv4("10.0.0.1"))
        _interface(control, b"lo:0", _SIOCSIFNETMASK, _ipv4("255.0.0.0"))


def _ipv4(address: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))


def _interface(control: socket.socket, name: bytes, request: int, value: bytes) -> None:
    fcntl.ioctl(control, request, struct.pack("16s16s", name, value) + bytes(8))


def _die_with_parent(alive: int) -> None:
    """Ask for SIGKILL at the parent's death; `alive` is a pipe that only living starters hold open."""
    check(libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    if select.select([alive], [], [], 0)[0]:
        os._exit(125)


def _forward_signals(child: int) -> None:
    def forward(number: int, frame: FrameType | None) -> None:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return

    for number in _FORWARDED:
        signal.signal(number, forward)


def _wait(child: int) -> int:
    return _status(os.waitpid(child, 0)[1])


def _status(raw: int) -> int:
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code


def _reap_until(main: int) -> int:
    """Collect orphans, as process 1 must, until the main command ends."""
    while True:
        pid, raw = os.wait()
        if pid == main:
            return _status(raw)


def _report(pipe: int, error: OSError) -> None:
    os.write(pipe, _refusal(error).encode())


def _refusal(error: OSError) -> str:
    """Why there is no namespace, and which setting of the machine says so."""
    if error.errno == errno.ENOSPC:
        return (
            "can't make a network namespace: the machine allows no more of them; raise sysctl user.max_user_namespaces"
            " (and user.max_net_namespaces, user.max_pid_namespaces, user.max_mnt_namespaces)"
        )
    return (
        f"can't make a network namespace ({error.strerror or error}); run as root, or allow user namespaces"
        " (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m canary.sandbox.netns", description="Run a command in a private network."
    )
    parser.add_argument("--die-with-parent", action="store_true", help="end when the starter is killed")
    parser.add_argument("--pid-file", type=Path, help="gets the number of the namespace's first process")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND [ARGUMENT…]")
    given = parser.parse_args(arguments)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        parser.error("no command given")
    if given.die_with_parent:
        check(libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    try:
        return run(command, pid_file=given.pid_file)
    except NamespaceError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command line
        return 125


if __name__ == "__main__":
    sys.exit(main())
