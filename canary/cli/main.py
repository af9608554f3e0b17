"""`canary`: the one place where a command ends, and where people are told in a line why it could not go on.

No traceback for what a person or a machine may do to it; one is left for a bug of ours.
"""

import gc
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Final

from canary.cli.failures import DONE, FAILED, INTERRUPTED, UNREAD, UNUSABLE, CommandError

_LONGEST: Final = 2_000
"""Characters of one line: what was given may be of any length, and is quoted."""

_GARBAGE: Final = (25_000, 10, 10)
"""How many objects more than before are made before circles are looked for among them; Python's own is 700. Of what a
command loads none are, and to look for them at each step takes an eighth of the time."""

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None takes the process's own, and the process is
            expected to end with the code.

    Returns:
        The exit code, one of `canary.cli.failures`.
    """
    if arguments is not None:
        return _main([*arguments], lambda: None)
    sys.unraisablehook = _unraisable
    gc.set_threshold(*_GARBAGE)
    gc.disable()  # until the command's own modules are to be loaded, and `canary run` until those are
    code = _main(sys.argv[1:], _end_quietly)
    _end_quietly()
    return code


def _end_quietly() -> None:
    """What Python does at its end, and with what was given up half done, is of no interest; nor is another Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore")


def _main(words: list[str], interrupted: Callable[[], None]) -> int:
    try:
        _prepare_streams()
        code = _run(words)
        sys.stdout.flush()
    except BaseException as error:
        ending = _ending(error)
        if ending is None:
            raise
        code, lines = ending
        if code == INTERRUPTED:
            interrupted()
        command = error.command if isinstance(error, CommandError) else ""
        tell(command or " ".join(["canary", *(word for word in words[:1] if not word.startswith("-"))]), lines)
        _give_up_output()
    return code


def _unraisable(what: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C that comes where nothing can be raised, such as in a destructor, is one all the same."""
    if what.exc_type is KeyboardInterrupt:
        os._exit(INTERRUPTED)
    sys.__unraisablehook__(what)


def _run(words: list[str]) -> int:
    # Pydantic would look into all packages that are installed for plugins, of which our models have none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Here and not above: an interruption of what takes a moment to load is a quiet one, too.
    from canary.cli.parser import parse  # noqa: PLC0415

    try:
        options = parse(words)
    except SystemExit as shown:  # help, or the version
        return shown.code if isinstance(shown.code, int) else DONE
    gc.enable()
    code: int = options.run(options)
    return code


def _ending(error: BaseException) -> tuple[int, tuple[str, ...]] | None:
    """The exit code, and what people are told; None for what is a bug."""
    match error:
        case CommandError():
            return error.code, error.lines
        case KeyboardInterrupt():
            return INTERRUPTED, ("interrupted",)
        case BrokenPipeError():
            return UNREAD, ()
        case OSError():
            return UNUSABLE, (_of_system(error),)
        case UnicodeError():
            return UNUSABLE, ("what was given is no text in UTF-8",)
        case RecursionError():
            return UNUSABLE, ("what was given is nested too deeply",)
        case MemoryError():
            return FAILED, ("there is not enough memory",)
    # What pydantic makes of an interruption of a serializer is an error of its own, which only names it.
    return _ending(KeyboardInterrupt()) if KeyboardInterrupt.__name__ in str(error) else None


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if _named(error.filename) else f"can't write or read: {reason}"


def _named(filename: object) -> bool:
    return isinstance(filename, str | bytes | os.PathLike) and bool(filename)


def tell(command: str, lines: Sequence[str]) -> None:
    """Say it on standard error, as long as somebody can be told."""
    try:
        for line in lines:
            print(_shown(line if line.startswith(" ") else f"{command}: {line}"), file=sys.stderr)
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def _shown(line: str) -> str:
    """A line as it may stand on a terminal, whatever was given."""
    cut = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    indent = len(cut) - len(cut.lstrip(" "))
    words = "".join(character if character.isprintable() else " " for character in cut).split()
    return " " * indent + " ".join(words)


def _prepare_streams() -> None:
    """See to it that there are streams, and that they take any character."""
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")


def _give_up_output() -> None:
    """Write what is left of the output, or drop it: at its end Python would try again, and complain."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, sys.stdout.fileno())
        except (OSError, ValueError):
            return
        finally:
            os.close(nothing)
