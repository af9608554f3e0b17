"""OAuth 2.0's client credentials (RFC 6749, 4.4): a token for an id and a secret, from where the Secret names."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote_plus, urlencode

from metrics.access.grants import Grant, Granted
from metrics.access.secret import credential
from metrics.answers import Json, number, raise_for_status, read_object, unexpected
from metrics.errors import MisconfiguredError, UnauthorizedError
from metrics.question import Question
from metrics.wire import Request, Response, basic, join, place

ID, SECRET, ADDRESS, SCOPE, AUDIENCE = "client_id", "client_secret", "token_url", "scope", "audience"
TOLD = frozenset({ADDRESS, SCOPE, AUDIENCE})
"""What anybody may read."""

KEYS = (ID, SECRET, ADDRESS, SCOPE, AUDIENCE)

_SHORT = timedelta(minutes=5)
"""For how long a token is taken to hold of which that isn't told."""


def grant(question: Question) -> Grant | None:
    """The token that a Secret with `client_id` stands for; None for any other Secret.

    Raises:
        MisconfiguredError: the Secret lacks something.
    """
    secret, provider = question.credentials, question.provider
    if ID not in secret and ADDRESS not in secret:
        return None
    address = credential(secret, ADDRESS, provider)
    ident, password = (credential(secret, key, provider, encoded=True) for key in (ID, SECRET))
    fields = {"grant_type": "client_credentials"}
    fields |= {key: secret[key].strip() for key in (SCOPE, AUDIENCE) if key in secret}
    # Encoded as in a form before they are put together (RFC 6749, 2.3.1).
    entry = basic(quote_plus(ident), quote_plus(password))
    headers = (entry, ("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
    try:
        request = Request("POST", join(address, ""), headers, urlencode(fields).encode())
    except MisconfiguredError:
        raise MisconfiguredError(f"{ADDRESS} in the Secret is not an http:// or https:// URL") from None
    return Grant(request, read, f"token from {place(request.url)}", secrets=(entry[1], ident, password))


def read(response: Response) -> Granted:
    """Read a token and for how long it holds.

    Raises:
        UnauthorizedError: the id or the secret isn't accepted, which is told with 400, too.
        ProviderError: there is no token in the answer.
    """
    if response.status == 400 and _error(response) in {"invalid_client", "unauthorized_client", "invalid_grant"}:
        raise UnauthorizedError(f"HTTP 400: {_error(response)}")
    raise_for_status(response, _said)
    answer = read_object(response)
    token, seconds = answer.get("access_token"), number(answer.get("expires_in"))
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise unexpected(response)
    lasts = timedelta(seconds=min(max(seconds, 0), 86_400)) if seconds is not None else _SHORT
    return Granted({"token": token}, lasts)


def _error(response: Response) -> str:
    try:
        error = read_object(response).get("error")
    except Exception:  # noqa: BLE001 - of an error's body nothing else is read
        return ""
    return error if isinstance(error, str) else ""


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    return answer.get("error_description") or answer.get("error")
