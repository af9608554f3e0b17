"""From a hook's call to the task that it asks for, or to the reason why there is none; all of it pure.

Whether the caller waits for the end of a task, and gets its exit status as the answer, is decided by the type
of the hook that our controller sends along (`type`): those whose answer moves a rollout wait (`pre-rollout`,
`confirm-*`, `rollback`), those that make load or tell something don't (`rollout`, `post-rollout`, `event`). A
call without that field, as Flagger's controller makes it, is answered as Flagger's load tester does: `cmd`
starts and is accepted at once, every other type waits.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from loadtest.command import Command, Script, Step, When, parse
from loadtest.load.arguments import WrongArgumentsError, read
from loadtest.programs import Programs
from loadtest.words import CommandError, NeedsShellError

WAITED_FOR = frozenset({"pre-rollout", "confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"})
"""The hooks for which the exit status of a `cmd` task is the answer."""

DEFAULT_TYPE = "cmd"

HOME = Path(__file__).parents[1]
"""Where this package is found."""

LOAD_TYPE = "load"
"""Our own generator of load; `cmd` has its arguments."""

STARTED_ONLY = frozenset({DEFAULT_TYPE, LOAD_TYPE})
"""The types of tasks that nobody waits for, save where a hook's answer moves a rollout."""

TELL = frozenset({"event", "post-rollout"})
"""The hooks that tell of a rollout, and need no task."""

ENDED = frozenset({"Succeeded", "Failed", "Terminating", "Terminated"})
"""The phases of a Canary in which no rollout runs any more."""

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", re.ASCII)


class BadCallError(ValueError):
    """The body of a call is not what a hook sends."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a hook sends.

    Args:
        name: name of the Canary, empty where the caller gave none.
        namespace: its namespace, empty where the caller gave none.
        hook: the type of the hook, empty where the caller didn't say.
        metadata: the hook's own settings.
        phase: the Canary's phase, empty where the caller didn't say.
        checksum: what is rolled out, in one word; empty where the caller didn't say.
    """

    name: str = ""
    namespace: str = ""
    hook: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    phase: str = ""
    checksum: str = ""

    @property
    def tells(self) -> bool:
        """Whether it tells of a rollout and asks for no task; Flagger's controller names no hook."""
        told = self.hook in TELL or (not self.hook and "eventMessage" in self.metadata)
        return told and "cmd" not in self.metadata

    @property
    def ends_rollout(self) -> bool:
        """Whether it tells that a rollout has ended."""
        return self.phase in ENDED and (not self.hook or self.hook in TELL)

    @property
    def canary(self) -> str:
        """The Canary in one word, `name.namespace`."""
        return f"{self.name}.{self.namespace}"


def read_call(body: bytes) -> Call:
    """Read the body of a call.

    Raises:
        BadCallError: it isn't a JSON object with text in the fields of a hook's payload, or its name is none of a
            Canary.
    """
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"the body is not JSON: {error}"
        raise BadCallError(msg) from None
    if not isinstance(raw, dict):
        msg = "the body is not a JSON object"
        raise BadCallError(msg)
    metadata = raw.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        msg = "metadata is not an object of texts"
        raise BadCallError(msg)
    texts = {key: raw.get(key) or "" for key in ("name", "namespace", "type", "phase", "checksum")}
    for key, value in texts.items():
        if not isinstance(value, str):
            msg = f"{key} is not a text"
            raise BadCallError(msg)
    _check_texts([*texts.values(), *metadata, *metadata.values()])
    for key, longest in (("name", 253), ("namespace", 63)):
        if texts[key] and (len(texts[key]) > longest or not _NAME.fullmatch(texts[key])):
            msg = f"{key} is no name of a Kubernetes object: small letters, digits, - and . alone, {longest} at most"
            raise BadCallError(msg)
    return Call(
        texts["name"], texts["namespace"], texts["type"], metadata, phase=texts["phase"], checksum=texts["checksum"]
    )


def _check_texts(texts: Iterable[str]) -> None:
    """Refuse half characters, which JSON can write and nothing can pass on.

    Raises:
        BadCallError: there is one.
    """
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        msg = f"the body holds half a character: {error.object[error.start]!a}"
        raise BadCallError(msg) from None


@dataclass(frozen=True, slots=True)
class Task:
    """Something to run.

    Args:
        canary: for which Canary, as `name.namespace`.
        type: the task's type.
        command: the command as written.
        script: the command as understood.
        waits: whether the caller waits for the end.
        logs_output: whether the output of a success is logged; that of a failure always is.
        returns_output: whether the output of a success is the answer's body; that of a failure always is.
        bound: whether it ends with its rollout: a load does.
        rollout: what is rolled out, in one word; empty where the caller didn't say.
    """

    canary: str
    type: str
    command: str
    script: Script
    waits: bool
    logs_output: bool = False
    returns_output: bool = False
    bound: bool = False
    rollout: str = ""

    @property
    def key(self) -> tuple[str, str, str, bool]:
        """What makes two tasks the same: one is run at a time."""
        return (self.canary, self.type, self.command, self.waits)


@dataclass(frozen=True, slots=True)
class Refused:
    """No task: the call asks for something that isn't done here.

    Args:
        reason: why, in words that tell what to do instead.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Powers:
    """What this load tester may run.

    Args:
        programs: the programs that may be run.
        may_use_shell: whether commands are handed to bash: those of type `bash`, and others that need a shell.
    """

    programs: Programs = field(default_factory=Programs)
    may_use_shell: bool = False


def plan(call: Call, powers: Powers) -> Task | Refused:
    """Return the task that a call asks for."""
    if not call.metadata:
        return Refused("metadata not found in payload")
    type_ = call.metadata.get("type", DEFAULT_TYPE)
    if type_ in _ELSEWHERE:
        return Refused(_ELSEWHERE[type_])
    reader = _READERS.get(type_)
    if reader is None:
        return Refused(f"unknown task type {type_}; there are {', '.join(sorted(_READERS))}")
    command = call.metadata.get("cmd", "")
    if not command.strip():
        return Refused("cmd not found in metadata")
    try:
        script = reader(command, powers)
    except NeedsShellError as error:
        return Refused(f"{error} (a load tester that is started with --allow-shell would hand it to bash)")
    except CommandError as error:
        return Refused(str(error))
    refusal = None if type_ == LOAD_TYPE else powers.programs.refusal(script)
    if refusal is not None:
        return Refused(refusal)
    waits = call.hook in WAITED_FOR or type_ not in STARTED_ONLY
    return Task(
        canary=call.canary,
        type=type_,
        command=command,
        script=script,
        waits=waits,
        logs_output=_true(call.metadata.get("logCmdOutput", "")),
        returns_output=_true(call.metadata.get("returnCmdOutput", "")),
        bound=not waits and call.hook not in TELL and call.phase not in ENDED,
        rollout=call.checksum,
    )


def _true(text: str) -> bool:
    return text in ("1", "t", "T", "true", "TRUE", "True")


def _read_cmd(command: str, powers: Powers) -> Script:
    """A command goes to a shell only where it needs one, and where that is allowed."""
    try:
        return parse(command)
    except NeedsShellError:
        if powers.may_use_shell:
            return one(("bash", "-c", command))
        raise


def _read_bash(command: str, powers: Powers) -> Script:
    """Without leave to use a shell, a command for bash is run if it needs none."""
    return one(("bash", "-c", command)) if powers.may_use_shell else parse(command)


def _read_arguments(program: str) -> Callable[[str, Powers], Script]:
    def read(command: str, powers: Powers) -> Script:
        script = parse(command)
        match script:
            case (Step(pipeline=(only,)),):
                return one((program, *only.argv))
        msg = f"cmd is not the arguments of one {program} command"
        raise CommandError(msg)

    return read


def _read_load(command: str, powers: Powers) -> Script:
    """Our own generator needs no place on the list of programs: it makes load and does nothing else."""
    script = parse(command)
    match script:
        case (Step(pipeline=(Command(argv, env=()),)),):
            try:
                read(argv)
            except WrongArgumentsError as error:
                raise CommandError(str(error)) from None
            generator = (sys.executable, "-P", "-m", "loadtest.load", *argv)
            return (Step(When.ALWAYS, (Command(generator, env=(("PYTHONPATH", str(HOME)),)),)),)
    msg = "cmd is not the arguments of one load"
    raise CommandError(msg)


def one(argv: tuple[str, ...]) -> Script:
    """Return the script that runs one program."""
    return (Step(When.ALWAYS, (Command(argv),)),)


Reader: TypeAlias = Callable[[str, Powers], Script]

_READERS: Mapping[str, Reader] = {
    "cmd": _read_cmd,
    "bash": _read_bash,
    LOAD_TYPE: _read_load,
    "helm": _read_arguments("helm"),
    "helmv3": _read_arguments("helm"),
    "kubectl": _read_arguments("kubectl"),
}

_ELSEWHERE = {
    "concord": "tasks of type concord are not run here: let the hook's url be a service that starts the process",
    "ngrinder": "tasks of type ngrinder are not run here: let the hook's url be a service that starts the test",
    "bats": "there is no task type bats: write type bash and cmd 'bats FILE', with bats in the image and --allow-shell",
}
