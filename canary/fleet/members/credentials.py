"""The parts of a way to an API server, each from the field that holds it, in whichever source."""

import re
from typing import Final
from urllib.parse import urlsplit

from canary.api.addresses import is_header_value, is_web_address
from canary.fleet.members.parts import Part
from canary.kube.access import ClientCertificate, Credential, Hidden, Login, Token, Verification

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_KEY: Final = re.compile(r"-----BEGIN (RSA |EC |)PRIVATE KEY-----")


def server(part: Part) -> str:
    """The address of an API server.

    Raises:
        Refused: requests with credentials can't be sent there.
    """
    address = part.text().rstrip("/")
    if not _is_address(address, "https"):
        message = "is no address that credentials can be sent to"
        raise part.refused(message, "write https://HOST or https://HOST:PORT, with a path where there is one")
    return address


def proxy(part: Part) -> Hidden | None:
    """The address of a proxy; None where none is named.

    Raises:
        Refused: requests can't be sent through it.
    """
    address = part.text("")
    if not address:
        return None
    if not is_web_address(address):
        raise part.refused("is no address of a proxy that a hub can use", "write http://HOST:PORT or https://HOST:PORT")
    return Hidden(address)


def server_name(part: Part) -> str:
    """The name that a server's certificate is to bear; empty for the host of its address.

    Raises:
        Refused: it is no name of a host.
    """
    name = part.text("")
    if name and (not is_web_address(f"https://{name}") or set(name) & set("/?#@:[]")):
        raise part.refused("is no name of a host", "write a name such as api.example.com")
    return name


def authority(part: Part) -> str:
    """The certificates that a server's is verified by, from base64; empty where none are given.

    Raises:
        Refused: they are no certificates.
    """
    return _certificates(part) if part.is_there else ""


def verification(insecure: Part, authority: Part) -> Verification:
    """What of a server's certificate is looked at.

    Raises:
        Refused: two fields say opposite things.
    """
    if not insecure.flag():
        return Verification.WHOLE
    if authority.is_there:
        message = f"is true, and {authority.path} has certificates to verify the server by"
        raise insecure.refused(message, "keep one of the two")
    return Verification.NONE


def token(part: Part, text: str) -> Token:
    """A bearer token.

    Raises:
        Refused: a header can't carry it.
    """
    stripped = text.strip()
    if not stripped or not is_header_value(stripped) or " " in stripped:
        raise part.refused("is no token that a request can carry", "write the token alone, without line breaks")
    return Token(Hidden(stripped))


def certificate(chain: Part, key: Part) -> ClientCertificate | None:
    """A client's certificate and its key, from base64; None where neither is given.

    Raises:
        Refused: one is missing or can't be used.
    """
    if not chain.is_there and not key.is_there:
        return None
    return ClientCertificate(_certificates(chain), Hidden(_private_key(key)))


def login(user: Part, password: Part) -> Login | None:
    """A name with its password; None where neither is given.

    Raises:
        Refused: one is missing or can't be used.
    """
    if not user.is_there and not password.is_there:
        return None
    if ":" in user.text() or not user.text().isprintable():
        raise user.refused("is no name that a request can carry", "use a name without colons, or a token")
    if not password.text().isprintable():
        raise password.refused("is no password that a request can carry", "use one without line breaks, or a token")
    return Login(user.text(), Hidden(password.text()))


def all_of(whole: Part, *found: Credential | None) -> tuple[Credential, ...]:
    """Those that were found.

    Raises:
        Refused: there are none, or two that exclude each other.
    """
    there = tuple(each for each in found if each is not None)
    if not there:
        raise whole.refused("has no credentials", "give a token, or a client certificate with its key")
    if sum(isinstance(each, Token | Login) for each in there) > 1:
        raise whole.refused("has a token and a password, and a request carries one of them", "keep one of the two")
    return there


def _certificates(part: Part) -> str:
    text = _pem(part)
    if _CERTIFICATE not in text:
        raise part.refused("has no certificate", "write certificates as PEM, encoded with base64")
    return text


def _private_key(part: Part) -> str:
    text = _pem(part)
    if "ENCRYPTED" in text:
        raise part.refused("is a key with a passphrase, for which nobody can be asked", "give the key without one")
    if _KEY.search(text) is None:
        raise part.refused("is no private key", "write the key as PEM, encoded with base64")
    return text


def _pem(part: Part) -> str:
    text = part.decoded()
    if not text.isascii():
        raise part.refused("is no PEM", "write PEM, encoded with base64")
    return text


def _is_address(address: str, scheme: str) -> bool:
    if not is_web_address(address):
        return False
    parts = urlsplit(address)
    return parts.scheme == scheme and address.isascii() and not (set(address) & set(" ?#@"))
