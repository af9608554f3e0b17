"""Who may talk to the sandbox's API server: tokens, kubeconfig files, the service accounts' signing key."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ADMIN = "admin"
CONTEXT = "sandbox"
"""What kubeconfig files call the sandbox's own cluster."""
ALL_RIGHTS = "system:masters"
"""The group whose members may do everything."""
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whom the API server knows by a token."""

    name: str
    token: str
    groups: tuple[str, ...] = ()


def make_user(name: str, *groups: str) -> User:
    """A user with a fresh token."""
    return User(name=name, token=secrets.token_hex(16), groups=groups)


def write_tokens(users: list[User], path: Path) -> None:
    """Write the API server's token file."""
    lines = [f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"' for user in users]
    _write_private(path, "\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Way:
    """How a user gets to a cluster.

    Attributes:
        user: who goes.
        server: where the API server is.
        certificate: the file of what it is verified by.
    """

    user: User
    server: str
    certificate: Path


def kubeconfig(ways: Mapping[str, Way]) -> str:
    """The text of a kubeconfig file: a context for each way, by its name; the first is the current one."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": _cluster(way)} for name, way in ways.items()],
            "users": [{"name": name, "user": {"token": way.user.token}} for name, way in ways.items()],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in ways],
            "current-context": next(iter(ways)),
        },
        indent=1,
    )


def _cluster(way: Way) -> dict[str, str]:
    authority = base64.b64encode(way.certificate.read_bytes()).decode()
    return {"server": way.server, "certificate-authority-data": authority}


def write_contexts(path: Path, ways: Mapping[str, Way]) -> None:
    """Write a kubeconfig file that leads to several clusters; the first is meant where none is named."""
    _write_private(path, kubeconfig(ways))


def write_kubeconfig(path: Path, *, user: User, server: str, certificate: Path) -> None:
    """Write a kubeconfig file; `certificate` is what the server is verified by."""
    write_contexts(path, {CONTEXT: Way(user, server, certificate)})


def write_signing_key(path: Path) -> None:
    """Write a fresh P-256 private key for service account tokens.

    The encoding (RFC 5915) leaves out the public half, which readers compute; so no cryptography library is needed.
    """
    scalar = (1 + secrets.randbelow(_P256_ORDER - 1)).to_bytes(32, "big")
    version = b"\x02\x01\x01"
    curve = bytes.fromhex("a00a06082a8648ce3d030107")
    body = version + b"\x04\x20" + scalar + curve
    encoded = base64.encodebytes(b"\x30" + bytes([len(body)]) + body).decode()
    label = "EC PRIVATE KEY"
    _write_private(path, f"-----BEGIN {label}-----\n{encoded}-----END {label}-----\n")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
