"""The load tester asks a real API server whose a caller's token is, with the rights that its component gives it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from canary.kube.client import KubeClient
from canary.kube.types import Resource
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from loadtest.callers import ApiServer, Denied, ReviewedTokens

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
COMPONENT = Path(__file__).parents[2] / "deploy/kustomize/components/loadtester-token-review"
PEER = "192.0.2.1"
NAME, CALLER = "flagger-loadtester", "flagger-loadtester-caller"


async def token(client: KubeClient, namespace: str, account: str, *audiences: str) -> str:
    """Make a ServiceAccount and a token of it."""
    if await client.find(SERVICE_ACCOUNT, namespace, account) is None:
        await client.create(SERVICE_ACCOUNT, {"metadata": {"name": account, "namespace": namespace}})
    kind = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    spec = {"audiences": list(audiences)} if audiences else {}
    metadata = {"name": account, "namespace": namespace}
    made = await client.create(kind, {"apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec})
    found: str = made["status"]["token"]
    return found


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(cluster.kubeconfig) as client:
        yield client


async def test_callers_are_known_by_their_tokens(
    cluster: Cluster, client: KubeClient, namespace: str, tmp_path: Path
) -> None:
    """One of those that may call, another ServiceAccount, a token for somebody else, none at all."""
    if await client.find(NAMESPACE, None, "test") is None:
        await client.create(NAMESPACE, {"metadata": {"name": "test"}})
    await cluster.apply(COMPONENT / "service-account.yaml")
    await cluster.apply(COMPONENT / "cluster-role.yaml")
    (tmp_path / "own").write_text(await token(client, "test", NAME))
    server = ApiServer(addresses.API_URL, tmp_path / "own", cluster.certificate)
    users = frozenset({f"system:serviceaccount:{namespace}:{CALLER}"})
    callers, strict, later = (ReviewedTokens(server, users, audience) for audience in ("", "loadtest", ""))

    good = await token(client, namespace, CALLER)
    for_us = await token(client, namespace, CALLER, "loadtest")
    others = await token(client, namespace, "other")
    try:
        assert await callers.check(f"Bearer {good}", PEER) is None
        assert await strict.check(f"Bearer {for_us}", PEER) is None
        assert await strict.check(f"Bearer {good}", PEER) == Denied(
            401, "Unauthorized: the API server does not know this token"
        )
        assert await callers.check(f"Bearer {for_us}", PEER) is not None
        other = f"system:serviceaccount:{namespace}:other"
        assert await callers.check(f"Bearer {others}", PEER) == Denied(403, f"Forbidden: {other} may not call here")
        assert await callers.check("Bearer nonsense", PEER) is not None
        (tmp_path / "own").write_text(others)
        denied = await later.check(f"Bearer {good}", PEER)
        assert denied is not None
        assert denied.status == 503, "it may not ask"
    finally:
        for each in (callers, strict, later):
            await each.close()


def test_the_component_names_the_caller_that_its_comment_names() -> None:
    component = yaml.safe_load((COMPONENT / "kustomization.yaml").read_text())
    assert f"--token-review=system:serviceaccount:test:{CALLER}" in component["patches"][0]["patch"]
