"""What we say beforehand of an HTTPRoute is what the API server says of it."""

from canary.api.canary import parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.types import HTTP_ROUTE
from canary.routers.registry import ROUTERS
from canary.sandbox.cluster import Cluster
from tests.tools.route_limits import CASES, Case
from tests.tools.routes import made

ROUTER = ROUTERS["gatewayapi:v1"]


async def refusal(client: KubeClient, case: Case, namespace: str, number: int) -> str:
    """What the API server says of the routes that the analysis goes through; empty where it takes them."""
    canary = parse_canary(case.canary(namespace, number))
    status = canary.status.replace(session_affinity_cookie="c=1", previous_session_affinity_cookie="c=1")
    if canary.analysis.session_affinity and canary.analysis.session_affinity.primary_cookie_name:
        status = status.replace(primary_session_affinity_cookie="p=1")
    canary = canary.replace(status=status)
    chosen = Split(100, matched=True) if canary.analysis.match else Split(50, 100 if canary.analysis.mirror else 0)
    for split in (ALL_PRIMARY, chosen, ALL_PRIMARY):
        (route,) = made(ROUTER, canary, split, {})
        del route["metadata"]["ownerReferences"]
        try:
            await client.apply(HTTP_ROUTE, route)
        except KubeError as error:
            return str(error)
    return ""


async def test_the_api_server_refuses_what_is_told_beforehand_and_nothing_else(
    cluster: Cluster, namespace: str
) -> None:
    async with KubeClient.connect(cluster.kubeconfig) as client:
        said = {case.what: await refusal(client, case, namespace, number) for number, case in enumerate(CASES)}
    wrong = {case.what: said[case.what] for case in CASES if bool(said[case.what]) is not bool(case.blamed)}
    assert wrong == {}
