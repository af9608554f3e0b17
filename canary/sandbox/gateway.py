"""What a gateway is: the programs that it is made of, and what lies in the cluster and in files for them.

Each module of `canary.sandbox.gateways` has one. They are values, so that a sandbox can be described in a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.kube.types import Json, Resource

USER = "gateway"
"""Who its programs are to the API server. It may do everything."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of a gateway: its control plane, or a data plane.

    Attributes:
        part: what it is called among the cluster's parts.
        binary: the program, as `canary.sandbox.binaries` knows it.
        arguments: the words behind it, with places to be filled in as `Gateway` has them.
        ready_url: it is ready once a GET of this address is answered with 2xx.
        environment: variables added to those of this process, with the same places.
        before: commands that must end well before each start, with the same places, and with `{program}` and `{python}`
            for the paths of the program and of this Python.
        places: folders that it, and these commands, find at fixed paths: from path to folder, with the same places.
            They are made.
    """

    part: str
    binary: str
    arguments: tuple[str, ...]
    ready_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[tuple[str, ...], ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A way into the cluster.

    In the texts of its files, and in its programs' arguments and environments, `{kubeconfig}`, `{token}` and
    `{certificate}` stand for its way to the API server (the first and the last are paths), `{folder}` for the folder
    of its files.

    Attributes:
        name: also that of its GatewayClass and of its Gateway, where it knows Gateway API.
        namespace: is created; its objects are in it.
        host: where it serves HTTP.
        port: where it serves HTTP.
        programs: are started in this order, each once the one before is ready.
        schemas: files of CustomResourceDefinitions among the package's manifests.
        objects: are applied before the programs start, once the schemas are served.
        files: from name to text: are written before the programs start.
        scraping: Prometheus's jobs for what its programs export.
    """

    name: str
    namespace: str
    host: str
    port: int
    programs: tuple[Program, ...]
    schemas: tuple[str, ...] = ()
    objects: tuple[tuple[Resource, Json], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    scraping: tuple[Json, ...] = ()

    @property
    def url(self) -> str:
        """Where it serves HTTP, with `/` at the end."""
        return f"http://{self.host}:{self.port}/"

    @property
    def binaries(self) -> tuple[str, ...]:
        """The programs needed, as `canary.sandbox.binaries` knows them."""
        return tuple(program.binary for program in self.programs)

    @property
    def parent(self) -> Json:
        """How a route of Gateway API refers to it."""
        return {"name": self.name, "namespace": self.namespace}


def gateway_api(
    name: str, namespace: str, controller: str, ports: Mapping[str, int]
) -> tuple[tuple[Resource, Json], ...]:
    """A GatewayClass, and a Gateway of it that is open to routes of every namespace.

    Args:
        name: of both.
        namespace: the Gateway's.
        controller: what the gateway's control plane calls itself.
        ports: the ports of its listeners, by their names.
    """
    group, version = "gateway.networking.k8s.io", "v1"
    listeners = [
        {"name": listener, "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
        for listener, port in ports.items()
    ]
    gateway_class: Json = {"metadata": {"name": name}, "spec": {"controllerName": controller}}
    gateway: Json = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"gatewayClassName": name, "listeners": listeners},
    }
    return (
        (Resource(group, version, "gatewayclasses", "GatewayClass", namespaced=False), gateway_class),
        (Resource(group, version, "gateways", "Gateway"), gateway),
    )
