"""Calling the gates, tests and receivers that a Canary's analysis names.

What is sent is made by pure functions (`payload`, `event_payload`, `checksum`); `call` sends it and turns
whatever happens outside into an `Outcome`. Two choices that the specification of hooks leaves open are made
here:

- Only 2xx approves. A hook that still answers 5xx or 429 after its retries is `Rejected` with its last words,
  one that can't be spoken to is `Unreachable`.
- A redirect is followed only within the hook's own origin (such as to a trailing slash), with the same method and
  body. Anywhere else it rejects: the payload may carry tokens, and a POST that turns into a GET of a page that
  answers 200 would approve without having asked anything.

Each call has an id, the same for all its tries and after a crash, and the time of the try; a key in the hook's Secret
signs both with the body (`outbound.signature`).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any, TypeAlias

from canary.api.addresses import is_web_address
from canary.api.analysis import MAX_HOOK_RETRIES, MAX_HOOK_TIMEOUT, HookType, Webhook
from canary.api.canary import Canary
from outbound import access, signature
from outbound.connections import Connections, Manner
from outbound.errors import CannotAskError, OutboundError, TooLateError, UntrustedError
from outbound.message import Headers, Request, Response

Json: TypeAlias = dict[str, Any]

DEFAULT_TIMEOUT = timedelta(seconds=10)
"""How long one attempt may take where the hook doesn't say."""

FIRST_WAIT = timedelta(seconds=1)
"""The wait before the first retry; it doubles with each further one."""

LONGEST_WAIT = timedelta(seconds=30)
"""No wait between attempts is longer, whatever a Retry-After header asks for."""

LONGEST_REST = timedelta(minutes=10)
"""No gate is left alone for longer before it is asked anew, whatever a Retry-After header asks for."""

BODY_LIMIT = 1024
"""Bytes of an answer that are kept: enough for a reason, short enough for an event."""

HOOKS = Manner(total=1024, per_host=64, largest=BODY_LIMIT, cut=True, idle=3)
"""How hooks are spoken to, gates and receivers of events alike.

Idle connections are closed before receivers do it, the servers in use after 5 s or more: one that is closed just when
it is used again fails a POST that may not be repeated. A hook may take hours to answer, or never do: there are turns
for many times as many hosts as can be expected to be dead.
"""


# --- What is sent -------------------------------------------------------------------------------------------


def payload(canary: Canary, hook: Webhook, phase: str, checksum: str) -> Json:
    """Return the body of a call of any type but `event`.

    Args:
        canary: whose hook it is.
        hook: the hook; its type goes along, so that a receiver can tell a test from a load.
        phase: the Canary's phase, as its status will carry it.
        checksum: what `checksum` returned for the Canary's status.
    """
    body = _identity(canary, hook, phase, checksum)
    if hook.metadata:
        body["metadata"] = dict(hook.metadata)
    return body


def event_payload(
    canary: Canary, hook: Webhook, phase: str, checksum: str, *, message: str, event_type: str, now: datetime
) -> Json:
    """Return the body of a call that tells of an event.

    The hook's own metadata comes along, but cannot replace what is told.

    Args:
        canary: whose event it is.
        hook: the receiver.
        phase: the Canary's phase, as its status carries it.
        checksum: what `checksum` returned for the Canary's status.
        message: the event's words.
        event_type: `Normal` or `Warning`.
        now: when it happened; sent in milliseconds since 1970.
    """
    told = {
        "eventMessage": message,
        "eventType": event_type,
        "timestamp": str(int(now.timestamp() * 1000)),
    }
    return _identity(canary, hook, phase, checksum) | {"metadata": hook.metadata | told}


def _identity(canary: Canary, hook: Webhook, phase: str, checksum: str) -> Json:
    return {
        "name": canary.metadata.name,
        "namespace": canary.metadata.namespace,
        "phase": str(phase),
        "checksum": checksum,
        "type": hook.type.value,
    }


def message_id(canary: Canary, hook: Webhook, *moment: object) -> str:
    """Return the id of what a hook is asked or told at a moment: another one for each hook, moment and Canary.

    It is made of what is stored, so that whoever goes on after a crash comes to the same one.

    Args:
        canary: whose hook it is.
        hook: the hook.
        moment: what tells this call from all others of the hook.
    """
    who = (canary.metadata.uid, hook.type.value, hook.name, hook.url, sorted(hook.metadata.items()))
    told = json.dumps([*who, *map(str, moment)])
    return f"canary_{sha256(told.encode()).hexdigest()[:32]}"


def checksum(canary: Canary) -> str:
    """Return a short name for one configuration of the deployed resources, from the status.

    Equal to Flagger's for the same status, so that a receiver that remembers checksums goes on across a
    take-over: FNV-1a (32 bits) over the rendering that its hashing library gives of tracked configs (absent
    and empty differ) and last applied spec, spelled in the alphabet that Kubernetes uses for generated names.
    """
    tracked_configs, last_applied_spec = canary.status.tracked_configs, canary.status.last_applied_spec
    pairs = "<nil>"
    if tracked_configs is not None:
        pairs = "map[" + " ".join(f"{key}:{tracked_configs[key]}" for key in sorted(tracked_configs)) + "]"
    rendered = (
        "(struct { TrackedConfigs *map[string]string; LastAppliedSpec string })"
        f"{{TrackedConfigs:(*map[string]string){pairs} LastAppliedSpec:(string){last_applied_spec}}}"
    )
    digits = str(_fnv1a(rendered.encode()))
    return "".join(_SAFE_ALPHABET[ord(digit) % len(_SAFE_ALPHABET)] for digit in digits)


_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


# --- What comes back ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Approved:
    """The hook answered 2xx."""

    status: int

    @property
    def message(self) -> str:
        """The outcome in words."""
        return f"approved with {self.status}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The hook answered something else.

    Args:
        status: its HTTP status.
        body: the beginning of its answer, without surrounding blanks; empty where it said nothing.
        rest: for how long it asks to be left alone, None where it doesn't.
    """

    status: int
    body: str = ""
    rest: timedelta | None = None

    @property
    def message(self) -> str:
        """The outcome in words."""
        said = f"answered {self.status}: {self.body}" if self.body else f"answered {self.status}"
        return f"{said} (it asks to be left alone for {self.rest.total_seconds():.0f} s)" if self.rest else said


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The hook gave no answer, or its address is none.

    Args:
        reason: why, in words.
    """

    reason: str

    @property
    def message(self) -> str:
        """The outcome in words."""
        return f"gave no answer: {self.reason}"


Outcome: TypeAlias = Approved | Rejected | Unreachable


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try came to, and what it means for a next one.

    Args:
        outcome: what the call comes to if this was the last try.
        again: whether another try may come to something else.
    """

    outcome: Outcome
    again: bool = False


def wait_before(retry: int, asked: timedelta | None) -> timedelta:
    """Return how long to wait before retry number `retry` (from 0), given what the receiver asked for."""
    if asked is not None:
        return min(asked, LONGEST_WAIT)
    return min(FIRST_WAIT * (1 << min(retry, 10)), LONGEST_WAIT)


def judge(answer: Response, now: datetime) -> Attempt:
    """Return what an answer that comes now comes to."""
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Attempt(Approved(status))
    if answer.leads_to:
        return Attempt(Rejected(status, f"a redirect to {answer.leads_to}, which is not followed"))
    names_wait = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    rest = _rest(answer.headers.get("retry-after", ""), now) if names_wait else None
    again = status == HTTPStatus.TOO_MANY_REQUESTS or (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    )
    return Attempt(Rejected(status, answer.text.strip(), rest), again)


def _rest(header: str, now: datetime) -> timedelta | None:
    """Return a Retry-After header, seconds or a date, as the time from now on; what is neither counts as not given."""
    if header.isascii() and header.isdigit():
        return min(timedelta(seconds=int(header[:9])), LONGEST_REST)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    rest = until.replace(tzinfo=until.tzinfo or UTC) - now
    return min(max(rest, timedelta(0)), LONGEST_REST)


# --- Sending ------------------------------------------------------------------------------------------------


def event_hooks(hooks: Sequence[Webhook], default: Webhook | None) -> Sequence[Webhook]:
    """Return who is told of an event: the Canary's own receivers, else the one for all Canaries, if any."""
    own = [hook for hook in hooks if hook.type is HookType.EVENT]
    return own or ([default] if default else [])


async def call(
    connections: Connections,
    hook: Webhook,
    body: Json,
    *,
    message: str = "",
    secret: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Outcome:
    """Call a hook, again where that may help, and return what came of it; never raises for outside trouble.

    It takes at most (retries + 1) times the hook's timeout, the waits between the tries, and for each try the wait for
    a turn where many call the same host. Cancelling it drops the connection.

    Args:
        connections: to hooks, such as `HOOKS` says.
        hook: address, timeout of one try (10 s where not given, `MAX_HOOK_TIMEOUT` at most), number of retries
            (`MAX_HOOK_RETRIES` at most).
        body: from `payload` or `event_payload`.
        message: from `message_id`; empty for a call without an id.
        secret: contents of the Secret that the hook names; None where it names none.
        now: the clock.
    """
    if not is_web_address(hook.url):
        return Unreachable("its url is not an http or https address")
    try:
        asked = _request(hook, body, secret)
        keys = signature.keys_of(secret[signature.KEY]) if secret and signature.KEY in secret else ()
    except CannotAskError as error:
        return Unreachable(str(error))
    hidden = tuple((secret or {}).values())
    limit = min(hook.timeout or DEFAULT_TIMEOUT, MAX_HOOK_TIMEOUT)
    retries = min(max(hook.retries, 0), MAX_HOOK_RETRIES)
    for retry in range(retries + 1):
        at = now()
        named = signature.headers(message, asked.body or b"", at, keys) if message else ()
        attempt = await _attempt(connections, replace(asked, headers=(*asked.headers, *named)), limit, now)
        if retry == retries or not attempt.again:
            break
        rest = attempt.outcome.rest if isinstance(attempt.outcome, Rejected) else None
        await asyncio.sleep(wait_before(retry, rest).total_seconds())
    return _without(hidden, attempt.outcome)


def _request(hook: Webhook, body: Json, secret: Mapping[str, str] | None) -> Request:
    """What is sent at each try; of headers that come several times the Secret's counts, then the hook's own.

    Raises:
        CannotAskError: nothing in the Secret is for a webhook.
    """
    way, rest = access.unfold(secret or {})
    own = access.authorization(rest)
    if secret is not None and not (own or way != access.Access() or signature.KEY in rest):
        raise CannotAskError(f"its Secret has no key that a webhook needs, such as token or {signature.KEY}")
    named = tuple((name, value) for name, values in hook.headers.items() for value in values)
    headers: Headers = (("Content-Type", "application/json"),)
    for further in (named, own, way.headers):
        taken = {name.lower() for name, _ in further}
        headers = (*(each for each in headers if each[0].lower() not in taken), *further)
    return Request(
        "POST",
        hook.url,
        headers=tuple(each for each in headers if each[0].lower() not in signature.NAMES),
        body=json.dumps(body, separators=(",", ":")).encode(),
        insecure=hook.disable_tls,
        proxy=way.proxy,
        tls=way.tls,
    )


def _without(hidden: Sequence[str], outcome: Outcome) -> Outcome:
    """The outcome without what the Secret holds: a receiver may repeat what it was sent."""
    match outcome:
        case Rejected(body=body):
            return replace(outcome, body=access.blotted(hidden, body))
        case Unreachable(reason=reason):
            return Unreachable(access.blotted(hidden, reason))
    return outcome


async def _attempt(
    connections: Connections, request: Request, limit: timedelta, now: Callable[[], datetime]
) -> Attempt:
    try:
        return judge(await connections.send(request, limit.total_seconds()), now())
    except TooLateError:
        return Attempt(Unreachable(f"not within {limit.total_seconds():g}s"), again=True)
    except OutboundError as error:
        return Attempt(Unreachable(str(error)), again=not isinstance(error, CannotAskError | UntrustedError))
