"""Who may call: by a token that both sides know, or by one that the API server vouches for.

Without either everybody may, as at Flagger's load tester; then the NetworkPolicy alone says who.
"""

import hmac
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from inbound.reviews import Reviews, TooManyStrangers

SCHEME = "bearer"
REVIEW_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
OWN_IDENTITY = Path("/var/run/secrets/kubernetes.io/serviceaccount")

LARGEST_ANSWER = 64 * 1024
"""Bytes of its answer that are read."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A caller who may not call.

    Args:
        status: the HTTP status of the answer: 401 no good token, 403 somebody else's, 429 too many that nobody knows,
            503 it can't be told now.
        reason: why, in words.
    """

    status: int
    reason: str


class Callers(Protocol):
    """Knows who may call."""

    async def check(self, authorization: str | None, peer: str) -> Denied | None:
        """Judge a call by its header and the address that it comes from; None lets it in."""

    async def close(self) -> None:
        """Give back what was opened for it."""


class TokenFileError(Exception):
    """The file with the tokens can't be read, or has none; the text says which."""


class SharedTokens:
    """Lets in who has one of the tokens of a file, one a line, which is read at every call: a change counts at once.

    Args:
        path: the file.

    Raises:
        TokenFileError: it can't be read, or has no token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens()

    async def check(self, authorization: str | None, peer: str) -> Denied | None:
        """Judge a call by its header; None lets it in."""
        token = token_of(authorization)
        if token is None:
            return _NO_TOKEN
        try:
            known = self._tokens()
        except TokenFileError as error:
            return Denied(503, str(error))
        # All are compared, so that the time tells nothing.
        good = [hmac.compare_digest(token.encode(), each) for each in known]
        return None if any(good) else Denied(401, "Unauthorized: this token is not known here")

    async def close(self) -> None:
        """Nothing is open."""

    def _tokens(self) -> list[bytes]:
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            msg = f"the token file can't be read: {error.strerror or error}"
            raise TokenFileError(msg) from None
        tokens = [line.strip() for line in lines if line.strip()]
        if not tokens:
            msg = "the token file has no token"
            raise TokenFileError(msg)
        return tokens


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where the API server is, and who the load tester is to it.

    Args:
        url: its address, without a path.
        token_file: the load tester's own token; it is read for every question, for it is renewed.
        ca_file: whom to trust.
    """

    url: str
    token_file: Path
    ca_file: Path | None

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ) -> "ApiServer | None":
        """Return that of the pod that this runs in; None where it runs in none, or has no token."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not (OWN_IDENTITY / "token").exists():
            return None
        name = f"[{host}]" if ":" in host else host
        return cls(f"https://{name}:{port}", OWN_IDENTITY / "token", OWN_IDENTITY / "ca.crt")


class ReviewedTokens:
    """Lets in whom the API server knows by a token (TokenReview), and who is one of some users.

    Args:
        server: the API server.
        users: the names of those who may call, such as `system:serviceaccount:NAMESPACE:NAME`.
        audience: for whom tokens must have been made; empty for the API server itself.
    """

    def __init__(self, server: ApiServer, users: frozenset[str], audience: str = "") -> None:
        self._server = server
        self._users = users
        self._audience = audience
        self._session: aiohttp.ClientSession | None = None
        self._reviews = Reviews(self._review)

    async def check(self, authorization: str | None, peer: str) -> Denied | None:
        """Judge a call by its header; None lets it in."""
        token = token_of(authorization)
        if token is None:
            return _NO_TOKEN
        try:
            known = await self._reviews.holder(token, peer)
        except TooManyStrangers as error:
            return Denied(429, str(error))
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as error:
            return Denied(503, f"the API server can't be asked who calls: {type(error).__name__}")
        return self._judge(known)

    async def close(self) -> None:
        """Close the connection to the API server."""
        await self._reviews.close()
        if self._session is not None:
            await self._session.close()

    async def _review(self, token: str) -> "_Known | None":
        """Ask about a token; None where the API server doesn't know it."""
        if self._session is None:
            ca_file = self._server.ca_file
            tls = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else True
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
        spec = {"token": token} | ({"audiences": [self._audience]} if self._audience else {})
        question = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        own = self._server.token_file.read_text().strip()
        headers = {"Authorization": f"Bearer {own}"}
        url = f"{self._server.url}{REVIEW_PATH}"
        async with self._session.post(url, json=question, headers=headers, allow_redirects=False) as response:
            response.raise_for_status()
            read = bytearray()
            async for piece in response.content.iter_any():
                read += piece
                if len(read) > LARGEST_ANSWER:
                    msg = "the answer is larger than it may be"
                    raise ValueError(msg)
            answer = json.loads(read)
        return self._known(answer.get("status") if isinstance(answer, dict) else None)

    def _known(self, status: object) -> "_Known | None":
        if not isinstance(status, dict) or status.get("authenticated") is not True:
            return None
        user, audiences = status.get("user"), status.get("audiences")
        name = user.get("username") if isinstance(user, dict) else None
        is_for_us = not self._audience or (isinstance(audiences, list) and self._audience in audiences)
        return _Known(name if isinstance(name, str) else "", is_for_us=is_for_us)

    def _judge(self, known: "_Known | None") -> Denied | None:
        if known is None:
            return Denied(401, "Unauthorized: the API server does not know this token")
        if not known.is_for_us:
            return Denied(401, f"Unauthorized: this token is not for {self._audience}")
        if known.name not in self._users:
            return Denied(403, f"Forbidden: {known.name} may not call here")
        return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of an answer about a token."""

    name: str
    is_for_us: bool


_NO_TOKEN = Denied(401, "Unauthorized: send the header Authorization: Bearer TOKEN")


def token_of(authorization: str | None) -> str | None:
    """Return the token that a header brings; None where it brings none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == SCHEME and token and token.isascii() else None
