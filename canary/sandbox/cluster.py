"""A whole cluster: started in a few seconds, watched, and gone without a trace."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from canary.sandbox import addresses, binaries, controlplane, credentials, gateway, netns, prometheus
from canary.sandbox.api import Api, Json
from canary.sandbox.controlplane import Files
from canary.sandbox.options import Options
from canary.sandbox.process import Part, PartFailed, always_ready

_SERVANTS = ("kube-controller-manager", "node", "network", "gateway", "prometheus")
_ALL_RIGHTS = "system:masters"
_POLL_SECONDS = 0.1
_START_SECONDS = 60.0


class NotInNamespaceError(RuntimeError):
    """A cluster needs the private network that `canary.sandbox.netns` makes."""

    def __init__(self) -> None:
        super().__init__(
            "a sandbox cluster runs in a private network only: run through `make test`,"
            " or as `python -m canary.sandbox.netns -- COMMAND`"
        )


class Cluster:
    """A control plane, nodes, Service addresses, names, a gateway and Prometheus, inside a private network.

    As an async context manager it also cancels its body when a part dies, and raises that part's `PartFailed`.

    Attributes:
        options: how it is.
        folder: its data and logs.
        parts: its programs by name: `etcd`, `apiserver`, `kcm`, `node`, `network`, `gateway`, `prometheus`, and those
            that `run` added.
        failure: the first part that died without having been told to.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        if not netns.inside():
            raise NotInNamespaceError
        given = self.options.folder
        self.folder = Path(tempfile.mkdtemp(prefix="canary-sandbox-")) if given is None else given
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts: dict[str, Part] = {}
        self.failure: PartFailed | None = None
        self._files = Files(self.folder)
        self._users: dict[str, credentials.User] = {}
        self._listeners: list[Callable[[PartFailed], None]] = []
        self._guard = Guard(self)

    # -- what it offers

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.kubeconfig_for(credentials.ADMIN)

    def kubeconfig_for(self, user: str) -> Path:
        """The kubeconfig file of one of the users named in the options.

        Raises:
            KeyError: there is no such user.
        """
        return self.folder / f"{self._users[user].name.replace(':', '_')}.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """What the audited users asked of the API server, a JSON object a line."""
        return self._files.audit_log

    @property
    def certificate(self) -> Path:
        """What the API server is verified by."""
        return self._files.certificate

    @property
    def environment(self) -> dict[str, str]:
        """What makes `kubectl`, `hey`, `promtool` usable in a program: PATH and KUBECONFIG."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)])
        return {"PATH": path, "KUBECONFIG": str(self.kubeconfig)}

    def log(self, part: str) -> Path:
        """Where a part's output goes."""
        return self.folder / "logs" / f"{part}.log"

    async def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        ready_url: str | None = None,
    ) -> Part:
        """Start a program beside the cluster, as another part of it: a controller, a load tester.

        Args:
            name: what it is called in `parts`.
            command: its argument list.
            environment: variables added to those of this process, and to `environment`'s PATH.
            ready_url: it is ready once a GET of this address is answered with 2xx; None for at once.

        Raises:
            PartFailed: it died, or was not ready in time.
        """
        ready = always_ready if ready_url is None else answers(ready_url)
        variables = {"PATH": self.environment["PATH"], **(environment or {})}
        part = self._part(name, lambda: command, ready, variables)
        await part.start()
        return part

    def on_failure(self, listener: Callable[[PartFailed], None]) -> Callable[[], None]:
        """Have a function called, from another thread, when a part dies; the result takes it back."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- its life

    async def start(self, progress: Callable[[str], None] = lambda line: None) -> None:
        """Start everything and wait until it is ready.

        Raises:
            PartFailed: a part died or did not get ready.
            ToolMissingError: a program is missing and can't be built here.
        """
        programs = binaries.ensure(self._programs(), progress)
        self._link(programs)
        self._write_credentials()
        self._make_parts(programs)
        self.parts["etcd"].launch()
        self.parts["apiserver"].launch()
        await self._certificate()
        self._write_kubeconfigs()
        await self.parts["apiserver"].wait_ready(_START_SECONDS)
        progress("the API server is ready")
        for name in ("kcm", "node", "network"):
            self.parts[name].launch()
        async with Api(self.kubeconfig) as api:
            await self._furnish(api)
            await asyncio.gather(*(part.start(_START_SECONDS) for part in self.parts.values()))
            await self._until(lambda: api.answers("/openapi/v2"), "serves no OpenAPI document")
        progress("the cluster is ready")

    async def stop(self) -> None:
        """End everything; nothing is left behind."""
        own = {"etcd", "apiserver", "kcm", "node", "network", "gateway", "prometheus"}
        await asyncio.gather(*(part.stop() for name, part in self.parts.items() if name not in own))
        for part in self.parts.values():
            part.kill()
        if self.options.folder is None:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

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

    # -- how it is made

    def _programs(self) -> tuple[str, ...]:
        needed = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "hey"]
        needed += ["traefik"] if self.options.gateway else []
        needed += ["prometheus", "promtool"] if self.options.prometheus else []
        return tuple(needed)

    def _link(self, programs: Mapping[str, Path]) -> None:
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in {"kubectl", "hey", "promtool"} & set(programs):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(programs[name])

    def _write_credentials(self) -> None:
        servants = {name: (_ALL_RIGHTS,) for name in (credentials.ADMIN, *_SERVANTS)}
        everybody = {**self.options.users, **servants}
        self._users = {name: credentials.make_user(name, *groups) for name, groups in everybody.items()}
        credentials.write_tokens(list(self._users.values()), self._files.tokens)
        credentials.write_signing_key(self._files.signing_key)
        controlplane.write_audit_policy(self._files.audit_policy, self.options.audited)

    def _write_kubeconfigs(self) -> None:
        for name, user in self._users.items():
            path = self.kubeconfig_for(name)
            credentials.write_kubeconfig(
                path, user=user, server=addresses.API_URL, certificate=self._files.certificate
            )
        if self.options.prometheus:
            config = self.folder / "prometheus.json"
            prometheus.write_configuration(config, self.options.scraping, self.kubeconfig_for("prometheus"))

    def _part(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        ready: Callable[[], Awaitable[bool]],
        environment: Mapping[str, str] | None = None,
    ) -> Part:
        part = Part(name, command, self.log(name), ready, environment or {}, self._failed)
        self.parts[name] = part
        return part

    def _make_parts(self, programs: Mapping[str, Path]) -> None:
        files, options = self._files, self.options
        self._part("etcd", lambda: controlplane.etcd(programs["etcd"], files), answers(f"{addresses.ETCD_URL}/health"))
        self._part("apiserver", lambda: controlplane.api_server(programs["kube-apiserver"], files), self._api_ready)
        manager, manager_config = programs["kube-controller-manager"], "kube-controller-manager"
        self._part(
            "kcm",
            lambda: controlplane.controller_manager(manager, files, self.kubeconfig_for(manager_config)),
            self._exists("/api/v1/namespaces/default/serviceaccounts/default"),
        )
        self._part("node", self._node_command, self._exists(f"/api/v1/nodes/node-{options.nodes}"), self._python())
        self._part("network", self._network_command, _connects("10.96.0.1", 443), self._python())
        if options.gateway:
            ping = f"http://{addresses.GATEWAY}:{addresses.GATEWAY_METRICS_PORT}/ping"
            self._part("gateway", lambda: self._gateway_command(programs["traefik"]), answers(ping))
        if options.prometheus:
            config, data = self.folder / "prometheus.json", self.folder / "prometheus"
            self._part(
                "prometheus",
                lambda: prometheus.command(programs["prometheus"], config=config, data=data),
                answers(f"{addresses.PROMETHEUS_URL}/-/ready"),
            )

    def _python(self) -> dict[str, str]:
        """What lets our own programs find this package wherever it lies."""
        root = str(Path(__file__).parents[2])
        return {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}

    def _node_command(self) -> list[str]:
        options = self.options
        command = [sys.executable, "-m", "canary.sandbox.node", str(self.kubeconfig_for("node"))]
        command += ["--folder", str(self.folder / "pods"), "--nodes", str(options.nodes)]
        command += ["--backoff", str(options.crash_backoff)]
        return command + ([] if options.fake_delay is None else ["--fake-delay", str(options.fake_delay)])

    def _network_command(self) -> list[str]:
        command = [sys.executable, "-m", "canary.sandbox.network", str(self.kubeconfig_for("network"))]
        command += ["--namespace", self.options.namespaces[0] if self.options.namespaces else "default"]
        return command + [f"--name={name}={target}" for name, target in self.options.names.items()]

    def _gateway_command(self, program: Path) -> list[str]:
        return gateway.command(program, token=self._users["gateway"].token, certificate=self._files.certificate)

    async def _furnish(self, api: Api) -> None:
        """Create the namespaces, and what the gateway needs."""
        names = [*self.options.namespaces, *([gateway.NAMESPACE] if self.options.gateway else [])]
        await asyncio.gather(*(self._namespace(api, name) for name in names))
        if not self.options.gateway:
            return
        await self.install(api, gateway.schemas())
        for path, obj in gateway.objects():
            await api.apply(path, obj)

    async def _namespace(self, api: Api, name: str) -> None:
        await api.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def install(self, api: Api, definitions: Sequence[Json]) -> None:
        """Install CustomResourceDefinitions and wait until their resources are served."""
        base = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await asyncio.gather(*(api.apply(f"{base}/{item['metadata']['name']}", item) for item in definitions))
        wanted: dict[str, set[str]] = {}
        for definition in definitions:
            spec = definition["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    wanted.setdefault(f"/apis/{spec['group']}/{version['name']}", set()).add(spec["names"]["plural"])

        async def served() -> bool:
            for path in list(wanted):
                if not await api.answers(path):
                    return False
                resources = (await api.request("GET", path))["resources"]
                if not wanted[path] <= {resource["name"] for resource in resources}:
                    return False
                del wanted[path]
            return True

        await self._until(served, "does not serve the custom resources")

    async def _certificate(self) -> None:
        """Wait for the certificate that the API server makes for itself."""

        async def written() -> bool:
            certificate = self._files.certificate
            return certificate.is_file() and certificate.read_bytes().rstrip().endswith(b"END CERTIFICATE-----")

        await self._until(written, "makes no certificate")

    async def _until(self, condition: Callable[[], Awaitable[bool]], problem: str) -> None:
        api_server = self.parts["apiserver"]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START_SECONDS
        while not await condition():
            if self.failure is not None:
                raise self.failure
            if loop.time() > deadline:
                raise PartFailed("apiserver", problem, api_server.log)
            await asyncio.sleep(_POLL_SECONDS)

    async def _api_ready(self) -> bool:
        return await self._exists("/readyz")()

    def _exists(self, path: str) -> Callable[[], Awaitable[bool]]:
        async def ready() -> bool:
            async with Api(self.kubeconfig) as api:
                return await api.answers(path)

        return ready

    def _failed(self, failure: PartFailed) -> None:
        if self.failure is None:
            self.failure = failure
        for listener in list(self._listeners):
            listener(failure)


class Guard:
    """Cancels the task that entered it when a part of the cluster dies, and raises that part's `PartFailed`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._forget: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        task = self._task
        if task is not None:
            self._forget = self._cluster.on_failure(lambda failure: _cancel(loop, task))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._forget is not None:
            self._forget()
        failure = self._cluster.failure
        if failure is not None and (kind is None or isinstance(error, asyncio.CancelledError)):
            if self._task is not None:
                self._task.uncancel()
            raise failure from None


def _cancel(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[object]") -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(task.cancel)


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """A condition: a GET of this address is answered with 2xx."""

    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.TransportError:
                return False

    return ready


def _connects(host: str, port: int) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        with socket.socket() as connection:
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
            except OSError:
                return False
        return True

    return ready
