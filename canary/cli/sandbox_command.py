"""`canary sandbox`: a cluster on a laptop, and a demonstration on one."""

import argparse
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from canary.cli.arguments import whole
from canary.cli.failures import DONE, FAILED, CommandError

if TYPE_CHECKING:
    from canary.sandbox.instance import Status

_MOST_NODES = 100
MOST_CLUSTERS = 9
"""Members of a fleet: as many as have addresses in the sandbox's network."""
GATEWAYS = ("contour", "istio", "nginx", "envoy-gateway", "ingress-nginx")
"""Gateways that run beside Traefik where they are asked for."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "sandbox",
        help="run a cluster on this machine, to try things on",
        description="A real Kubernetes control plane, pods as processes, Traefik, Prometheus, the load tester and the"
        " controller on this machine, in a network of their own. Linux only; no root, no containers."
        " Example: canary sandbox demo",
        epilog="exit codes: 0 done; 1 no sandbox runs, or it could not be started; 2 what was given can't be used; of"
        " exec: the command's own",
    )
    actions = parser.add_subparsers(title="commands", dest="action", required=True, metavar="COMMAND")
    up = actions.add_parser("up", help="start it in the background, and build what is missing")
    up.add_argument(
        "--nodes", type=whole(1, _MOST_NODES), default=2, help="nodes of the cluster (default: %(default)s)"
    )
    up.add_argument(
        "--gateway",
        action="append",
        choices=GATEWAYS,
        default=[],
        help="a further gateway beside Traefik: Contour, Istio or Envoy Gateway with its Envoy, the annotations of"
        " ingress-nginx as Traefik reads them, or ingress-nginx itself; may be given again",
    )
    up.add_argument(
        "--clusters",
        type=whole(1, MOST_CLUSTERS),
        default=0,
        metavar="N",
        help="so many further clusters beside it, cluster1 to clusterN, with a hub over them: members for CanaryFleets",
    )
    up.set_defaults(run=_explained(_up))
    status = actions.add_parser("status", help="say how it is, and how to use it")
    status.set_defaults(run=_explained(_status))
    down = actions.add_parser("down", help="end it, and remove its files")
    down.set_defaults(run=_explained(_down))
    execute = actions.add_parser("exec", help="run a command inside its network, where pods and Services are")
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="a shell by default")
    execute.set_defaults(run=_explained(_exec))
    example = actions.add_parser("example", help="print an application with a Canary, for kubectl apply -f -")
    which = example.add_mutually_exclusive_group()
    which.add_argument(
        "--clusters",
        type=whole(1, MOST_CLUSTERS),
        default=0,
        metavar="N",
        help="print a CanaryFleet over so many clusters instead, with the route that leads to them",
    )
    which.add_argument("--member", action="store_true", help="print what each of its clusters has: the application")
    example.set_defaults(run=_explained(_example))
    demo = actions.add_parser("demo", help="watch a good and a bad version roll out, in under two minutes")
    demo.add_argument("--pictures", type=Path, default=Path("out/demo"), help="folder (default: %(default)s)")
    demo.add_argument("--plain", action="store_true", help="lines instead of the live view")
    demo.set_defaults(run=_explained(_demo))
    cache = actions.add_parser("cache", help="list the programs that were built for it, and remove them")
    cache.add_argument("--clean", action="store_true", help="remove them; the next start builds them again")
    cache.set_defaults(run=_explained(_cache))


def _explained(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with what it needs and doesn't find said in words."""

    def explained(arguments: argparse.Namespace) -> int:
        if sys.platform != "linux":
            raise CommandError("needs Linux; elsewhere run it in a Linux virtual machine or container", code=FAILED)
        # Here and not above: help has no time for these.
        from canary.sandbox.background import SandboxError  # noqa: PLC0415
        from canary.sandbox.binaries import ToolMissingError  # noqa: PLC0415
        from canary.sandbox.instance import AlreadyRunningError, PlaceError  # noqa: PLC0415
        from canary.sandbox.netns import NamespaceError  # noqa: PLC0415

        try:
            return run(arguments)
        except (SandboxError, ToolMissingError) as error:  # with the end of a log
            raise CommandError(*str(error).splitlines(), code=FAILED) from error
        except (AlreadyRunningError, PlaceError, NamespaceError) as error:
            raise CommandError(str(error), code=FAILED) from error

    return explained


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _stopwatch() -> Callable[[str], None]:
    """What tells lines on standard error, with the seconds since now."""
    started = time.monotonic()
    return lambda line: _tell(f"[{time.monotonic() - started:4.0f} s] {line}")


@contextmanager
def _definitions() -> Iterator[Path]:
    """A file of the CustomResourceDefinitions, as long as the context lasts."""
    from canary.api.crds import DEFINITIONS, render  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="canary-sandbox-") as folder:
        path = Path(folder) / "crds.yaml"
        path.write_text("---\n".join(render(definition) for definition in DEFINITIONS))
        yield path


def _up(arguments: argparse.Namespace) -> int:
    from canary.sandbox import background  # noqa: PLC0415
    from canary.sandbox.gateways import FURTHER  # noqa: PLC0415
    from canary.sandbox.gateways.traefik import TRAEFIK  # noqa: PLC0415
    from canary.sandbox.installation import installed  # noqa: PLC0415
    from canary.sandbox.members import with_members  # noqa: PLC0415
    from canary.sandbox.options import Options  # noqa: PLC0415

    there = background.status()
    if there is not None and there.phase == "ready":
        print(f"A sandbox runs already.\n\n{how_to_use(there)}")
        return DONE
    gateways = (TRAEFIK, *(FURTHER[name] for name in dict.fromkeys(arguments.gateway)))
    with _definitions() as definitions:
        options = installed(Options(nodes=arguments.nodes, gateways=gateways), [definitions])
        if arguments.clusters:
            options = with_members(options, arguments.clusters, definitions)
        status = background.up(options, _stopwatch())
    print(f"\n{how_to_use(status)}")
    return DONE


def how_to_use(status: "Status") -> str:
    """What to type next, and what is where."""
    urls = [(name.capitalize(), url) for name, url in status.urls.items()]
    logs = ["Logs", *("" for _ in status.members)]
    places = [*urls, *zip(logs, [status.logs, *status.members.values()], strict=True)]
    places.append(("kubectl", f"{status.tools}/kubectl"))
    return "\n".join(
        [
            f"export KUBECONFIG={shlex.quote(status.kubeconfig)}",
            f"export PATH={shlex.quote(status.tools)}:$PATH",
            "kubectl get canaries -A",
            *(f"kubectl --context {name} get canaries -A" for name in status.members),
            "",
            *(f"{name:12}{place}" for name, place in places),
            "",
            *_examples(len(status.members)),
            f"{_program()} sandbox down      ends all of it",
        ]
    )


def _examples(clusters: int) -> list[str]:
    """What there is to apply."""
    command, into = f"{_program()} sandbox example", "apply -f -"
    found = [f"{command}   prints an application with a Canary, for kubectl {into}"]
    if clusters:
        found += [
            f"{command} --clusters {clusters}   prints a CanaryFleet over them, for kubectl {into}",
            f"{command} --member       prints its application, for kubectl --context cluster1 {into}",
        ]
    return found


def _program() -> str:
    """What people type to get here."""
    given = sys.argv[0]
    return given if given.endswith("canary") and "/" in given and shutil.which("canary") is None else "canary"


def _status(arguments: argparse.Namespace) -> int:
    from canary.sandbox import background  # noqa: PLC0415

    found = background.status()
    if found is None:
        print(f"No sandbox runs; `{_program()} sandbox up` starts one.")
        return FAILED
    if found.phase == "ready":
        print(f"The sandbox is ready.\n\n{how_to_use(found)}")
        return DONE
    print(f"The sandbox is {found.phase}.{f' {found.failure}' if found.failure else ''}")
    return FAILED


def _down(arguments: argparse.Namespace) -> int:
    from canary.sandbox import background  # noqa: PLC0415

    print("The sandbox is gone." if background.down() else "No sandbox runs.")
    return DONE


def _exec(arguments: argparse.Namespace) -> int:
    from canary.sandbox import background  # noqa: PLC0415

    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    return background.execute(words or [os.environ.get("SHELL", "sh")])


def _example(arguments: argparse.Namespace) -> int:
    import yaml  # noqa: PLC0415

    from canary.sandbox.demo.manifests import example  # noqa: PLC0415

    objects = example()
    if arguments.member or arguments.clusters:
        from canary.sandbox.demo import fleet  # noqa: PLC0415

        objects = fleet.in_member() if arguments.member else fleet.in_hub(arguments.clusters)
    print(yaml.safe_dump_all(objects, sort_keys=False), end="")
    return DONE


def _demo(arguments: argparse.Namespace) -> int:
    from canary.sandbox import binaries, netns  # noqa: PLC0415

    arguments.pictures.mkdir(parents=True, exist_ok=True)  # before minutes have gone into what can't be drawn
    if not netns.inside():
        netns.probe()
        binaries.ensure(progress=_stopwatch())
    with _definitions() as definitions:
        command = [sys.executable, "-m", "canary.sandbox.demo", f"--definitions={definitions}"]
        command += [f"--folder={definitions.parent / 'cluster'}", f"--pictures={arguments.pictures}"]
        command += [f"--program={_program()}", *(["--plain"] if arguments.plain else [])]
        return netns.run(command)


def _cache(arguments: argparse.Namespace) -> int:
    from canary.sandbox import background, binaries, cache  # noqa: PLC0415

    found = cache.kept()
    if not arguments.clean:
        for each in found:
            note = "" if each.used else "  of another version"
            print(f"{_mebibytes(each.size):>9}  {each.path}{note}")
        print(f"{_mebibytes(sum(each.size for each in found)):>9}  in {binaries.cache_folder()}")
        return DONE
    if background.status() is not None:
        raise CommandError(f"a sandbox uses what is there; end it first: `{_program()} sandbox down`", code=FAILED)
    process = cache.user()
    if process is not None:
        raise CommandError(f"process {process} runs a program that is there; end it first", code=FAILED)
    print(f"Removed {_mebibytes(cache.clean())} from {binaries.cache_folder()}.")
    return DONE


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
