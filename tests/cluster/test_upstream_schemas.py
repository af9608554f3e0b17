"""What traffic providers write is taken by a real API server that has the definitions of those who read it."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from canary.api.canary import parse_canary
from canary.api.traffic import Split
from canary.kube.client import FIELD_MANAGER
from canary.kube.diff import differences
from canary.kube.types import Json, resource_of
from canary.routers.registry import ROUTERS
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from tests.tools.routes import by_ref

HERE = Path(__file__).parent
GOLDEN = [
    pytest.param(yaml.safe_load(path.read_text()), id=f"{path.parent.name}/{path.stem}")
    for path in sorted((HERE.parent / "unit/routers/golden").glob("*/*.yaml"))
]
APPLY = "application/apply-patch+yaml"
NONE = 404


@pytest.fixture
async def api(cluster: Cluster, upstream: None) -> AsyncIterator[httpx.AsyncClient]:
    """Requests as they are, to have unknown fields refused."""
    context = ssl.create_default_context(cafile=cluster.certificate)
    headers = {"Authorization": f"Bearer {cluster.token()}", "Content-Type": APPLY}
    async with httpx.AsyncClient(base_url=addresses.API_URL, verify=context, headers=headers) as client:
        yield client


@pytest.mark.parametrize("case", GOLDEN)
async def test_the_api_server_takes_every_object_whole_and_its_split_can_be_read_back(
    api: httpx.AsyncClient, namespace: str, case: Json
) -> None:
    """What it fills in is no difference to us: the same written again would be no change."""
    document = case["canary"]
    canary = parse_canary({**document, "metadata": {**document["metadata"], "namespace": namespace}})
    stored = [await taken(api, namespace, each) for each in case["expected"]]
    if stored:
        assert ROUTERS[case["provider"]].split(canary, by_ref(stored, namespace)) == Split(**case["split"])
    for each in case.get("handed_back", []):
        await taken(api, namespace, each)


async def taken(api: httpx.AsyncClient, namespace: str, obj: Json) -> Json:
    """An object as it is stored, which is as it was to be; without an owner, who would have to be there."""
    resource, name = resource_of(obj), obj["metadata"]["name"]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
    desired = {**obj, "metadata": {**metadata, "namespace": namespace}}
    query = f"fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict"
    answer = await api.patch(f"{resource.path(namespace, name)}?{query}", content=json.dumps(desired))
    said = f"{resource.kind} {name} of {resource.api_version}: {answer.text}"
    assert answer.status_code != NONE, f"tests/cluster/schemas has no such kind, {said}"
    assert answer.is_success, said
    stored: Json = answer.json()
    assert list(differences(stored, desired)) == [], said
    return stored
