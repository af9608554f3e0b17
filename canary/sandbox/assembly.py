"""Which programs a cluster is made of, how each is started, and when it is ready."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from canary.sandbox import controlplane, credentials, places, prometheus
from canary.sandbox.conditions import Condition, answers, connects
from canary.sandbox.controlplane import Files
from canary.sandbox.gateway import USER as GATEWAY_USER
from canary.sandbox.gateway import Gateway, Program
from canary.sandbox.options import Options
from canary.sandbox.process import Part, PartFailed

USERS = (credentials.ADMIN, "kube-controller-manager", "node", "network", "prometheus", GATEWAY_USER)
_PATIENT = {"kube-controller-manager", "prometheus", GATEWAY_USER}
_TOOLS = {"kubectl", "hey", "promtool"}


@dataclass(slots=True)
class Assembly:
    """One cluster's programs and files.

    Attributes:
        options: how the cluster is.
        folder: where its files lie.
        failed: is told when a program dies.
        files: where the control plane's files are.
        users: everybody who may talk to the API server.
    """

    options: Options
    folder: Path
    failed: Callable[[PartFailed], None]
    files: Files = field(init=False)
    users: dict[str, credentials.User] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.files = Files(self.folder)

    def programs(self) -> tuple[str, ...]:
        """The programs needed."""
        needed = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "hey"]
        needed += [binary for gateway in self.options.gateways for binary in gateway.binaries]
        needed += ["prometheus", "promtool"] if self.options.prometheus else []
        return tuple(dict.fromkeys(needed))

    def link_tools(self, programs: Mapping[str, Path]) -> None:
        """Gather the programs that people type in one folder."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in _TOOLS & set(programs):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(programs[name])

    def write_credentials(self) -> None:
        """Write what the API server knows its users by."""
        everybody = {**self.options.users, **dict.fromkeys(USERS, (credentials.ALL_RIGHTS,))}
        self.users = {name: credentials.make_user(name, *groups) for name, groups in everybody.items()}
        credentials.write_tokens(list(self.users.values()), self.files.tokens)
        credentials.write_signing_key(self.files.signing_key)
        controlplane.write_audit_policy(self.files.audit_policy, self.options.audited)

    def kubeconfig(self, user: str) -> Path:
        """Where a user's kubeconfig file lies.

        Raises:
            KeyError: there is no such user.
        """
        return self.folder / f"{self.users[user].name.replace(':', '_')}.kubeconfig"

    def write_kubeconfigs(self) -> None:
        """Write everybody's kubeconfig file, and the files made with them. The API server's certificate is there."""
        site = self.options.site
        for name, user in self.users.items():
            path, certificate = self.kubeconfig(name), self.files.certificate
            server = site.patient_api_url if name in _PATIENT else site.api_url
            credentials.write_kubeconfig(path, user=user, server=server, certificate=certificate)
        self.write_prometheus_config(self.options.gateways)

    def write_prometheus_config(self, gateways: Sequence[Gateway]) -> None:
        """Write what Prometheus scrapes, these gateways among it."""
        jobs = [job for gateway in gateways for job in gateway.scraping]
        discovery = self.kubeconfig("prometheus")
        prometheus.write_configuration(self._prometheus_config, self.options.scraping, jobs, discovery)

    @property
    def _prometheus_config(self) -> Path:
        return self.folder / "prometheus.json"

    def log(self, part: str) -> Path:
        """Where a part's output goes."""
        return self.folder / "logs" / f"{part}.log"

    def part(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        ready: Condition,
        environment: Mapping[str, str] | None = None,
    ) -> Part:
        """A program that is part of the cluster."""
        return Part(name, command, self.log(name), ready, environment or {}, self.failed)

    def parts(self, programs: Mapping[str, Path]) -> dict[str, Part]:
        """All parts of the cluster itself, none of them started."""
        parts = [self._etcd(programs), self._api_server(programs), self._kcm(programs), self._node(), self._network()]
        parts += [self._prometheus(programs)] if self.options.prometheus else []
        return {part.name: part for part in parts}

    def _etcd(self, programs: Mapping[str, Path]) -> Part:
        ready = answers(f"{self.options.site.etcd_url}/health")
        return self.part("etcd", lambda: controlplane.etcd(programs["etcd"], self.files, self.options.site), ready)

    def _api_server(self, programs: Mapping[str, Path]) -> Part:
        program, site = programs["kube-apiserver"], self.options.site
        return self.part(
            "apiserver", lambda: controlplane.api_server(program, self.files, site), self.serves("/readyz")
        )

    def _kcm(self, programs: Mapping[str, Path]) -> Part:
        program, name = programs["kube-controller-manager"], "kube-controller-manager"
        ready = self.serves("/api/v1/namespaces/default/serviceaccounts/default")
        return self.part(
            "kcm", lambda: controlplane.controller_manager(program, self.files, self.kubeconfig(name)), ready
        )

    def _node(self) -> Part:
        options = self.options

        def command() -> list[str]:
            words = [sys.executable, "-m", "canary.sandbox.node", str(self.kubeconfig("node"))]
            words += ["--folder", str(self.folder / "pods"), "--nodes", str(options.nodes)]
            words += ["--backoff", str(options.crash_backoff), "--site", str(options.site.number)]
            words += ["--certificate", str(self.files.certificate), str(self.files.certificate_key)]
            return words + ([] if options.fake_delay is None else ["--fake-delay", str(options.fake_delay)])

        return self.part("node", command, self.serves(f"/api/v1/nodes/node-{options.nodes}"), own_package())

    def _network(self) -> Part:
        options = self.options

        def command() -> list[str]:
            words = [sys.executable, "-m", "canary.sandbox.network", str(self.kubeconfig("network"))]
            if not options.names_served:
                return [*words, "--no-names"]
            words += ["--namespace", options.namespaces[0] if options.namespaces else "default"]
            return words + [f"--name={name}={target}" for name, target in options.names.items()]

        return self.part("network", command, connects(options.site.kubernetes_service, 443), own_package())

    def gateway(self, gateway: Gateway, programs: Mapping[str, Path]) -> list[Part]:
        """Write a gateway's files; its parts, in the order in which they are to be started."""
        known = self._known_to(gateway)
        for name, text in gateway.files.items():
            (Path(known["folder"]) / name).write_text(_filled(text, known))
        return [self._program(each, programs[each.binary], known) for each in gateway.programs]

    def _known_to(self, gateway: Gateway) -> dict[str, str]:
        folder = self.folder / "gateways" / gateway.name
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "kubeconfig": str(self.kubeconfig(GATEWAY_USER)),
            "token": self.users[GATEWAY_USER].token,
            "certificate": str(self.files.certificate),
            "folder": str(folder),
        }

    def _program(self, program: Program, path: Path, known: Mapping[str, str]) -> Part:
        known = {**known, "program": str(path), "python": sys.executable}
        command = _one_after_the_other(
            [[_filled(word, known) for word in each] for each in (*program.before, ("{program}", *program.arguments))]
        )
        if program.places:
            shown = {at: _filled(found, known) for at, found in program.places.items()}
            command = [*places.words(Path(known["folder"]) / "root", shown), *command]
        environment = {name: _filled(value, known) for name, value in program.environment.items()}
        environment |= own_package() if program.places else {}
        return self.part(program.part, lambda: command, answers(program.ready_url), environment)

    def _prometheus(self, programs: Mapping[str, Path]) -> Part:
        program, data = programs["prometheus"], self.folder / "prometheus"
        site = self.options.site
        ready = answers(f"{site.prometheus_url}/-/ready")
        return self.part(
            "prometheus",
            lambda: prometheus.command(program, config=self._prometheus_config, data=data, site=site),
            ready,
        )

    def serves(self, path: str) -> Condition:
        """The API server answers this path."""

        async def ready() -> bool:
            certificate = self.files.certificate.read_text()
            token = self.users[credentials.ADMIN].token
            return await answers(self.options.site.api_url + path, token=token, certificate=certificate)()

        return ready


def _filled(text: str, known: Mapping[str, str]) -> str:
    """The text with its places filled in; other braces stay as they are."""
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _one_after_the_other(commands: Sequence[Sequence[str]]) -> list[str]:
    """What runs commands, each if the one before ended well, and becomes the last."""
    *before, last = commands
    if not before:
        return list(last)
    return ["/bin/sh", "-c", " && ".join([*(shlex.join(each) for each in before), f"exec {shlex.join(last)}"])]


def own_package() -> dict[str, str]:
    """The variables by which our own programs find this package wherever it lies."""
    root = str(Path(__file__).parents[2])
    return {"PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
