"""Whom Google Cloud is asked as: by a service account's key, or else as the controller's own service account.

With a key, a token is made here: a JWT that the service account has signed for this one API is a bearer token by itself
("Service account authorization without OAuth" in Google's documents), so that no other host is asked for one. Without,
GKE's metadata server (Workload Identity) gives one; it is shown to Google alone.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from metrics.access.grants import Grant, Granted
from metrics.access.oauth2 import read
from metrics.access.own import Own
from metrics.answers import Json
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.wire import Request

HOST = "monitoring.googleapis.com"
"""Whom a question is about: the API that tokens are for."""

ACCOUNT = "serviceAccountKey"
"""The Secret's key with the account's key, as Google gives it: a JSON document."""

_AUDIENCE = f"https://{HOST}/"
_LASTS = timedelta(hours=1)
_SKEW = timedelta(seconds=10)
_METADATA = "metadata.google.internal"
_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"

Sign = Callable[[bytes], bytes]


def token(question: Question, environment: Own, now: datetime) -> Grant | Mapping[str, str]:
    """A token made of the account's key, or how one is fetched for the controller's own account.

    Raises:
        MisconfiguredError: the key can't be read, or the controller's own account would be shown to somebody else.
    """
    secret = question.credentials
    if ACCOUNT in secret:
        rest = {key: value for key, value in secret.items() if key != ACCOUNT}
        return {**rest, "token": signed(secret[ACCOUNT], now)}
    if question.address and not question.address.startswith(_AUDIENCE) and question.address != _AUDIENCE[:-1]:
        msg = f"the controller's own Google account is shown to {HOST} alone; name a Secret with {ACCOUNT}"
        raise MisconfiguredError(msg)
    if key := environment.get("GOOGLE_SERVICE_ACCOUNT_KEY"):
        return {**secret, "token": signed(key, now)}
    place = environment.get("GCE_METADATA_HOST") or _METADATA
    request = Request("GET", f"http://{place}{_PATH}", (("Metadata-Flavor", "Google"),), direct=True)

    return Grant(request, lambda answer: _beside(secret, read(answer)), "the node's metadata server", mine=place)


def signed(key: str, now: datetime) -> str:
    """A token that the account has signed itself (RFC 7519), for an hour.

    Raises:
        MisconfiguredError: it is no account's key.
    """
    match _document(key):
        case {"client_email": str(email), "private_key": str(private), **rest}:
            begins = int((now - _SKEW).timestamp())
            claims = {"iss": email, "sub": email, "aud": _AUDIENCE, "iat": begins}
            claims["exp"] = begins + int(_LASTS.total_seconds())
            head = {"alg": "RS256", "typ": "JWT"}
            if isinstance(kid := rest.get("private_key_id"), str):
                head["kid"] = kid
            text = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
            return b".".join((text, _encoded(_signature(private)(text)))).decode()
    raise MisconfiguredError(
        f"{ACCOUNT} in the Secret is no key of a service account; write its JSON as Google gave it"
    )


def _document(key: str) -> Json | None:
    try:
        found = json.loads(key)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("type") == "service_account" else None


def _signature(private: str) -> Sign:
    """Signs as RS256 does."""
    try:
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    except ImportError:
        msg = "a service account's key needs the package cryptography: pip install 'canary-controller[google]'"
        raise MisconfiguredError(msg) from None
    try:
        loaded = serialization.load_pem_private_key(private.encode(), password=None)
    except (ValueError, TypeError):
        loaded = None
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise MisconfiguredError(f"the private key in {ACCOUNT} can't be read")
    key = loaded
    return lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _beside(secret: Mapping[str, str], granted: Granted) -> Granted:
    return Granted({**secret, **granted.credentials}, granted.lasts)


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
