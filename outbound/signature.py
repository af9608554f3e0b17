"""Signatures of what is sent, as the specification Standard Webhooks 1.0.0 has them (standardwebhooks.com).

Id, time and body are signed together by HMAC-SHA256. Who gets it knows that it comes from one who knows the key, that
nothing in it was altered, and when it was sent; and by the id, whether it came before.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from outbound.errors import CannotAskError
from outbound.message import Headers

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

NAMES: Final = frozenset({ID, TIMESTAMP, SIGNATURE})
"""Headers that nobody else may write."""

KEY: Final = "signing.key"
"""The Secret's key with the key; with several, old and new, while receivers change from one to the other."""

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key."""

_HOW: Final = "make one by: echo whsec_$(openssl rand -base64 32)"


def keys_of(text: str) -> tuple[bytes, ...]:
    """Read keys, with blanks or line breaks between them.

    Raises:
        CannotAskError: one of them is none, or there is none; it is told without the key.
    """
    keys = tuple(_key(each) for each in text.split())
    if not keys:
        raise CannotAskError(f"{KEY} in its Secret is empty; {_HOW}")
    return keys


def _key(text: str) -> bytes:
    digits = text.removeprefix(_PREFIX).rstrip("=") if text.startswith(_PREFIX) else ""
    try:
        key = b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        what = f"is not {_PREFIX} and {_SHORTEST} to {_LONGEST} bytes in base64"
        raise CannotAskError(f"{KEY} in its Secret {what}; {_HOW}")
    return key


def headers(message: str, body: bytes, at: datetime, keys: Sequence[bytes]) -> Headers:
    """The headers of one try to send a message.

    Args:
        message: its id, the same for each try; without a full stop.
        body: exactly what is sent.
        at: when this try is made.
        keys: each makes a signature; none where there is no key.
    """
    seconds = str(int(at.timestamp()))
    named: Headers = ((ID, message), (TIMESTAMP, seconds))
    if not keys:
        return named
    signed = f"{message}.{seconds}.".encode() + body
    made = ("v1," + b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return (*named, (SIGNATURE, " ".join(made)))
