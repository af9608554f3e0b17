"""A whole cluster: started in a few seconds, watched, and gone without a trace."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from canary.kube.client import KubeClient
from canary.sandbox import binaries, credentials, folders, netns
from canary.sandbox.assembly import Assembly, own_package
from canary.sandbox.bootstrap import MANAGER, prepare
from canary.sandbox.conditions import Condition, always, answers
from canary.sandbox.gateway import Gateway
from canary.sandbox.options import Companion, Options
from canary.sandbox.process import Part, PartFailed, log_tail
from canary.sandbox.supervision import Guard, Watchers

_POLL_SECONDS = 0.1
_START_SECONDS = 60.0
_KUBECTL_SECONDS = 60.0


class NotInNamespaceError(RuntimeError):
    """A cluster needs the private network that `canary.sandbox.netns` makes."""

    def __init__(self) -> None:
        super().__init__(
            "a sandbox cluster runs in a private network only: run through `make test`,"
            " or as `python -m canary.sandbox.netns -- COMMAND`"
        )


class ManifestError(RuntimeError):
    """A manifest was not accepted; the text is the server's."""


class Cluster:
    """A control plane, nodes, Service addresses, names, a gateway and Prometheus, inside a private network.

    As an async context manager it also cancels its body when a part dies, and raises that part's `PartFailed`.

    Attributes:
        options: how it is.
        folder: its data and logs.
        gateways: the ways into it.
        parts: its programs by name: `etcd`, `apiserver`, `kcm`, `node`, `network`, `prometheus`, those of its gateways
            (Traefik's is `gateway`), and those that `run` added.
        watchers: who is told when a part dies without having been told to.
    """

    def __init__(self, options: Options | None = None, progress: Callable[[str], None] = lambda line: None) -> None:
        """Prepare a cluster; nothing runs yet.

        Args:
            options: how it is to be.
            progress: is told, in lines, how the start goes.

        Raises:
            NotInNamespaceError: this process is in no private network.
        """
        if not netns.inside():
            raise NotInNamespaceError
        self.options = options or Options()
        self._progress = progress
        given = self.options.folder
        self._temporary = None if given else folders.make()
        self.folder = self._temporary.path if self._temporary else Path(given or ".")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts: dict[str, Part] = {}
        self.gateways: list[Gateway] = []
        self.watchers = Watchers()
        self._assembly = Assembly(self.options, self.folder, self.watchers.tell)
        self._companions: set[str] = set()
        self._guard = Guard(self.watchers)

    @property
    def failure(self) -> PartFailed | None:
        """The first part that died without having been told to."""
        return self.watchers.failure

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.kubeconfig_for(credentials.ADMIN)

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig file of one of the users named in the options.

        Raises:
            KeyError: there is no such user.
        """
        return self._assembly.kubeconfig(user)

    @property
    def audit_log(self) -> Path:
        """What the audited users asked of the API server, a JSON object a line."""
        return self._assembly.files.audit_log

    @property
    def certificate(self) -> Path:
        """What the API server is verified by."""
        return self._assembly.files.certificate

    def token(self, user: str = credentials.ADMIN) -> str:
        """What the API server knows a user by."""
        return self._assembly.users[user].token

    @property
    def environment(self) -> dict[str, str]:
        """What makes `kubectl`, `hey`, `promtool` usable in a program: PATH and KUBECONFIG."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)])
        cache = str(self.folder / "kubectl-cache")
        return {"PATH": path, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": cache}

    async def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        ready_url: str | None = None,
    ) -> Part:
        """Start a program beside the cluster, as another part of it: a controller, a load tester.

        It finds this package, `kubectl`, `hey` and `promtool`. A part of the same name is replaced by it.

        Args:
            name: what it is called in `parts`.
            command: its argument list.
            environment: variables added to those of this process.
            ready_url: it is ready once a GET of this address is answered with 2xx; None for at once.

        Raises:
            PartFailed: it died, or was not ready in time.
        """
        if name in self.parts:
            await self.parts[name].stop()
        ready: Condition = always if ready_url is None else answers(ready_url)
        variables = {"PATH": self.environment["PATH"], **own_package(), **(environment or {})}
        part = self._assembly.part(name, lambda: command, ready, variables)
        self.parts[name] = part
        self._companions.add(name)
        await part.start()
        return part

    async def open(self, gateway: Gateway) -> None:
        """Start a gateway beside those that run, and have Prometheus scrape it. Does nothing where it runs already.

        Raises:
            PartFailed: a part of it died, or was not ready in time.
            ToolMissingError: a program is missing; inside the private network it can't be built.
        """
        if gateway in self.gateways:
            return
        programs = binaries.ensure(gateway.binaries, self._progress)
        async with KubeClient.connect(self.kubeconfig, user_agent=MANAGER) as client:
            await prepare(client, (), (gateway,), self._until)
        await self._serve(gateway, programs)
        if self.options.prometheus:
            self._assembly.write_prometheus_config(self.gateways)
            self.parts["prometheus"].hang_up()

    async def _serve(self, gateway: Gateway, programs: Mapping[str, Path]) -> None:
        """Start what a gateway is made of, one after the other."""
        parts = self._assembly.gateway(gateway, programs)
        self.parts.update({part.name: part for part in parts})
        await self.parts["network"].wait_ready(_START_SECONDS)  # the way to the API server
        for part in parts:
            await part.start(_START_SECONDS)
        self.gateways.append(gateway)

    async def apply(self, manifest: Path) -> None:
        """Apply a file, or a kustomization folder, as the administrator.

        Raises:
            ManifestError: it was not accepted.
        """
        flag = "-k" if await asyncio.to_thread(manifest.is_dir) else "-f"
        process = await asyncio.create_subprocess_exec(
            str(self.folder / "bin" / "kubectl"),
            "apply",
            "--server-side",
            "--force-conflicts",
            flag,
            str(manifest),
            env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_KUBECTL_SECONDS):
            output, _ = await process.communicate()
        if process.returncode != 0:
            raise ManifestError(f"{manifest}: {output.decode(errors='replace').strip()}")

    async def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            PartFailed: a part died or did not get ready.
            ToolMissingError: a program is missing and can't be built here.
            ManifestError: one of the options' manifests was not accepted.
        """
        programs = binaries.ensure(self._assembly.programs(), self._progress)
        self._assembly.link_tools(programs)
        self._assembly.write_credentials()
        self.parts = self._assembly.parts(programs)
        self._progress("starting the API server")
        self.parts["etcd"].launch()
        self.parts["apiserver"].launch()
        await self._until(self._has_certificate, "makes no certificate")
        self._assembly.write_kubeconfigs()
        await self.parts["apiserver"].wait_ready(_START_SECONDS)
        for name in ("network", "kcm", "node"):
            self.parts[name].launch()
        async with KubeClient.connect(self.kubeconfig, user_agent=MANAGER) as client:
            await prepare(client, self.options.namespaces, self.options.gateways, self._until)
        self._progress("starting controllers, nodes, gateway, Prometheus")
        await asyncio.gather(
            *(part.start(_START_SECONDS) for part in [*self.parts.values()]),
            *(self._serve(gateway, programs) for gateway in self.options.gateways),
            self._install(),
        )
        self._progress("the cluster is ready")

    async def _install(self) -> None:
        """Apply the manifests and start the companions, which need the API server only."""
        await self._until(self._assembly.serves("/openapi/v2"), "serves no OpenAPI document")
        for manifest in self.options.manifests:
            self._progress(f"applying {manifest.name}")
            await self.apply(manifest)
        if self.options.companions:
            self._progress(f"starting {', '.join(companion.name for companion in self.options.companions)}")
        await asyncio.gather(*(self._accompany(companion) for companion in self.options.companions))

    async def _accompany(self, companion: Companion) -> None:
        kubeconfig = str(self.kubeconfig_for(companion.user))
        command = [word.replace("{kubeconfig}", kubeconfig) for word in companion.command]
        variables = {name: value.replace("{kubeconfig}", kubeconfig) for name, value in companion.environment.items()}
        await self.run(companion.name, command, environment=variables, ready_url=companion.ready_url)

    async def stop(self) -> None:
        """End everything; nothing is left behind."""
        await asyncio.gather(*(part.stop() for part in self.parts.values() if part.name in self._companions))
        for part in self.parts.values():
            part.kill()
        if self._temporary is not None:
            await asyncio.to_thread(self._temporary.remove)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        await self._guard.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._guard.__aexit__(kind, error, trace)
        finally:
            await self.stop()

    async def _has_certificate(self) -> bool:
        """Whether the API server has made its certificate."""
        return self.certificate.is_file() and log_tail(self.certificate, 1).endswith("END CERTIFICATE-----")

    async def _until(self, condition: Condition, problem: str) -> None:
        """Wait until a condition of the API server holds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while not await condition():
            if self.failure is not None:
                raise self.failure
            if loop.time() > deadline:
                raise PartFailed("apiserver", problem, self._assembly.log("apiserver"))
            await asyncio.sleep(_POLL_SECONDS)
