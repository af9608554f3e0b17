"""What a Secret says of how a server is spoken to, whoever names it: authority, certificate, proxy, headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from outbound.message import Headers, basic
from outbound.tls import USUAL, Tls

AUTHORITY, CERTIFICATE, KEY, PROXY, HEADER = "ca.crt", "tls.crt", "tls.key", "proxy", "header."
"""The keys, the last one with the header's name behind it. The first three are those of Secrets of type TLS."""

TOKEN, USERNAME, PASSWORD = "token", "username", "password"
"""The keys of bearer and basic authentication."""

_CONNECTION = frozenset({AUTHORITY, CERTIFICATE, KEY, PROXY})

_SHORTEST_SECRET = 4
"""Characters of what is blotted out at least: less would blot out words."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached.

    Args:
        tls: whom the connection trusts, and by which certificate it shows itself.
        proxy: address of the proxy; empty for that of the environment.
        headers: further headers.
    """

    tls: Tls = USUAL
    proxy: str = field(default="", repr=False)
    headers: Headers = field(default=(), repr=False)


_USUAL = Access()


def unfold(secret: Mapping[str, str]) -> tuple[Access, Mapping[str, str]]:
    """What a Secret says of the connection, and the keys that say something else."""
    if not secret:
        return _USUAL, {}
    headers = tuple(
        (key.removeprefix(HEADER), value.strip()) for key, value in secret.items() if key.startswith(HEADER)
    )
    tls = Tls(authority=secret.get(AUTHORITY, ""), certificate=secret.get(CERTIFICATE, ""), key=secret.get(KEY, ""))
    rest = {key: value for key, value in secret.items() if key not in _CONNECTION and not key.startswith(HEADER)}
    return Access(tls, secret.get(PROXY, "").strip(), headers), rest


def bearer(token: str) -> tuple[str, str]:
    """The header of bearer authentication."""
    return "Authorization", f"Bearer {token}"


def authorization(secret: Mapping[str, str]) -> Headers:
    """The header that a Secret with `token`, or with `username` and `password`, lets one in by; none without these."""
    if TOKEN in secret:
        return (bearer(secret[TOKEN].strip()),)
    if USERNAME in secret or PASSWORD in secret:
        return (basic(secret.get(USERNAME, "").strip(), secret.get(PASSWORD, "").strip()),)
    return ()


def blotted(secrets: Iterable[str], text: str, cut: str = "") -> str:
    """The text without the secrets, their lines and their last words: a server may repeat what it was sent.

    Args:
        secrets: what must not be read.
        text: what may hold it.
        cut: what stands at the end of a text that is cut, where one is; a secret may have been cut with it.
    """
    lines = (line.strip() for value in secrets for line in (value, *value.splitlines()))
    parts = {form for line in lines for part in _parts(line) for form in (part, quote(part, safe=""))}
    long = sorted((each for each in parts if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)
    for part in long:
        text = text.replace(part, "***")
    return _without_beginning(text, long, cut)


def _parts(secret: str) -> Iterator[str]:
    """A secret, the word behind that for its kind, and the password of an address."""
    yield " ".join(secret.split())
    yield secret.rpartition(" ")[2]
    if "://" in secret:
        yield secret.partition("://")[2].rpartition("@")[0].partition(":")[2]


def _without_beginning(text: str, secrets: Sequence[str], cut: str) -> str:
    """The text without what a cut has left of a secret at its end."""
    if not text.endswith(cut):
        return text
    shown = text.removesuffix(cut)
    begun = (
        length
        for secret in secrets
        for length in range(min(len(secret), len(shown)), _SHORTEST_SECRET - 1, -1)
        if shown.endswith(secret[:length])
    )
    longest = max(begun, default=0)
    return f"{shown[: len(shown) - longest]}***{cut}" if longest else text
