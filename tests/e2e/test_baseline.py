"""A canary that is cold is compared with a baseline that is as cold, behind the real Traefik, and nobody notices."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from canary.kube.types import DEPLOYMENT, SERVICE, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, Scenario, canary_of

pytestmark = pytest.mark.long

RIGHTS = Path(__file__).parents[2] / "deploy/kustomize/components/baselines/kustomization.yaml"
COLD = {"FAULT_LATENCY": "0.5", "FAULT_UNTIL": "40"}
"""Seconds that an answer takes longer, and the age of a pod from which on it doesn't, as its caches are filled."""


@pytest_asyncio.fixture
async def entitled(rig: Rig) -> Rig:
    """A rig whose controller has the rights of the component `baselines` too."""
    (patch,) = yaml.safe_load(RIGHTS.read_text())["patches"]
    rules = [each["value"] for each in yaml.safe_load(patch["patch"])]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "canary-controller-baselines"}}
    subject = {"kind": "ServiceAccount", "name": "canary-controller", "namespace": "canary-system"}
    await rig.apply({**role, "kind": "ClusterRole", "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "canary-controller-baselines"}
    await rig.apply({**role, "kind": "ClusterRoleBinding", "roleRef": ref, "subjects": [subject]})
    return rig


BY_ITSELF = {"stepWeight": 30, "maxWeight": 30}
EXPERIMENT = {
    "stepWeight": 0,
    "maxWeight": 0,
    "steps": [{"weight": 30}, {"experiment": {"duration": "12s", "checks": ["request-duration"]}}],
}


@pytest.mark.parametrize("steps", [BY_ITSELF, EXPERIMENT], ids=["weights", "experiment"])
async def test_a_canary_that_is_as_cold_as_its_baseline_is_promoted_without_a_lost_request(
    entitled: Rig, steps: Json
) -> None:
    """Nothing of the baseline is left, and while it was there it had as large a share as the canary."""
    compared = {
        "name": "request-duration",
        "compareTo": "baseline",
        "thresholdRange": {"max": 300},
        "tolerance": 10,
        "minSamples": 50,
    }
    analysis = {"interval": "12s", "threshold": 5, "metrics": [compared], **steps}
    async with Scenario.on(entitled) as scenario:
        namespace = entitled.namespace
        canary = canary_of(namespace, analysis, provider="traefik")
        await scenario.initialise(canary, application(NAME, namespace, "1.0.0", environment=COLD))
        await asyncio.sleep(float(COLD["FAULT_UNTIL"]))
        async with scenario.traffic(60.0) as traffic:
            assert await scenario.roll_out("1.0.1", environment=COLD) == "Succeeded"
            await scenario.gone_to_the_last()

        async def left() -> list[str]:
            found = [await entitled.client.find(kind, namespace, f"{NAME}-baseline") for kind in (DEPLOYMENT, SERVICE)]
            return [each["kind"] for each in found if each is not None]

        await eventually(left, lambda each: not each, within=60)
        assert not [each for each in traffic.answers if each.status != 200]
        (check,) = scenario.status["checks"]
        assert check["verdict"] == "Pass"
        assert check["threshold"].startswith("baseline ")
        services = [each.value["spec"]["weighted"]["services"] for each in scenario.route.moments if each.value]
        shares = [{each["name"].removeprefix(f"{NAME}-"): each["weight"] for each in some} for some in services]
        assert {"primary": 40, "canary": 30, "baseline": 30} in shares
        assert shares[-1] == {"primary": 100}
        old = [each for each in traffic.answers if each.version == "1.0.0"]
        assert old, "the promoted version has served beside"
        assert check["value"] > 10, "the canary was cold, and by the primary it would have failed"
