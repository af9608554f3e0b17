"""Further control planes beside a cluster's own: API servers that keep their objects apart in the same etcd."""

from dataclasses import dataclass
from typing import Final

from canary.kube.access import Access, Hidden, Token
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import answers
from canary.sandbox.process import Part

FIRST_PORT: Final = 7001
CERTIFIED: Final = addresses.API_SERVER
"""The host that the certificate of the cluster's own API server names, which these show, too."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One of them.

    Args:
        server: its address.
        admin: the way in for its administrator.
        part: its program, which may be killed and started again.
    """

    server: str
    admin: Access
    part: Part


def control_plane(cluster: Cluster, name: str, number: int) -> ControlPlane:
    """A control plane, which does not run yet.

    Args:
        cluster: the cluster beside whose own it is.
        name: what it is called, as a corner of etcd too.
        number: counts them from 0.
    """
    port = FIRST_PORT + number
    server = f"https://{CERTIFIED}:{port}"
    certificate, token = cluster.certificate.read_text(), cluster.token()
    ready = answers(f"{server}/readyz", token=token, certificate=certificate)
    log = cluster.folder / f"{name}.log"
    part = Part(name, lambda: command_of(cluster, name, port), log, ready)
    return ControlPlane(server, Access(server, (Token(Hidden(token)),), certificate), part)


def command_of(cluster: Cluster, name: str, port: int) -> list[str]:
    """The command line of an API server like the cluster's own, with a port and a corner of etcd to itself."""
    own = [*cluster.parts["apiserver"].command()]
    kept = [each for each in own if not each.startswith(("--secure-port", "--audit-"))]
    return [*kept, f"--secure-port={port}", f"--etcd-prefix=/{name}"]
