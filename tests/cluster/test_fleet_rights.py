"""What the hub of a fleet may do in a member by the account of `deploy/kustomize/fleet/member`: Canaries, no more."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from canary.fleet.members.registry import members
from canary.kube.access import Access
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden
from canary.kube.reach import reach
from canary.kube.transport import Request
from canary.kube.types import CANARY, CONFIG_MAP, DEPLOYMENT, METRIC_TEMPLATE, NAMESPACE, SECRET, Json, Resource, items
from canary.sandbox.cluster import Cluster
from tests.cluster.conftest import KUSTOMIZE, SYSTEM
from tests.cluster.test_fleet_members import Way, of_kubeconfig
from tests.tools.authority import Authority
from tests.unit.fleet.members.shapes import as_served

pytestmark = pytest.mark.long

ACCOUNT = "canary-hub"
CLUSTER_ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False)
ANYBODY = ("selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews")
"""What everybody who is let in may ask about themselves."""


@pytest_asyncio.fixture
async def hub(cluster: Cluster, namespace: str, installation: Path) -> AsyncIterator[KubeClient]:
    """The hub's client for a member, by a kubeconfig Secret with a token of that account."""
    await cluster.apply(installation)
    await cluster.apply(KUSTOMIZE / "fleet/member")
    async with KubeClient.connect(cluster.kubeconfig) as client:
        way = Way(client, SYSTEM, Authority(), cluster.certificate.read_text())
        (secret,) = of_kubeconfig(way, await way.token(ACCOUNT, f"token-for-{namespace}"))
        (member,) = members([as_served(secret)]).values()
        assert isinstance(member.connection, Access)
        async with reach(member.connection) as hub:
            yield hub


def canary(namespace: str, **annotations: str) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app"}
    analysis = {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 10}
    metadata = {"name": "my-app", "namespace": namespace, "annotations": annotations}
    return {"metadata": metadata, "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis}}


async def test_it_sees_makes_and_changes_canaries(hub: KubeClient, namespace: str) -> None:
    assert await hub.user() == f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"

    await hub.apply(CANARY, canary(namespace), field_manager="canary-hub")
    order = {"metadata": {"annotations": {"flagger.app/pause": "by the hub"}}}
    await hub.merge_patch(CANARY, namespace, "my-app", order)

    assert [each["metadata"]["name"] for each in (await hub.list(CANARY, namespace))["items"]] == ["my-app"]
    assert (await hub.get(CANARY, namespace, "my-app"))["metadata"]["annotations"] == {
        "flagger.app/pause": "by the hub"
    }
    async with hub.stream(hub.path(CANARY, None), {"watch": "1", "timeoutSeconds": 1}) as stream:
        assert b'"my-app"' in await stream.read()


REFUSED: dict[str, Callable[[KubeClient, str], Awaitable[object]]] = {
    "delete a Canary": lambda hub, namespace: hub.delete(CANARY, namespace, "my-app"),
    "replace a Canary": lambda hub, namespace: hub.replace(CANARY, canary(namespace)),
    "say what a Canary's status is": lambda hub, namespace: hub.merge_patch(
        CANARY, namespace, "my-app", {"status": {"phase": "Succeeded"}}, subresource="status"
    ),
    "read Secrets": lambda hub, namespace: hub.list(SECRET, namespace),
    "read ConfigMaps": lambda hub, _: hub.list(CONFIG_MAP),
    "see Deployments": lambda hub, namespace: hub.list(DEPLOYMENT, namespace),
    "make a Deployment": lambda hub, namespace: hub.create(
        DEPLOYMENT, {"metadata": {"name": "x", "namespace": namespace}}
    ),
    "make a Namespace": lambda hub, _: hub.create(NAMESPACE, {"metadata": {"name": "x"}}),
    "see MetricTemplates": lambda hub, namespace: hub.list(METRIC_TEMPLATE, namespace),
    "give itself rights": lambda hub, _: hub.merge_patch(CLUSTER_ROLE, None, ACCOUNT, {"rules": []}),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_it_may_not(hub: KubeClient, namespace: str, what: str) -> None:
    with pytest.raises(Forbidden):
        await REFUSED[what](hub, namespace)


async def test_by_the_api_servers_own_word_it_may_do_nothing_else(hub: KubeClient, namespace: str) -> None:
    review: Json = {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind, "spec": {"namespace": namespace}}
    answer = await hub._send(Request("POST", REVIEWS.path(), body=review))

    assert answer["status"]["incomplete"] is False
    rules = [each for each in items(answer["status"]["resourceRules"]) if not {*each["resources"]} <= {*ANYBODY}]
    assert rules == [
        {"verbs": ["get", "list", "watch", "create", "patch"], "apiGroups": ["flagger.app"], "resources": ["canaries"]}
    ]
