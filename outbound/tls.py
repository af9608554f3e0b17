"""Whom a connection trusts, and by which certificate it shows itself."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import certifi

from outbound.errors import CannotAskError


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connection differs by from the usual; everything as PEM, empty for none.

    Args:
        authority: the certificates of the authorities that are trusted.
        beside: whether the usual ones are trusted, too.
        certificate: our own certificate, those that it hangs on behind it.
        key: its private key, without a passphrase.
    """

    authority: str = field(default="", repr=False)
    beside: bool = False
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


USUAL = Tls()
"""The authorities of the environment, and no certificate of our own."""


def context(tls: Tls, *, insecure: bool = False) -> ssl.SSLContext:
    """What such connections are made with.

    Raises:
        CannotAskError: something can't be read, which is told by what it is for.
    """
    made = _trusting(tls)
    if insecure:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if tls.certificate or tls.key:
        _show(made, tls)
    return made


def _trusting(tls: Tls) -> ssl.SSLContext:
    made = _usual() if tls.beside or not tls.authority else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.authority:
        try:
            made.load_verify_locations(cadata=tls.authority)
        except (ssl.SSLError, ValueError):
            raise CannotAskError("the certificates of the authorities can't be read; write them as PEM") from None
    return made


def _show(made: ssl.SSLContext, tls: Tls) -> None:
    if not (tls.certificate and tls.key):
        raise CannotAskError("a certificate of our own needs its key, and the key its certificate")
    with _as_file(f"{tls.certificate.strip()}\n{tls.key.strip()}\n") as path:
        try:
            # Never asks on a terminal for a passphrase.
            made.load_cert_chain(path, password=lambda: b"")
        except (ssl.SSLError, ValueError, OSError):
            words = "our own certificate and its key can't be read or are no pair; write PEM without a passphrase"
            raise CannotAskError(words) from None


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """A file in memory where there is such a thing, as a certificate is taken from a file alone."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("certificate")
        try:
            os.write(number, text.encode())
            yield f"/proc/self/fd/{number}"
        finally:
            os.close(number)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


def _usual() -> ssl.SSLContext:
    """The authorities that are trusted by all.

    Raises:
        CannotAskError: those that the environment names can't be read.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if folder and not file:
            return ssl.create_default_context(capath=folder)
        return ssl.create_default_context(cafile=file or certifi.where())
    except OSError as error:
        raise CannotAskError(f"SSL_CERT_FILE names no certificates of authorities ({error.strerror})") from None
