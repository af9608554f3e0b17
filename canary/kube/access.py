"""The way to an API server as a value: its address, whom to trust there, and credentials that no text shows."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

_KEY: Final = secrets.token_bytes(32)
"""Another one in each process, so that nobody can try out from a fingerprint which password makes it."""


class Hidden:
    """A text that is never shown: whatever prints or logs it gets its place only.

    Args:
        text: the text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for what sends it to where it belongs."""
        return self._text

    def __repr__(self) -> str:
        return "(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a hidden text is not written anywhere")


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    text: Hidden


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate by which a client shows itself.

    Args:
        chain: the certificate, and those that it hangs on, as PEM.
        key: its private key, as PEM without a passphrase.
    """

    chain: str = field(repr=False)
    key: Hidden


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, as proxies before API servers ask for; API servers themselves take none."""

    user: str
    password: Hidden


Credential = Token | ClientCertificate | Login


class Verification(Enum):
    """What of the server's certificate is looked at."""

    WHOLE = "all of it"
    ANY_NAME = "who has signed it, not whose it is"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Access:
    """The way to one API server. Two that are equal are the same way, with the same credentials.

    Args:
        server: its address, such as `https://eu.example.com:6443`, with a path where it stands behind another server.
        credentials: how a client shows itself.
        authority: the certificates that the server's is verified by, as PEM; empty for those of the system.
        server_name: the name that the server's certificate is to bear; empty for the host of its address.
        proxy: the address of the proxy on the way, which may have a password in it; None for what the environment says.
        verification: what of the server's certificate is looked at.
    """

    server: str
    credentials: tuple[Credential, ...]
    authority: str = field(default="", repr=False)
    server_name: str = ""
    proxy: Hidden | None = None
    verification: Verification = Verification.WHOLE

    @property
    def fingerprint(self) -> str:
        """A short text that is the same for equal ways in this process, and another one after any change.

        It is another in each process: it tells nothing of the credentials, and is worth nothing in a status.
        """
        return hmac.new(_KEY, repr(_parts(self)).encode(), hashlib.sha256).hexdigest()[:16]


def _parts(access: Access) -> tuple[object, ...]:
    proxy = access.proxy.reveal() if access.proxy is not None else None
    shown = (access.server, access.authority, access.server_name, proxy, access.verification.name)
    return (*shown, *(_told(each) for each in access.credentials))


def _told(credential: Credential) -> tuple[str, ...]:
    match credential:
        case Token(text):
            return ("token", text.reveal())
        case ClientCertificate(chain, key):
            return ("certificate", chain, key.reveal())
        case Login(user, password):
            return ("login", user, password.reveal())
