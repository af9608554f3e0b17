"""What an image name stands for where there are no images: a sample program, or a command of one's own."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from canary.kube.types import Json

_SAMPLES = "canary.sandbox.samples"
_PROGRAMS = {"echo": "echo", "podinfo": "web", "web": "web", "worker": "worker"}
_PROCESS = "process://"


class ImageError(LookupError):
    """No program goes by this image name."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a container runs.

    Attributes:
        arguments: the command line.
        version: the image's tag.
    """

    arguments: tuple[str, ...]
    version: str


def program_of(image: str, command: Sequence[str] = (), arguments: Sequence[str] = ()) -> Program:
    """The program behind an image.

    `process://COMMAND` runs that command; a container's own `command` takes its place and `args` follow it, as usual.
    An image called `web` (or `podinfo`), `worker` or `echo`, in any registry, is the sample program of that name: it
    takes the options after the first word of `command`, and those of `args`.

    Raises:
        ImageError: there is no such image.
    """
    if image.startswith(_PROCESS):
        own = list(command) or shlex.split(image.removeprefix(_PROCESS))
        if not own:
            raise ImageError(f"{image} names no command")
        return Program((*own, *arguments), version="")
    name, version = _parse(image)
    module = _PROGRAMS.get(name)
    if module is None:
        known = ", ".join(sorted(_PROGRAMS))
        raise ImageError(f'image "{image}" is not known here: there are {known} and {_PROCESS}COMMAND')
    # Neither the pod's variables nor the files of its folder may change what Python finds.
    interpreter = (sys.executable, "-E", "-P", "-m", f"{_SAMPLES}.{module}")
    return Program((*interpreter, *command[1:], *arguments), version=version)


def standing_for(probe: Json, image: str) -> Json:
    """The probe to make where one runs `podcli`, which podinfo's image has: the same question, to the pod itself."""
    if "exec" not in probe or image.startswith(_PROCESS):
        return probe
    match probe["exec"].get("command", []):
        case [program, "check", "http" | "tcp" as how, address, *_] if PurePosixPath(program).name == "podcli":
            place = urlsplit(address if "//" in address else f"//{address}")
        case _:
            return probe
    try:
        port = place.port or 80
    except ValueError:
        return probe
    action = {"httpGet": {"port": port, "path": place.path or "/"}} if how == "http" else {"tcpSocket": {"port": port}}
    return {**{key: value for key, value in probe.items() if key != "exec"}, **action}


def _parse(image: str) -> tuple[str, str]:
    """The last part of the repository's path, and the tag."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag or "latest"
