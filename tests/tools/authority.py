"""An authority of a test's own, which signs certificates of servers and of clients."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
LASTS = timedelta(days=30)


class Pair(NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates; each authority has a key of its own.

    Args:
        name: its common name.
    """

    def __init__(self, name: str = "a test's authority") -> None:
        self._name, self._key = _named(name), _new_key()
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._signed(self._name, self._key, extension, begins=_yesterday())

    def client(self, name: str, *groups: str) -> Pair:
        """A client's certificate: Kubernetes takes its common name for the user, its organizations for the groups."""
        key = _new_key()
        return Pair(self._signed(_named(name, *groups), key, begins=_yesterday()), _pem(key))

    def server(self, *names: str, begins: datetime | None = None) -> Pair:
        """A server's certificate for the loopback address, or for these names in its place."""
        key = _new_key()
        loopback = x509.IPAddress(IPv4Address("127.0.0.1"))
        extension = x509.SubjectAlternativeName([x509.DNSName(each) for each in names] if names else [loopback])
        return Pair(self._signed(_named("a test"), key, extension, begins=begins or _yesterday()), _pem(key))

    def _signed(self, name: x509.Name, key: Key, *extensions: x509.ExtensionType, begins: datetime) -> str:
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(begins).not_valid_after(begins + LASTS)
        for each in extensions:
            builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _named(name: str, *groups: str) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: Key) -> str:
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)
