"""What the API server, or the way to it, answered instead of the object asked for.

::

    KubeError
    ├── Retryable            the same request may succeed later
    │   ├── Unreachable      no answer: connection refused or broken, deadline passed
    │   ├── Throttled        429: too many requests; says how long to wait
    │   ├── ServerError      5xx
    │   └── Conflict         409: the object changed since it was read: read it again
    └── Terminal             the same request fails again: something must change first
        ├── NotFound         404
        ├── AlreadyExists    409 on create
        ├── Invalid          400, 422 and other refusals of the request itself
        ├── Forbidden        403
        ├── Unauthorized     401
        ├── Gone             410: the resourceVersion is too old, or from another history: list again
        └── NotLeading       refused here: the lease that allows writing isn't held

An answer becomes one of these in this module only: `error_of_answer`, `error_of_status`, `error_of_network`.
"""

from collections.abc import Mapping
from typing import Any

from canary.kube.decode import decode

# Refusals quote what was sent, so those of Secrets and of others' tokens are cut to their reason.
_SENDING = frozenset({"POST", "PUT", "PATCH"})
_MESSAGE_LIMIT = 500
_CAUSES_LIMIT = 20
_DEFAULT_RETRY_AFTER = 1.0
# A server, or a proxy's maintenance page, that asks for more is asked again sooner: in seconds.
_LONGEST_RETRY_AFTER = 30.0


class KubeError(Exception):
    """Base of all errors of this package that come from the API server or the way to it.

    Attributes:
        method: HTTP method of the request.
        path: URL path of the request, without its query.
        message: Why, in the server's words, trimmed; never the content of a Secret.
    """

    def __init__(self, method: str, path: str, message: str) -> None:
        self.method = method
        self.path = path
        self.message = _trim(message)
        super().__init__(f"{method} {path}: {self.message}")


class Retryable(KubeError):  # noqa: N818 - named by how to react
    """The same request may succeed later."""


class Unreachable(Retryable):
    """No answer came: connection refused or broken, or the deadline passed."""


class Throttled(Retryable):
    """The server has too many requests.

    Attributes:
        retry_after: Seconds to wait before asking again, 30 at most.
    """

    def __init__(self, method: str, path: str, message: str, retry_after: float) -> None:
        super().__init__(method, path, message)
        self.retry_after = retry_after


class ServerError(Retryable):
    """The server failed (5xx).

    Attributes:
        status: HTTP status code.
        retry_after: Seconds to wait where the server says so, 30 at most, else None.
    """

    def __init__(self, method: str, path: str, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(method, path, message)
        self.status = status
        self.retry_after = retry_after


class Conflict(Retryable):
    """The object changed since it was read, or isn't the one that was meant: read it again, then decide."""


class Terminal(KubeError):  # noqa: N818 - named by how to react
    """The same request fails again: something must change first."""


class NotFound(Terminal):
    """There is no such object, namespace, or resource."""

    @property
    def is_unknown_kind(self) -> bool:
        """Whether the server does not know the kind of object, which it tells by its words alone."""
        return "could not find the requested resource" in self.message or "404 page not found" in self.message


class AlreadyExists(Terminal):
    """An object of that name is there already."""


class Invalid(Terminal):
    """The server refuses the request as it is.

    Attributes:
        causes: The fields at fault, each with the reason in words; empty where the server names none.
    """

    def __init__(self, method: str, path: str, message: str, causes: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(method, path, message)
        self.causes = causes


class Forbidden(Terminal):
    """Our account isn't allowed to, or a policy or quota refuses it."""


class Unauthorized(Terminal):
    """The server doesn't accept our credentials."""


class Gone(Terminal):
    """The resourceVersion or continue token is too old, or the server's history doesn't have it: list again."""


class NotLeading(Terminal):
    """A write was refused here because the lease that allows it isn't held any more."""


def error_of_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> KubeError:
    """Map an HTTP answer of 400 or more to the most specific error.

    The body counts only where it is a Kubernetes ``Status``: anything else is some proxy's page.
    """
    answer = _status_object(body)
    return _error(method, path, status, answer, _retry_after(headers, answer))


def error_of_status(method: str, path: str, status: Mapping[str, Any]) -> KubeError:
    """Map a ``Status`` object met inside a watch stream to the most specific error."""
    code = status.get("code")
    return _error(method, path, code if isinstance(code, int) else 500, status, _retry_after({}, status))


def error_of_network(method: str, path: str, cause: BaseException) -> Unreachable:
    """Map a failure on the way to the server: connecting, TLS, sending, reading, or a deadline."""
    words = str(cause) or type(cause).__name__
    return Unreachable(method, path, words)


def _error(method: str, path: str, code: int, answer: Mapping[str, Any], retry_after: float | None) -> KubeError:
    secret = method in _SENDING and _is_secret(path)
    message = _message(code, answer, secret=secret)
    match code:
        case _ if _is_ahead(answer):
            return Gone(method, path, message)
        case 401:
            return Unauthorized(method, path, message)
        case 403:
            return Forbidden(method, path, message)
        case 404:
            return NotFound(method, path, message)
        case 409 if answer.get("reason") == "AlreadyExists":
            return AlreadyExists(method, path, message)
        case 409:
            return Conflict(method, path, message)
        case 410:
            return Gone(method, path, message)
        case 429:
            return Throttled(method, path, message, _DEFAULT_RETRY_AFTER if retry_after is None else retry_after)
        case _ if code >= 500 and not _is_untyped_apply(answer):
            return ServerError(method, path, message, code, retry_after)
        case _:
            return Invalid(method, path, message, _causes(answer, secret=secret))


def _is_ahead(answer: Mapping[str, Any]) -> bool:
    """Tell the 504 that means: this server's history is shorter, as after a restore from a backup."""
    return "Too large resource version" in str(answer.get("message", ""))


def _is_untyped_apply(answer: Mapping[str, Any]) -> bool:
    """Tell the 500 that server-side apply gives for a field that the schema lacks: no retry helps there."""
    return "field not declared in schema" in str(answer.get("message", ""))


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = decode(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _message(code: int, answer: Mapping[str, Any], *, secret: bool) -> str:
    reason = str(answer.get("reason") or f"HTTP {code}")
    if secret:
        return reason
    return str(answer.get("message") or reason)


def _causes(answer: Mapping[str, Any], *, secret: bool) -> tuple[tuple[str, str], ...]:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    if not isinstance(causes, list):
        return ()
    return tuple(
        (
            str(cause.get("field", "")),
            str(cause.get("reason", "")) if secret else _trim(str(cause.get("message", ""))),
        )
        for cause in causes[:_CAUSES_LIMIT]
        if isinstance(cause, dict)
    )


def _retry_after(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float | None:
    details = answer.get("details")
    told = headers.get("Retry-After") or (details.get("retryAfterSeconds") if isinstance(details, dict) else None)
    try:
        wait = float(told) if told is not None else None
    except (ValueError, TypeError, OverflowError):
        return None
    # Whatever is no number, as NaN, is none of either, and so the longer.
    return None if wait is None else max(0.0, min(_LONGEST_RETRY_AFTER, wait))


def _is_secret(path: str) -> bool:
    return "/secrets/" in path or path.endswith(("/secrets", "/tokenreviews"))


def _trim(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"
