"""Admission as it is installed, on a real API server, answered by two controllers beside the cluster."""

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.admission.keeper import CERTIFICATE, Names
from canary.admission.places import MUTATING, VALIDATING
from canary.kube.errors import NotFound
from canary.kube.types import CANARY, ENDPOINT_SLICE, SECRET, Json
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import CONTROLLER_PORT, Rig
from tests.tools.kustomized import put_folder

KUSTOMIZE = Path(__file__).parents[2] / "deploy/kustomize"
SYSTEM = "canary-system"
NAME = "canary-controller-admission"
PORTS = {"controller": 9443, "second": 9444}
LIFE = 45
"""Seconds that a certificate is good; the next one comes when a third is left."""

WORDS = "spec.service.hosts: the provider traefik can't honour it; take it out, or choose a provider that can"


class Site:
    """A namespace whose Canaries are asked about."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.cluster: Cluster = rig.cluster
        self.namespace = rig.namespace

    async def kubectl(self, *words: str, given_: Json | None = None) -> tuple[int, str]:
        """The exit code, and what is said."""
        process = await asyncio.create_subprocess_exec(
            self.cluster.folder / "bin/kubectl",
            *words,
            f"--namespace={self.namespace}",
            env=self.cluster.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            out, _ = await process.communicate(b"" if given_ is None else json.dumps(given_).encode())
        return process.returncode or 0, out.decode()

    def canary(self, name: str = "shop", **service: object) -> Json:
        metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
        return {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"port": 80, **service},
                "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10, "metrics": metrics},
            },
        }

    def broken(self, name: str = "shop") -> Json:
        """What the schema takes, and no provider does."""
        return self.canary(name, hosts=["shop.example.com"])

    async def refuses(self) -> bool:
        """Whether what can't work is refused, for now."""
        code, said = await self.kubectl("create", "--dry-run=server", "-f", "-", given_=self.broken())
        return code != 0 and WORDS in said

    async def start(self) -> None:
        """The two controllers, and until they are asked."""
        for at, (name, port) in enumerate(PORTS.items()):
            await self.rig.start_controller(
                "--mesh-provider=traefik",
                f"--leader-election-namespace={SYSTEM}",
                f"--namespace={self.namespace}",
                f"--admission-port={port}",
                f"--admission-certificate-life={LIFE}s",
                name=name,
                port=CONTROLLER_PORT + at,
            )
        await eventually(self.refuses, bool, within=60)

    async def stop(self) -> None:
        for name in PORTS:
            await self.cluster.parts[name].stop()

    async def certificate(self) -> bytes:
        """The one that is kept."""
        secret = await self.rig.client.get(SECRET, SYSTEM, NAME)
        return base64.b64decode(secret["data"][CERTIFICATE])


def endpoints(port: int) -> Json:
    """Where a controller listens, as a pod of it would have it."""
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {
            "name": f"{NAME}-{port}",
            "namespace": SYSTEM,
            "labels": {"kubernetes.io/service-name": NAME},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [addresses.TOOLS], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def write_kustomization(folder: Path, *further: str) -> None:
    """All that is installed with the component, and further ones, without the controllers' pods."""
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / "traefik", folder)],
        "components": [os.path.relpath(KUSTOMIZE / "components" / each, folder) for each in ("admission", *further)],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Two controllers that are asked; the configurations of webhooks go with the test."""
    write_kustomization(tmp_path)
    async with Rig.on(cluster, namespace) as rig:
        await put_folder(rig, tmp_path)
        made = Site(rig)
        try:
            for port in PORTS.values():
                await rig.client.apply(ENDPOINT_SLICE, endpoints(port))
            await made.start()
            yield made
            await made.stop()
        finally:
            for resource in (VALIDATING, MUTATING):
                await rig.client.delete(resource, None, NAME)
            for port in PORTS.values():
                await rig.client.delete(ENDPOINT_SLICE, SYSTEM, f"{NAME}-{port}")


async def test_what_cant_work_is_refused_at_once_and_what_can_passes(site: Site) -> None:
    code, said = await site.kubectl("create", "-f", "-", given_=site.broken())
    assert code != 0
    assert said == f'The Canary "shop" is invalid: {WORDS}\n', "as kubectl tells what the schema refuses"
    with pytest.raises(NotFound):
        await site.rig.client.get(CANARY, site.namespace, "shop")

    template = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": "errors"},
        "spec": {"provider": {"type": "cloudwatch"}, "query": "up"},
    }
    messenger = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "AlertProvider",
        "metadata": {"name": "chat"},
        "spec": {"type": "slack", "address": "nowhere"},
    }
    for raw, field in ((template, "spec.provider.region"), (messenger, "spec.address")):
        code, said = await site.kubectl("create", "-f", "-", given_=raw)
        assert code != 0
        assert field in said

    code, said = await site.kubectl("create", "-f", "-", given_=site.canary())
    assert (code, said) == (0, "canary.flagger.app/shop created\n")
    code, said = await site.kubectl("apply", "-f", "-", given_=site.broken())
    assert code != 0
    assert WORDS in said

    unwise = site.canary("other")
    del unwise["spec"]["analysis"]["metrics"]
    code, said = await site.kubectl("create", "-f", "-", given_=unwise)
    assert code == 0
    assert "Warning: spec.analysis.metrics: is missing" in said


async def test_what_keeps_specs_in_git_sees_no_difference(site: Site) -> None:
    """By three-way merges, and by server-side apply, also after somebody has given an order."""
    raw = site.canary()
    for flags in ([], ["--server-side", "--field-manager=git", "--force-conflicts"]):
        assert (await site.kubectl("apply", "-f", "-", *flags, given_=raw))[0] == 0
        code, said = await site.kubectl(
            "annotate", "canary", "shop", "--overwrite", f"flagger.app/order=abort {len(flags)}"
        )
        assert code == 0, said
        # The controller may write the status between the two reads of a comparison.
        differs = partial(site.kubectl, "diff", "-f", "-", *flags, given_=raw)
        await eventually(differs, lambda found: found == (0, ""), within=60)
    found = await site.rig.client.get(CANARY, site.namespace, "shop")
    stored = {key: found["spec"][key] for key in raw["spec"]}
    assert stored == raw["spec"], "nothing is filled in"
    user = await site.rig.client.user()
    assert found["metadata"]["annotations"]["flagger.app/order"] == f"abort by={user} 3"


async def test_while_nobody_answers_everything_is_stored_and_people_are_never_held_up(site: Site) -> None:
    """What was stored broken stays in people's hands once somebody answers again."""
    await site.stop()
    code, said = await site.kubectl("create", "-f", "-", given_=site.broken())
    assert code == 0, said
    code, said = await site.kubectl(
        "create", "-f", "-", given_={**site.canary("bad"), "spec": {"service": {"port": 0}}}
    )
    assert code != 0
    assert "spec.service.port" in said, "what the schema can tell is refused by it"

    await site.start()
    for words in (
        ("label", "canary", "shop", "team=shop"),
        ("annotate", "canary", "shop", "flagger.app/order=abort"),
        ("patch", "canary", "shop", "--type=merge", '--patch={"metadata":{"finalizers":["example.com/keep"]}}'),
        ("patch", "canary", "shop", "--type=merge", '--patch={"spec":{"suspend":true}}'),
        ("patch", "canary", "shop", "--subresource=status", "--type=merge", '--patch={"status":{"failedChecks":1}}'),
    ):
        code, said = await site.kubectl(*words)
        assert code == 0, said
    assert (
        WORDS
        in (await site.kubectl("patch", "canary", "shop", "--type=merge", '--patch={"spec":{"suspend":false}}'))[1]
    )
    worse = '--patch={"spec":{"service":{"timeout":"soon"}}}'
    code, said = await site.kubectl("patch", "canary", "shop", "--type=merge", worse)
    assert code != 0
    assert "spec.service.timeout" in said
    code, said = await site.kubectl("delete", "canary", "shop", "--wait=false")
    assert code == 0, said
    done = '--patch={"metadata":{"finalizers":null},"spec":{"service":{"timeout":"soon"}}}'
    code, said = await site.kubectl("patch", "canary", "shop", "--type=merge", done)
    assert code == 0, said
    with pytest.raises(NotFound):
        await site.rig.client.get(CANARY, site.namespace, "shop")


async def test_a_certificate_is_renewed_while_it_is_served_and_always_trusted(site: Site) -> None:
    """Where nothing is stored that nobody could be asked about, the API server never says that it trusts nobody."""
    strict = {"failurePolicy": "Fail", "timeoutSeconds": 30}
    fields = {"metadata": {"name": NAME}, "webhooks": [{"name": "specs.canary-controller.flagger.app", **strict}]}
    await site.rig.client.apply(VALIDATING, fields, field_manager="test")
    seen: list[bytes] = []
    async with asyncio.timeout(150):
        while len(seen) < 3:
            code, said = await site.kubectl("create", "--dry-run=server", "-f", "-", given_=site.broken())
            assert code != 0
            assert "x509" not in said
            assert "certificate" not in said
            now = await site.certificate()
            seen += [now] if now not in seen else []
    assert await site.refuses()
    for port in PORTS.values():
        served = await asyncio.to_thread(ssl.get_server_certificate, (addresses.TOOLS, port), timeout=10)
        (certificate,) = x509.load_pem_x509_certificates(served.encode())
        known = [x509.load_pem_x509_certificates(each)[0] for each in (*seen, await site.certificate())]
        assert certificate in known[1:], "the first one is served no more"


bodies = st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["kind", "apiVersion", "request", "uid", "object", "spec", "metadata"]), inner
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())
questions = st.builds(
    lambda value, uid: json.dumps(
        {
            "kind": "AdmissionReview",
            "apiVersion": "admission.k8s.io/v1",
            "request": {"uid": uid, "operation": "CREATE", "object": value},
        }
    ).encode(),
    st.dictionaries(
        st.sampled_from(["kind", "apiVersion", "spec", "metadata", "status"]),
        st.sampled_from(["Canary", "MetricTemplate", "AlertProvider", "flagger.app/v1beta1"])
        | st.dictionaries(
            st.sampled_from(["service", "analysis", "targetRef", "provider", "name"]), st.integers() | st.text()
        ),
    ),
    st.text(max_size=3),
)


async def test_ten_thousand_bodies_of_any_kind_are_answered_with_what_they_are(site: Site) -> None:
    """None is a fault of the server's, and none leaves a trace in its log."""
    collected: list[bytes] = []

    @settings(max_examples=200, suppress_health_check=list(HealthCheck))
    @given(st.lists(bodies | questions, min_size=1, max_size=30))
    def collect(some: list[bytes]) -> None:
        collected.extend(some)

    await asyncio.to_thread(collect)
    assert collected
    sent = (collected * (10_000 // len(collected) + 1))[: max(10_000, len(collected))]
    host = Names(SYSTEM, NAME).hosts[0]
    counts: dict[int, int] = {}
    # The certificate of the moment is not trusted but taken: it is renewed meanwhile.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    queue = iter(sent)

    async def caller(session: aiohttp.ClientSession) -> None:
        for body in queue:
            url = f"https://{addresses.TOOLS}:{PORTS['controller']}/validate"
            async with session.post(url, data=body, ssl=context, server_hostname=host) as answer:
                counts[answer.status] = counts.get(answer.status, 0) + 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(caller(session) for _ in range(8)))
    assert counts.keys() <= {200, 400}
    assert sum(counts.values()) >= 10_000
    log = site.cluster.parts["controller"].log.read_text()
    assert "Traceback" not in log
    assert "exception" not in log
    assert await site.refuses(), "and all others are answered as ever"
