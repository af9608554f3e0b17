"""Links by which somebody votes who has no way to the cluster: for one moment, one answer and one approver.

::

    BODY.SIGNATURE     both in base64 for URLs, the signature by HMAC-SHA256 over "canary-link." and BODY

A link is *made*, which is written nowhere. It is *open* until one of three things comes: it *was used*, which stands in
an annotation of the Canary, written together with its vote; its time is *over*; or what it was made for *is asked no
more*, as the gate has opened or the rollout went on. Whoever alters it has none.

The annotation stays until the link would no longer work by its time, so that it can't be used anew when the same is
asked again, as for a version that was taken back and comes once more.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

PREFIX: Final = "link.flagger.app/"
"""What the names of the annotations begin with that say which links were used."""

LONGEST_LIFE: Final = timedelta(days=31)
"""How long a link may work."""

MOST_USED: Final = 200
"""Used links that one Canary remembers; no more can be used until the time of some is over."""

SHORTEST_KEY: Final = 32
"""Bytes of a key, at least."""

_APART: Final = timedelta(hours=1)
"""How far the clocks of two machines may be apart: a used link is remembered for so much longer."""

_LONGEST: Final = 4096
"""Characters of a link."""

_PURPOSE: Final = b"canary-link."
"""What is signed with it, so that nothing else that was signed by the same key is a link."""

_FORM: Final = 1


class LinkRefused(Exception):  # noqa: N818 - reads as what it is where it is caught
    """A link by which nobody votes; the text says why."""


class BadLink(LinkRefused):
    """Nobody who has the key has made it so."""


class LateLink(LinkRefused):
    """Its time is over."""


class UsedLink(LinkRefused):
    """It was used."""


class BadKey(Exception):  # noqa: N818 - reads as what it is where it is caught
    """Keys that nothing may be signed by; the text says why, without them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A vote that somebody may cast by opening an address.

    Args:
        namespace: the Canary's.
        name: the Canary's.
        gate: the name of the webhook.
        moment: what is asked, as the status names it.
        by: whose vote it is.
        approves: whether that is yes.
        expires: until when it works.
        nonce: what no other link has.
    """

    namespace: str
    name: str
    gate: str
    moment: str
    by: str
    approves: bool
    expires: datetime
    nonce: str

    @property
    def key(self) -> str:
        """The name of the annotation that says that it was used."""
        said = f"{self.namespace}\0{self.name}\0{self.moment}\0{self.nonce}"
        return f"{PREFIX}{sha256(said.encode()).hexdigest()[:32]}"

    def mark(self) -> str:
        """The value of that annotation."""
        return f"moment={self.moment} until={int(self.expires.timestamp())}"


def keys_of(text: str) -> tuple[bytes, ...]:
    """Read keys, one a line: the first one signs, all of them are taken, so that they can be changed.

    Raises:
        BadKey: there is none, or one is too short to keep anybody from guessing it.
    """
    keys = tuple(line.strip().encode() for line in text.splitlines() if line.strip())
    if not keys:
        raise BadKey("there is no key; make one by: openssl rand -hex 32")
    if any(len(each) < SHORTEST_KEY for each in keys):
        raise BadKey(f"a key has fewer than {SHORTEST_KEY} characters; make one by: openssl rand -hex 32")
    return keys


def signed(link: Link, key: bytes) -> str:
    """The link as it stands in an address."""
    said = [
        *(_FORM, link.namespace, link.name, link.gate, link.moment, link.by, link.approves),
        *(int(link.expires.timestamp()), link.nonce),
    ]
    body = _packed(json.dumps(said, separators=(",", ":")).encode())
    return f"{body}.{_signature(body, key)}"


def opened(text: str, keys: Sequence[bytes], now: datetime) -> Link:
    """Read a link that somebody has come with.

    Args:
        text: as it stands in the address.
        keys: by any of which it may be signed.
        now: the time.

    Raises:
        BadLink: nobody with a key has made it.
        LateLink: its time is over.
    """
    body, _, signature = text.partition(".")
    if len(text) > _LONGEST or not text.isascii():
        raise BadLink("this is no link of ours")
    # All are compared, and as text: base64 has more than one way to write the same bytes.
    good = [hmac.compare_digest(_signature(body, key), signature) for key in keys]
    if not any(good):
        raise BadLink("this link was not made here, or is not whole")
    link = _read(body)
    if link.expires > now + LONGEST_LIFE:
        raise BadLink(f"this link would work for more than {LONGEST_LIFE.days} days; make a new one")
    if now >= link.expires:
        raise LateLink(f"the time of this link was over at {link.expires:%Y-%m-%dT%H:%M:%SZ}; ask for a new one")
    return link


def check_unused(link: Link, annotations: Mapping[str, str]) -> None:
    """See that a link was not used on the Canary with these annotations, and can be remembered there.

    Raises:
        UsedLink: it was.
        LinkRefused: too many were used lately.
    """
    if link.key in annotations:
        raise UsedLink("this link was used; each works once")
    if sum(each.startswith(PREFIX) for each in annotations) >= MOST_USED:
        raise LinkRefused("too many links were used on this Canary lately; vote by: canary approve")


def forgettable(annotations: Mapping[str, str], now: datetime) -> Iterator[str]:
    """The annotations of used links that could not be used any more anyway, or say nothing."""
    for key in sorted(annotations):
        if key.startswith(PREFIX) and not _until(annotations[key]) + _APART.total_seconds() > now.timestamp():
            yield key


def _until(mark: str) -> float:
    digits = mark.rpartition("until=")[2]
    return float(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else 0.0


def _signature(body: str, key: bytes) -> str:
    return _packed(hmac.digest(key, _PURPOSE + body.encode(), "sha256"))


def _packed(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _read(body: str) -> Link:
    """What was signed: by us, but perhaps by another version of us."""
    try:
        said = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        said = None
    match said:
        case [1, str(namespace), str(name), str(gate), str(moment), str(by), bool(approves), int(until), str(nonce)]:
            words = (namespace, name, gate, moment, by, nonce)
            if all(each and each.isprintable() for each in words) and 0 <= until < 10**10:
                expires = datetime.fromtimestamp(until, UTC)
                return Link(namespace, name, gate, moment, by, approves, expires, nonce)
    raise BadLink("this link was made by another version; make a new one")
