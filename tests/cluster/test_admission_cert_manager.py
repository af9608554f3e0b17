"""Admission with cert-manager's certificate: what the component makes, and what cert-manager would write for it.

cert-manager itself is not here. Its definitions are, so that the API server holds what is installed against them; what
cert-manager, its CA injector and the kubelet do with it, the test does.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from canary.admission.places import MUTATING, VALIDATING
from canary.kube.types import ENDPOINT_SLICE, SECRET, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from tests.cluster.test_admission import NAME, SYSTEM, Site, endpoints, write_kustomization

pytestmark = pytest.mark.long

CERTIFICATE: Final = Resource("cert-manager.io", "v1", "certificates", "Certificate")
PORT: Final = 9443
INJECT: Final = "cert-manager.io/inject-ca-from"


class Authority:
    """What signs for an issuer of the kind `ca`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        self._certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().issuer_name(self._name).subject_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        made = made.not_valid_after(now + timedelta(hours=1))
        for each in extensions:
            made = made.add_extension(each, critical=True)
        return made.sign(self._key, hashes.SHA256())

    def secret(self, certificate: Json) -> Json:
        """The Secret that is written for a Certificate, with a key that is new each time."""
        spec, key = certificate["spec"], ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in spec["dnsNames"]])
        made = self._signed(x509.Name([]), key, names)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        data = {"tls.crt": _pem(made), "tls.key": private, "ca.crt": _pem(self._certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": spec["secretName"], "namespace": SYSTEM},
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def mount(folder: Path, secret: Json) -> None:
    """As a kubelet does it: all files change at once, as a link is moved."""
    folder.mkdir(exist_ok=True)
    content = folder / f"..{secret['metadata']['resourceVersion']}"
    content.mkdir()
    for name, value in secret["data"].items():
        (content / name).write_bytes(base64.b64decode(value))
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..new").symlink_to(content.name)
    (folder / "..new").rename(folder / "..data")


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, certificates: None, tmp_path: Path) -> AsyncIterator[Site]:
    """What is installed with cert-manager's component, without the controllers' pods."""
    write_kustomization(tmp_path, "cert-manager")
    await cluster.apply(tmp_path)
    async with Rig.on(cluster, namespace) as rig:
        try:
            await rig.client.apply(ENDPOINT_SLICE, endpoints(PORT))
            yield Site(rig)
        finally:
            for resource in (VALIDATING, MUTATING):
                await rig.client.delete(resource, None, NAME)
            await rig.client.delete(ENDPOINT_SLICE, SYSTEM, f"{NAME}-{PORT}")


async def inject(rig: Rig, secret: Json) -> None:
    """What the CA injector does with the annotation."""
    for resource in (VALIDATING, MUTATING):
        found = await rig.client.get(resource, None, NAME)
        assert found["metadata"]["annotations"][INJECT] == f"{SYSTEM}/{NAME}"
        trusted = {"clientConfig": {"caBundle": secret["data"]["ca.crt"]}}
        hooks = [{"name": each["name"], **trusted} for each in found["webhooks"]]
        await rig.client.apply(resource, {"metadata": {"name": NAME}, "webhooks": hooks}, field_manager="injector")


async def test_its_certificate_is_served_and_the_next_one_without_a_restart(site: Site, tmp_path: Path) -> None:
    rig, folder, authority = site.rig, tmp_path / "mounted", Authority()
    certificate = await rig.client.get(CERTIFICATE, SYSTEM, NAME)
    first = await rig.client.apply(SECRET, authority.secret(certificate))
    mount(folder, first)
    await inject(rig, first)
    controller = await rig.start_controller(
        "--mesh-provider=traefik",
        f"--namespace={site.namespace}",
        f"--admission-port={PORT}",
        f"--admission-certificate-folder={folder}",
    )
    pid = controller.pid
    strict = {"failurePolicy": "Fail", "timeoutSeconds": 30}
    fields = {"metadata": {"name": NAME}, "webhooks": [{"name": "specs.canary-controller.flagger.app", **strict}]}
    await rig.client.apply(VALIDATING, fields, field_manager="test")
    await eventually(site.refuses, bool, within=60)

    second = await rig.client.apply(SECRET, authority.secret(certificate))
    mount(folder, second)
    served = x509.load_pem_x509_certificate(base64.b64decode(second["data"]["tls.crt"]))

    async def is_served() -> bool:
        """And whichever of the two is, what can't work is refused meanwhile."""
        assert await site.refuses()
        return await _served() == served

    await eventually(is_served, bool, within=60)
    assert controller.pid == pid
    await controller.stop()


async def _served() -> x509.Certificate:
    text = await asyncio.to_thread(ssl.get_server_certificate, (addresses.TOOLS, PORT), timeout=10)
    return x509.load_pem_x509_certificate(text.encode())


async def test_the_controllers_own_secret_and_the_rights_for_it_are_left_out(site: Site, tmp_path: Path) -> None:
    code, rendered = await site.kubectl("kustomize", str(tmp_path))
    assert code == 0, rendered
    found = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(rendered)}
    kept = {kind for kind, name in found if name == NAME}
    assert kept == {"Service", "Certificate", "Issuer", VALIDATING.kind, MUTATING.kind}
