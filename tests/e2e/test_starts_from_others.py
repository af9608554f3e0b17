"""Providers that write into an Ingress or a Route of somebody else's, on a real API server; nobody serves these."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from canary.api.canary import parse_canary
from canary.kube.types import CANARY, DEPLOYMENT, INGRESS, ROUTE, Json, Resource
from canary.routers.registry import ROUTERS
from canary.sandbox.bootstrap import install
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, without_repeats
from canary.sandbox.scenario import NAME, PORT, STEPS, Scenario, canary_of
from tests.tools.routes import by_ref

pytestmark = pytest.mark.gateways

ROUTES = Path(__file__).parents[1] / "cluster/schemas/openshift.json"
THEIRS = "web"
CONTROLLER = "hurried-controller"
KEPT = "example.com/theirs"


def ingress(port: Json) -> Json:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": NAME, "port": port}}}
    return {"ingressClassName": "nobody", "rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]}


CASES: dict[str, tuple[Resource, str, Json]] = {
    "alb": (INGRESS, THEIRS, ingress({"name": "use-annotation"})),
    "skipper": (INGRESS, f"{THEIRS}-canary", ingress({"number": PORT})),
    "openshift": (ROUTE, THEIRS, {"host": "shop.example.com", "to": {"kind": "Service", "name": NAME}}),
}


def theirs(provider: str, namespace: str) -> Json:
    """What users have made, and go on writing."""
    resource, _, spec = CASES[provider]
    metadata = {"name": THEIRS, "namespace": namespace, "annotations": {KEPT: "x"}}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def share_of(provider: str, raw: Json) -> Callable[[Json], int | None]:
    """Reads the canary's percent from the object that divides requests."""
    canary = parse_canary(raw)

    def read(obj: Json) -> int | None:
        split = ROUTERS[provider].split(canary, by_ref([obj], canary.namespace)) if obj else None
        return None if split is None else split.canary

    return read


@pytest_asyncio.fixture
async def hurried(site: Rig) -> AsyncIterator[Rig]:
    """A controller that waits for no gateway, as there is none."""
    own = ("--mesh-provider=traefik", "--enable-leader-election=false", f"--namespace={site.namespace}")
    await site.start_controller(*own, "--traffic-settle-time=1s", name=CONTROLLER)
    yield site
    await site.cluster.parts[CONTROLLER].stop()


@pytest.mark.parametrize("provider", sorted(CASES))
async def test_a_rollout_changes_what_is_ours_of_it_and_gives_it_back(hurried: Rig, provider: str) -> None:
    resource, divides, spec = CASES[provider]
    if resource is ROUTE:
        await install(hurried.client, json.loads(ROUTES.read_text()), until)
    async with Scenario.on(hurried, resource) as scenario, hurried.recording(resource, divides) as route:
        reference = {"apiVersion": resource.api_version, "kind": resource.kind, "name": THEIRS}
        field = "routeRef" if resource is ROUTE else "ingressRef"
        raw = canary_of(hurried.namespace, provider=provider, **{field: reference})
        await hurried.apply(theirs(provider, hurried.namespace))
        await scenario.initialise(raw)
        assert await scenario.roll_out("1.0.1") == "Succeeded"
        share = share_of(provider, raw)
        assert tuple(without_repeats([share(moment.value or {}) for moment in route.moments])) == STEPS
        there = await hurried.client.get(resource, hurried.namespace, THEIRS)
        assert there["metadata"]["annotations"][KEPT] == "x"
        assert "ownerReferences" not in there["metadata"], "it outlives the Canary"
        assert holds(there["spec"], spec)

        # Users apply theirs anew, which says nothing of what is ours.
        writes = len(route.moments)
        await hurried.apply(theirs(provider, hurried.namespace))
        await hurried.client.delete(CANARY, hurried.namespace, NAME)
        await scenario.gone()
        after = await hurried.client.get(resource, hurried.namespace, THEIRS)
        assert holds(after["spec"], spec)
        assert "-canary" not in json.dumps([after["spec"], after["metadata"].get("annotations")])
        assert (await hurried.client.get(DEPLOYMENT, hurried.namespace, NAME))["spec"]["replicas"] == 2
        if provider == "skipper":
            assert after["metadata"]["resourceVersion"] == there["metadata"]["resourceVersion"]
        assert len(route.moments) - writes <= 4, "at the end, too, what is so already is not written"


def holds(found: Json, said: Json) -> bool:
    """Whether an object has what users have said, but for weights."""
    for key, value in said.items():
        there = found.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            if not holds(there, value):
                return False
        elif there != value:
            return False
    return True


async def until(condition: Callable[[], object], _problem: str) -> None:
    await eventually(condition, bool, within=60)  # type: ignore[arg-type]  # of the sandbox's own
