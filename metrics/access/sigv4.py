"""AWS' Signature Version 4, by which a request shows who sends it without the secret being sent.

Held against the published test suite of AWS (aws-sig-v4-test-suite).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlsplit

from metrics.access.secret import credential
from metrics.wire import Headers, Request

ACCESS_KEY, SECRET_KEY, SESSION = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"
"""The Secret's keys, called as in AWS' own credentials file; the last one is for temporary credentials."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = frozenset({"content-type", "host"})
"""What is signed beside the headers of AWS' own; a proxy may change others."""


def signed(
    request: Request, credentials: Mapping[str, str], *, region: str, service: str, now: datetime, provider: str
) -> Request:
    """The request with its signature, which holds for a quarter of an hour.

    Args:
        request: what is asked; its body and address may not change any more.
        credentials: keys and values of the Secret.
        region: the region that is asked.
        service: AWS' short name of the service.
        now: the time.
        provider: who signs, for messages.

    Raises:
        MisconfiguredError: the credentials lack something.
    """
    access = credential(credentials, ACCESS_KEY, provider)
    secret = credential(credentials, SECRET_KEY, provider)
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added: Headers = (("X-Amz-Date", moment),)
    if SESSION in credentials:
        added += (("X-Amz-Security-Token", credential(credentials, SESSION, provider)),)
    headers = (*request.headers, *added)
    named = _canonical(headers, request.url)
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    lines = (_ALGORITHM, moment, scope, _digest(_summary(request, named)))
    signature = hmac.new(_key(secret, scope), "\n".join(lines).encode(), sha256).hexdigest()
    value = f"{_ALGORITHM} Credential={access}/{scope}, SignedHeaders={';'.join(named)}, Signature={signature}"
    return replace(request, headers=(*headers, ("Authorization", value)))


def _canonical(headers: Headers, url: str) -> dict[str, str]:
    """The headers that are signed, by name in order."""
    values: dict[str, list[str]] = {"host": [_host(url)]}
    for name, value in headers:
        lower = name.lower()
        if lower in _SIGNED or lower.startswith("x-amz-"):
            values.setdefault(lower, []).append(" ".join(value.split()))
    return {name: ",".join(values[name]) for name in sorted(values)}


def _host(url: str) -> str:
    """The host as the request names it: without the usual port."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2].lower()
    return place.removesuffix({"https": ":443", "http": ":80"}.get(parts.scheme, "\0"))


def _summary(request: Request, named: Mapping[str, str]) -> str:
    parts = urlsplit(request.url)
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    return "\n".join(
        (
            request.method,
            quote(parts.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{value}" for name, value in named.items()),
            "",
            ";".join(named),
            sha256(request.body or b"").hexdigest(),
        )
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key
