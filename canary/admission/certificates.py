"""Certificates for the server: made here, kept in a Secret, and made anew long before they run out.

One certificate signs itself, and clients trust that very one. Those that come after each other overlap: clients trust
both, so that it doesn't matter which of several servers has the newer one yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from canary.admission.errors import NoCertificateError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LEAST_LIFE: Final = timedelta(seconds=10)
"""What is good for less than that is renewed faster than API servers notice."""

LONGEST_LIFE: Final = timedelta(days=3650)
"""What is good for longer is never renewed."""

BACKDATED: Final = timedelta(minutes=5)
"""How much earlier than now it is good: clocks differ."""

MISSING: Final = "certificates are made with the package cryptography: pip install 'canary-controller[admission]'"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key.

    Args:
        certificate: in PEM; more of them, the first one being the server's, where others sign it.
        key: in PEM.
    """

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the Secret holds.

    Args:
        pair: what is served.
        trusted: the certificates that clients trust, in PEM, the newest first.
    """

    pair: Pair
    trusted: bytes


def make(names: Iterable[str], now: datetime, life: timedelta) -> Pair:
    """A new certificate that signs itself.

    Args:
        names: host names of the server, at least one.
        now: the time.
        life: how long it is good.

    Raises:
        NoCertificateError: the library for it is not installed.
    """
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - an extra
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoCertificateError(MISSING) from error
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has 64 characters at most.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "canary-controller-admission")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def successor(kept: Kept | None, names: Iterable[str], now: datetime, life: timedelta) -> Kept | None:
    """What is to be kept from now on; None where what is kept is good for long enough.

    Args:
        kept: what is kept; None where there is nothing, or nothing that can be read.
        names: host names that the certificate must be for.
        now: the time.
        life: for how long a new one is good; it is followed by the next when a third of that is left.

    Raises:
        NoCertificateError: the library for it is not installed.
    """
    wanted = frozenset(names)
    if kept is not None and is_good(kept.pair.certificate, wanted, now, life / 3):
        return None
    pair = make(sorted(wanted), now, life)
    before = [] if kept is None else [each for each in _read(kept.trusted) if each.not_valid_after_utc > now]
    # Of those before, the last one alone is served by anybody still.
    return Kept(pair, pair.certificate + b"".join(map(_pem, before[:1])))


def is_good(certificate: bytes, names: frozenset[str], now: datetime, left: timedelta) -> bool:
    """Whether a certificate is for these names, and good for this much longer.

    Raises:
        NoCertificateError: the library for it is not installed.
    """
    found = _read(certificate)
    if not found:
        return False
    good = found[0].not_valid_before_utc <= now and now + left < found[0].not_valid_after_utc
    return good and names <= _names(found[0])


def ends(certificate: bytes) -> datetime | None:
    """When the first of these certificates runs out; None where it can't be told."""
    try:
        found = _read(certificate)
    except NoCertificateError:
        return None
    return found[0].not_valid_after_utc if found else None


def _read(pem: bytes) -> "list[Certificate]":
    """The certificates of a text, none where it can't be read."""
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoCertificateError(MISSING) from error
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - an extra

    return certificate.public_bytes(Encoding.PEM)


def _names(certificate: "Certificate") -> frozenset[str]:
    from cryptography import x509  # noqa: PLC0415 - an extra

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(found.get_values_for_type(x509.DNSName))
