"""Keeps the certificate of this server: one of its own in a Secret that all replicas share, or the files of others."""

import asyncio
import base64
import binascii
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, Protocol

import structlog

from canary.admission.certificates import Kept, Pair, successor
from canary.admission.errors import NoCertificateError
from canary.admission.places import PLACES, Place
from canary.kube.backoff import Backoff, fresh_random
from canary.kube.client import KubeClient
from canary.kube.errors import Conflict, KubeError, NotFound
from canary.kube.types import SECRET, Json, mapping, name_of

log = structlog.get_logger(__name__)

CERTIFICATE, KEY, TRUSTED = "tls.crt", "tls.key", "ca.crt"
"""Keys of the Secret, and names of files, as cert-manager has them."""

MANAGER: Final = "canary-controller-admission"
"""Whose the certificates are that clients trust, to server-side apply."""

LOOK_EVERY: Final = timedelta(minutes=1)
"""How often the Secret and who trusts it are looked at, at most; sooner with certificates of a short life."""

KNOWN_AFTER: Final = timedelta(seconds=10)
"""How long API servers are given to see whom to trust, before a new certificate is served."""


class Serving(Protocol):
    """What is given certificates to serve with."""

    @property
    def is_ready(self) -> bool:
        """Whether it has one."""

    async def serve(self, pair: Pair) -> None:
        """Serve with this one from now on; raises `ssl.SSLError` where it can't be."""


@dataclass(frozen=True, slots=True)
class Names:
    """What belongs to admission, and where it is.

    Args:
        namespace: namespace of the Service and of the Secret.
        name: their name, and that of the configurations of webhooks.
    """

    namespace: str
    name: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """What the API server calls the Service."""
        return (f"{self.name}.{self.namespace}.svc",)


class OwnCertificate:
    """Makes a certificate where there is none, or the one that there is runs out, and has the API server trust it.

    Every replica does so: whoever is first, and the others find it done. First the Secret is written, then whom to
    trust, then the certificate is served. Whom to trust is read before the Secret and written under that version: so
    nobody takes back what another has just written by a Secret that is older.

    Args:
        client: reads and writes the Secret, and what names the server.
        names: where they are.
        life: how long a certificate is good.
        server: serves it.
        places: the kinds of object that name the server.
        now: the time.
    """

    def __init__(
        self,
        client: KubeClient,
        names: Names,
        life: timedelta,
        server: Serving,
        *,
        places: tuple[Place, ...] = PLACES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._names = names
        self._life = life
        self._server = server
        self._places = places
        self._now = now
        self._random = random or fresh_random()
        self._served: Pair | None = None

    async def run(self) -> None:
        """Look after it until cancelled."""
        backoff, failures = Backoff(first=1.0, cap=60.0), 0
        every = min(LOOK_EVERY, self._life / 20).total_seconds()
        while True:
            try:
                await self.look()
            except (Conflict, KubeError, NoCertificateError, ssl.SSLError) as error:
                failures += 1
                if not isinstance(error, Conflict):
                    log.error("the certificate of admission can't be kept", reason=str(error))
                await asyncio.sleep(min(backoff.delay(failures), every))
            else:
                failures = 0
                await asyncio.sleep(every * (0.75 + self._random.random() / 2))

    async def look(self) -> None:
        """Look once.

        Raises:
            Conflict: another replica was quicker: look again.
            KubeError: something can't be read or written.
            NoCertificateError: there is no Secret, or no library to make a certificate with.
        """
        there = [(place, await self._find(place)) for place in self._places]
        kept = await self._kept()
        if not self._server.is_ready:
            await self._serve(kept.pair)
        changed = [await self._trust(place, obj, kept) for place, obj in there if obj is not None]
        if kept.pair == self._served:
            return
        if any(changed):
            await asyncio.sleep(min(KNOWN_AFTER, self._life / 30).total_seconds())
        await self._serve(kept.pair)

    async def _serve(self, pair: Pair) -> None:
        await self._server.serve(pair)
        self._served = pair

    async def _find(self, place: Place) -> Json | None:
        with contextlib.suppress(NotFound):
            return await self._client.get(place.resource, None, place.name or self._names.name)
        return None

    async def _trust(self, place: Place, obj: Json, kept: Kept) -> bool:
        """Have an object trust what is kept; returns whether that was written."""
        fields = place.trusting(obj, base64.b64encode(kept.trusted).decode())
        if fields is None:
            return False
        metadata = {"name": name_of(obj), "resourceVersion": obj["metadata"].get("resourceVersion")}
        await self._client.apply(place.resource, {"metadata": metadata, **fields}, field_manager=MANAGER)
        log.info("the API server trusts the certificate", kind=place.resource.kind, name=name_of(obj))
        return True

    async def _kept(self) -> Kept:
        """What the Secret holds, once it is good for long enough."""
        namespace, name = self._names.namespace, self._names.name
        try:
            secret = await self._client.get(SECRET, namespace, name)
        except NotFound as error:
            msg = f"Secret {namespace}/{name} does not exist; apply it, as deploy/kustomize/components/admission has it"
            raise NoCertificateError(msg) from error
        kept = kept_in(secret)
        made = successor(kept, self._names.hosts, self._now(), self._life)
        if made is None and kept is not None:
            return kept
        assert made is not None, "there is one, or it is made"  # noqa: S101
        metadata = {"resourceVersion": secret["metadata"].get("resourceVersion")}
        data = {CERTIFICATE: made.pair.certificate, KEY: made.pair.key, TRUSTED: made.trusted}
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        await self._client.merge_patch(SECRET, namespace, name, {"metadata": metadata, "data": encoded})
        log.info("a certificate was made", secret=f"{namespace}/{name}", days=self._life.days)
        return made


def kept_in(secret: Json) -> Kept | None:
    """What a Secret holds; None where it isn't whole."""
    data = mapping(secret.get("data"))
    try:
        found = [base64.b64decode(data[key], validate=True) for key in (CERTIFICATE, KEY, TRUSTED)]
    except (KeyError, TypeError, binascii.Error, ValueError):
        return None
    certificate, key, trusted = found
    return Kept(Pair(certificate, key), trusted) if all(found) else None
