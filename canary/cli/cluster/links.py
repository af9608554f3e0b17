"""Links by which somebody votes on a gate: made here, of a key in a Secret."""

import secrets
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from canary.api.addresses import is_web_address
from canary.api.canary import parse_canary
from canary.api.problems import InvalidResource
from canary.cli.cluster.tables import table
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.types import CANARY, SECRET, Json, mapping
from canary.rollout.links import BadKey, Link, keys_of, signed
from canary.rollout.voting import VoteRefused, approval_for, asked_of, vote

KEY: Final = "key"
"""The Secret's key with the keys of links, as the controller reads them."""

URL: Final = "url"
"""The Secret's key with the address at which votes are taken."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which links are to be made.

    Args:
        gate: the name of the webhook; empty for the only one that waits.
        approvers: whose; those that the gate names where there are none.
        answers: for each of them, whether it is yes.
        lasts: how long they work.
        secret: namespace and name of the Secret.
        url: the address at which votes are taken; that of the Secret where empty.
    """

    gate: str
    approvers: Sequence[str]
    answers: Sequence[bool]
    lasts: timedelta
    secret: tuple[str, str]
    url: str


async def made(client: KubeClient, namespace: str, name: str, wanted: Wanted) -> list[str]:
    """The table of links.

    Args:
        client: the way to the cluster.
        namespace: the Canary's.
        name: the Canary's.
        wanted: which.

    Raises:
        KubeError: there is no such Canary or Secret, or they may not be read.
        CommandError: no such gate waits, somebody is none of its approvers, or the Secret has no key.
    """
    try:
        canary = parse_canary(await client.get(CANARY, namespace, name))
        entry = asked_of(canary, wanted.gate)
        approval = approval_for(canary, entry)
        people = wanted.approvers or (approval.approvers if approval is not None else ())
        for each in people:
            vote(canary, entry, each, approves=True, at="")
    except (VoteRefused, InvalidResource) as error:
        raise CommandError(f"{namespace}/{name}: {error}", code=FAILED) from error
    if not people:
        raise CommandError(f"gate {entry.gate} names no approvers; say whose link it is to be by --approver")
    key, url = _of_secret(await client.get(SECRET, *wanted.secret), wanted)
    # To the second, as it stands in the link.
    expires = (datetime.now(UTC) + wanted.lasts).replace(microsecond=0)
    rows = []
    for each in people:
        for approves in wanted.answers:
            nonce = secrets.token_urlsafe(12)
            link = Link(namespace, name, entry.gate, entry.moment, each, approves, expires, nonce)
            rows.append((each, "yes" if approves else "no", f"{url.rstrip('/')}/link/{signed(link, key)}"))
    return table(("APPROVER", "SAYS", f"LINK, UNTIL {expires:%Y-%m-%dT%H:%M:%SZ}"), rows)


def _of_secret(secret: Json, wanted: Wanted) -> tuple[bytes, str]:
    where = f"the Secret {'/'.join(wanted.secret)}"
    data = mapping(secret.get("data"))
    try:
        key = keys_of(b64decode(str(data.get(KEY) or "")).decode())[0]
        url = wanted.url or b64decode(str(data.get(URL) or "")).decode().strip()
    except BadKey as error:
        raise CommandError(f"{where}, {KEY}: {error}", code=FAILED) from error
    except ValueError as error:
        raise CommandError(f"{where} does not hold text", code=FAILED) from error
    if not is_web_address(url):
        raise CommandError(f"where votes are taken is not known; write it as {URL} into {where}, or give it by --url")
    return key, url
