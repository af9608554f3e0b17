"""The certificate that is made here: shared by all replicas, trusted before it is served, made anew in time."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from canary.admission.certificates import Kept, Pair, is_good, make, successor
from canary.admission.errors import NoCertificateError
from canary.admission.keeper import KNOWN_AFTER, Names, OwnCertificate
from canary.admission.places import MUTATING, VALIDATING
from canary.kube.types import SECRET, Json
from tests.unit.controller.api_in_memory import ApiInMemory, Asked, now, refused

pytestmark = pytest.mark.looptime

START = datetime(2026, 11, 28, tzinfo=UTC)
LIFE = timedelta(days=90)
NAMES = Names("canary-system", "canary-controller-admission")
SECRET_PATH = SECRET.path(NAMES.namespace, NAMES.name)
CONFIGURATION = VALIDATING.path(None, NAMES.name)


@dataclass
class Served:
    """In place of a server: what it was given, and when."""

    given: list[tuple[float, Pair]] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        return bool(self.given)

    async def serve(self, pair: Pair) -> None:
        self.given.append((now(), pair))

    @property
    def pair(self) -> Pair:
        return self.given[-1][1]


class Cluster(ApiInMemory):
    """An API server with the Secret and the configuration of webhooks, as the component has them."""

    def __init__(self) -> None:
        super().__init__()
        self.put(SECRET_PATH, {"kind": "Secret", "metadata": {"namespace": NAMES.namespace, "name": NAMES.name}})
        webhooks = [{"name": "specs.flagger.app", "clientConfig": {"service": {"name": NAMES.name}}}]
        self.put(CONFIGURATION, {"kind": VALIDATING.kind, "metadata": {"name": NAMES.name}, "webhooks": webhooks})

    def put(self, path: str, obj: Json) -> None:
        self.store(path, obj)

    @property
    def trusted(self) -> bytes:
        (webhook,) = self.objects[CONFIGURATION]["webhooks"]
        return base64.b64decode(webhook["clientConfig"].get("caBundle", ""))

    @property
    def writes(self) -> list[str]:
        return [each.path for each in self.asked if each.method != "GET"]


def clock() -> datetime:
    return START + timedelta(seconds=now())


def replica(cluster: Cluster, served: Served, at: Callable[[], datetime] = clock) -> OwnCertificate:
    return OwnCertificate(cluster.connect(), NAMES, LIFE, served, now=at)


async def test_there_is_one_from_nothing_and_it_is_trusted() -> None:
    cluster, served = Cluster(), Served()
    await replica(cluster, served).look()
    assert cluster.trusted == served.pair.certificate
    (certificate,) = x509.load_pem_x509_certificates(served.pair.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["canary-controller-admission.canary-system.svc"]
    assert certificate.not_valid_after_utc == START + LIFE


async def test_all_replicas_serve_the_same() -> None:
    """Whoever is first makes it; two that begin at once agree."""
    cluster, served = Cluster(), [Served() for _ in range(3)]
    replicas = [replica(cluster, each) for each in served]
    tasks = [asyncio.create_task(each.run()) for each in replicas]
    await asyncio.sleep(120)
    for task in tasks:
        task.cancel()
    assert len({each.pair.certificate for each in served}) == 1
    assert cluster.trusted == served[0].pair.certificate


async def test_nothing_is_written_while_it_is_good() -> None:
    cluster, served = Cluster(), Served()
    keeper = replica(cluster, served)
    await keeper.look()
    before = len(cluster.writes)
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(3600)
    task.cancel()
    assert len(cluster.writes) == before
    assert len(served.given) == 1
    assert 50 <= sum(each.path == SECRET_PATH for each in cluster.asked) <= 90, "about once a minute"


async def test_the_next_one_is_trusted_before_it_is_served_beside_the_last() -> None:
    cluster, served = Cluster(), Served()
    day = timedelta(days=61)
    first, second = replica(cluster, served), replica(cluster, served, lambda: clock() + day)
    await first.look()
    old, before = served.pair, now()
    seen: list[bytes] = []
    seen_at: list[float] = []

    def note(asked: Asked) -> None:
        if asked.method == "PATCH" and asked.path == CONFIGURATION:
            seen_at.append(now())
            seen.append(base64.b64decode(asked.body["webhooks"][0]["clientConfig"]["caBundle"]))

    cluster.ill = note
    second._served = old
    await second.look()
    assert served.pair != old
    assert seen == [served.pair.certificate + old.certificate]
    assert served.given[-1][0] - seen_at[0] >= KNOWN_AFTER.total_seconds()
    assert seen_at[0] >= before


async def test_of_those_before_the_last_alone_is_trusted() -> None:
    kept: Kept | None = None
    for at in (START, START + timedelta(days=61), START + timedelta(days=122)):
        kept = successor(kept, NAMES.hosts, at, LIFE)
        assert kept is not None
        assert kept.trusted.count(b"BEGIN CERTIFICATE") <= 2
        assert kept.trusted.startswith(kept.pair.certificate)
    late = successor(kept, NAMES.hosts, START + timedelta(days=900), LIFE)
    assert late is not None
    assert late.trusted == late.pair.certificate, "what has run out is trusted by nobody"


@pytest.mark.parametrize("days", [0, 1, 59])
def test_it_is_good_until_a_third_of_its_life_is_left(days: int) -> None:
    pair = make(NAMES.hosts, START, LIFE)
    kept = Kept(pair, pair.certificate)
    assert successor(kept, NAMES.hosts, START + timedelta(days=days), LIFE) is None
    assert successor(kept, NAMES.hosts, START + timedelta(days=60, seconds=1), LIFE) is not None
    assert successor(kept, ["another.name.svc"], START, LIFE) is not None
    assert not is_good(pair.certificate, frozenset(NAMES.hosts), START - timedelta(days=1), timedelta(0))


@pytest.mark.parametrize("data", [{}, {"tls.crt": "x"}, {"tls.crt": "!", "tls.key": "!", "ca.crt": "!"}, None, 5])
async def test_what_cant_be_read_is_made_anew(data: object) -> None:
    cluster, served = Cluster(), Served()
    cluster.objects[SECRET_PATH]["data"] = data
    await replica(cluster, served).look()
    assert cluster.trusted == served.pair.certificate


async def test_whoever_takes_the_trust_away_finds_it_again() -> None:
    """As a `kubectl replace` does, or who installs the component anew."""
    cluster, served = Cluster(), Served()
    keeper = replica(cluster, served)
    await keeper.look()
    cluster.objects[CONFIGURATION]["webhooks"][0]["clientConfig"].pop("caBundle")
    await keeper.look()
    assert cluster.trusted == served.pair.certificate
    assert len(served.given) == 1


async def test_a_replica_with_an_older_secret_does_not_take_back_what_another_has_written() -> None:
    """What names the server is written under the version that was read before the Secret."""
    cluster, served = Cluster(), Served()
    keeper = replica(cluster, served)
    await keeper.look()
    mine = cluster.trusted
    cluster.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"] = "b2xkZXI="

    def other_is_quicker(asked: Asked) -> None:
        if asked.method == "GET" and asked.path == SECRET_PATH:
            obj = cluster.objects[CONFIGURATION]
            webhooks = [{**obj["webhooks"][0], "clientConfig": {"caBundle": "bmV3ZXI="}}]
            cluster.store(CONFIGURATION, {**obj, "webhooks": webhooks})

    cluster.ill = other_is_quicker
    with pytest.raises(Exception, match="Conflict"):
        await keeper.look()
    assert cluster.trusted == b"newer"
    assert mine != cluster.trusted


async def test_a_configuration_that_nobody_has_installed_is_no_hindrance() -> None:
    cluster, served = Cluster(), Served()
    cluster.remove(CONFIGURATION)
    await replica(cluster, served).look()
    assert served.is_ready
    assert MUTATING.path(None, NAMES.name) not in cluster.objects


async def test_without_the_secret_it_is_told_what_to_do_and_looked_for_again() -> None:
    """The right to make one would be one to make any Secret of the namespace."""
    cluster, served = Cluster(), Served()
    kept = cluster.objects[SECRET_PATH]
    cluster.remove(SECRET_PATH)
    with pytest.raises(NoCertificateError, match="does not exist; apply it"):
        await replica(cluster, served).look()
    task = asyncio.create_task(replica(cluster, served).run())
    await asyncio.sleep(5)
    assert not served.is_ready
    cluster.store(SECRET_PATH, kept)
    await asyncio.sleep(61)
    assert served.is_ready
    task.cancel()


async def test_where_the_trust_cant_be_written_the_last_certificate_is_served_on() -> None:
    cluster, served = Cluster(), Served()
    keeper = replica(cluster, served)
    await keeper.look()
    old = served.pair
    late = replica(cluster, served, lambda: clock() + timedelta(days=61))
    late._served = old
    cluster.ill = lambda asked: (
        refused(403, "Forbidden") if asked.method == "PATCH" and asked.path == CONFIGURATION else None
    )
    with pytest.raises(Exception, match="Forbidden"):
        await late.look()
    assert served.pair == old
    assert cluster.trusted == old.certificate
