"""What a task may take of the machine: what the kernel holds each of its processes to, and what it is ended for.

The kernel's own limits are of one process each, and a program that breaks one is told so where it asks for more. What
all processes of a task take together is looked at now and then, and a task that has taken too much is ended; the
kernel's limits are there for what is taken between two looks. Address space is not limited: Go programs reserve far
more than they use.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

MIB = 1024 * 1024

SHELL = "/bin/sh"
"""Sets the limits of a program and becomes it: Python can't set them between fork and exec while threads run."""

LARGEST_FILE = 128 * MIB
"""Bytes of a file that a task writes, at most: half of what the manifest's pod has for files."""

SLACK = 128 * MIB
"""Bytes that the kernel lets a process ask for beyond its task's limit: Go asks for more than it uses."""

LATE = timedelta(seconds=5)
"""Processor time that the kernel gives a process beyond its task's limit: the task is ended first, with the reason."""

THREADS = 4096
"""Threads at most of the load tester's user, beyond those that ran when it began: a wall for what forks and forks."""

# A shell has -u or -p for threads. Whoever runs out of memory first is a task, not the load tester.
_SET = """{ ulimit -c 0; ulimit -t "$1"; ulimit -f "$2"; ulimit -d "$3"; ulimit -u "$4" || ulimit -p "$4"
echo 1000 > /proc/self/oom_score_adj; } 2> /dev/null
shift 4; exec "$@"
"""
_UNITS = {"": 1, "Ki": 1024, "Mi": MIB, "Gi": 1024 * MIB}
_SIZE = re.compile(r"([0-9]{1,12})(|Ki|Mi|Gi)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes take.

    Args:
        memory: bytes that are theirs alone: anonymous, shared between them, swapped out.
        cpu: seconds of processors that they have had, children that have ended included.
        processes: how many there are.
    """

    memory: int = 0
    cpu: float = 0.0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may take.

    Args:
        time: how long it may run.
        memory: bytes of all its processes together.
        cpu: processor time of all its processes together.
        processes: how many processes it may have.
        output: bytes that it may write to its outputs.
        threads: threads that the load tester's user may have, those of others included.
    """

    time: timedelta = timedelta(hours=1)
    memory: int = 512 * MIB
    cpu: timedelta = timedelta(hours=1)
    processes: int = 64
    output: int = 64 * MIB
    threads: int = THREADS

    def bound(self, argv: Sequence[str]) -> Sequence[str]:
        """Return the command that runs another one within the kernel's limits."""
        seconds = math.ceil((self.cpu + LATE).total_seconds())
        numbers = (seconds, LARGEST_FILE // 512, (self.memory + SLACK) // 1024, self.threads)
        return (SHELL, "-c", _SET, SHELL, *map(str, numbers), *argv)

    def broken(self, usages: Iterable[Usage]) -> str | None:
        """Return which limit the processes of a task are beyond, in words; None where they keep them all."""
        all_ = list(usages)
        memory, cpu = sum(each.memory for each in all_), sum(each.cpu for each in all_)
        processes = sum(each.processes for each in all_)
        if processes > self.processes:
            return f"it had {processes} processes, where --task-processes allows {self.processes}"
        if memory > self.memory:
            return f"it took {memory // MIB} MiB of memory, where --task-memory allows {size_text(self.memory)}"
        if cpu > self.cpu.total_seconds():
            return f"it took {cpu:.1f} s of processor time, where --task-cpu allows {self.cpu.total_seconds():g} s"
        return None

    @property
    def too_much_output(self) -> str:
        """The words for a task that writes more than it may."""
        return f"it wrote more than the {size_text(self.output)} that --task-output allows"


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `512Mi` names.

    Raises:
        ValueError: it names none; the message tells what would.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        msg = f"{text!r} is not a size; write one such as 512Mi or 1Gi"
        raise ValueError(msg)
    return int(found[1]) * _UNITS[found[2]]


def size_text(size: int) -> str:
    """Return a number of bytes as a flag would name it."""
    unit = next(unit for unit in ("Gi", "Mi", "Ki", "") if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]}{unit}"
