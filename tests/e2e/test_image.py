"""A version whose pods can't start never gets a request, and the status says why it was given up."""

from canary.kube.types import POD
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import NAME, Scenario, canary_of, image_of


async def test_an_image_that_cannot_be_pulled(rig: Rig) -> None:
    image = "registry.example.com/missing"
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace, progressDeadlineSeconds=5))
        async with scenario.traffic() as traffic:
            assert await scenario.roll_out("2.0.0", image=image) == "Failed"
        assert [str(each) for each in traffic.lost] == []
        assert set(traffic.versions()) == {"1.0.0"}
        assert scenario.weights == (0,)
        assert image_of(scenario.target.last) == f"{image}:2.0.0"
        status = scenario.status
    assert status["reason"] == "ProgressDeadlineExceeded"
    assert f"{image}:2.0.0" in status["message"]
    assert "ImagePullBackOff" in status["message"] or "ErrImagePull" in status["message"]
    promoted = {each["type"]: each for each in status["conditions"]}["Promoted"]
    assert (promoted["status"], promoted["reason"]) == ("False", "Failed")
    told = await eventually(lambda: rig.events(NAME), lambda events: any("Canary failed" in each for each in events))
    assert any(f"Rolling back {NAME}.{rig.namespace} progress deadline exceeded" in each for each in told)
    pods = await rig.client.list(POD, rig.namespace, label_selector=f"app={NAME}")
    assert not [pod for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]
