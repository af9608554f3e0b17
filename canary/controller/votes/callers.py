"""Who calls, by a bearer token, and what they may: the API server says both, so that its own roles govern."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json, mapping
from inbound.reviews import Reviews

SCHEME: Final = "bearer"

SLOWEST_ANSWER: Final = 4.0
"""Seconds that the API server may take."""


class Denied(Exception):  # noqa: N818 - reads as what it is where it is caught
    """A caller who may not call; the text says why.

    Args:
        status: the HTTP status of the answer: 401 for no good token, 403 for what one may not do.
        why: why.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whom the API server knows.

    Args:
        name: the name of the user.
        uid: what tells them from another one who had that name.
        groups: the groups that they are in.
        extra: what else the API server knows of them.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] | None = None

    def to_json(self) -> Json:
        """As a SubjectAccessReview names them."""
        extra = {key: list(values) for key, values in (self.extra or {}).items()}
        return {"user": self.name, "uid": self.uid, "groups": list(self.groups), "extra": extra}


class Callers:
    """Those who may call.

    Args:
        client: the way to the API server.
        audience: for whom tokens must have been made; empty for the API server itself.
    """

    def __init__(self, client: KubeClient, audience: str = "") -> None:
        self._client = client
        self._audience = audience
        self._reviews = Reviews(self._review)

    async def who(self, authorization: str, peer: str) -> Caller:
        """Who calls.

        Args:
            authorization: the header.
            peer: the address that the call comes from.

        Raises:
            Denied: nobody whom the API server knows.
            TooManyStrangers: too many tokens that it doesn't know came from this address.
            KubeError: it can't be asked.
            TimeoutError: it does not answer.
        """
        token = token_of(authorization)
        if token is None:
            raise Denied(401, "send the header Authorization: Bearer TOKEN")
        caller = await self._reviews.holder(token, peer)
        if caller is None:
            raise Denied(401, "the API server does not know this token")
        return caller

    async def check(self, caller: Caller, verb: str, namespace: str, name: str) -> None:
        """See that somebody may do something to a Canary.

        Raises:
            Denied: they may not.
            KubeError: the API server can't be asked.
        """
        attributes: Json = {
            "group": CANARY.group,
            "resource": CANARY.plural,
            "namespace": namespace,
            "name": name,
            "verb": verb,
        }
        if not await self._client.may(caller.to_json(), attributes, deadline=SLOWEST_ANSWER):
            raise Denied(403, f"{caller.name} may not {verb} canaries in the namespace {namespace}")

    async def close(self) -> None:
        """Ask no more."""
        await self._reviews.close()

    async def _review(self, token: str) -> Caller | None:
        audiences = (self._audience,) if self._audience else ()
        status = await self._client.reviewed(token, audiences, deadline=SLOWEST_ANSWER)
        user, named = mapping(status.get("user")), status.get("audiences")
        # An API server that knows nothing of audiences names none.
        is_for_us = not self._audience or (isinstance(named, list) and self._audience in named)
        if status.get("authenticated") is not True or not is_for_us or not user.get("username"):
            return None
        extra = {str(key): _words(values) for key, values in mapping(user.get("extra")).items()}
        return Caller(str(user["username"]), str(user.get("uid") or ""), _words(user.get("groups")), extra)


def token_of(authorization: str) -> str | None:
    """The token that a header brings; None where it brings none."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == SCHEME and token and token.isascii() and token.isprintable() else None


def _words(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()
