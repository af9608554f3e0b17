"""A version that turns bad after its promotion comes back by itself, with its configuration; a lost primary, too."""

import base64

from canary.kube.types import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT, SECRET, Json
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application
from canary.sandbox.scenario import NAME, SUCCESS_RATE, Scenario, canary_of, image_of
from canary.sandbox.traffic import Traffic

PRIMARY = f"{NAME}-primary"
BAD_AFTER = {"FAULT_ERROR_RATE": "1", "FAULT_AFTER": "45"}
"""Every answer is an error, once a pod has run for longer than the pods of the canary do."""


def version(namespace: str, tag: str, settings: dict[str, str], password: str) -> tuple[Json, Json, Json]:
    """The application with its ConfigMap and its Secret, and these two."""
    deployment = application(NAME, namespace, tag)
    sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}]
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"] = sources

    def config(kind: str, name: str, **contents: dict[str, str]) -> Json:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **contents}

    secret = config("Secret", "password", data={"PASSWORD": encoded(password)})
    return config("ConfigMap", "settings", data=settings), secret, deployment


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def deploy(rig: Rig, tag: str, settings: dict[str, str], password: str) -> None:
    for obj in version(rig.namespace, tag, settings, password):
        await rig.apply(obj)


async def copies(rig: Rig) -> tuple[Json, Json]:
    """What the primary's pods read."""
    settings = await rig.client.get(CONFIG_MAP, rig.namespace, "settings-primary")
    password = await rig.client.get(SECRET, rig.namespace, "password-primary")
    return settings["data"], password["data"]


async def reason(scenario: Scenario, wanted: str) -> None:
    """Wait until the status has this reason."""

    def has(canary: Json) -> bool:
        return bool(canary.get("status", {}).get("reason") == wanted)

    await scenario.canary.until(has, within=120, what=f"reason {wanted}")


async def test_a_version_that_turns_bad_after_its_promotion_is_replaced_by_the_last_good_one(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        analysis = {"metrics": [SUCCESS_RATE], "bake": "6s", "threshold": 2}
        *configs, first = version(rig.namespace, "1.0.0", {"COLOUR": "blue"}, "one")
        for obj in configs:
            await rig.apply(obj)
        await scenario.initialise(canary_of(rig.namespace, analysis), first)

        async with scenario.traffic() as traffic:
            await deploy(rig, "1.0.1", {"COLOUR": "green"}, "two")
            await reason(scenario, "Baking")
            assert scenario.status["phase"] == "Succeeded"
            await reason(scenario, "Succeeded")
            assert [str(each) for each in traffic.lost] == []
            good = await copies(rig)

            await rig.apply(canary_of(rig.namespace, {**analysis, "bake": "3m"}))
            await deploy(rig, "1.0.2", {"COLOUR": "red", **BAD_AFTER}, "three")
            await reason(scenario, "Baking")
            assert scenario.serving == "sample/web:1.0.2"
            assert traffic.lost == []
            await reason(scenario, "BakeFailed")
            await scenario.gone_to_the_last()
            last = len(traffic.answers)
            await eventually(lambda: count(traffic), lambda answers: answers > last + 50, within=10)

        assert scenario.status["phase"] == "Failed"
        assert scenario.serving == "sample/web:1.0.1"
        assert await copies(rig) == good
        assert {answer.version for answer in traffic.lost} == {"1.0.2"}
        assert {answer.version for answer in traffic.answers[last:]} == {"1.0.1"}
        check = scenario.status["checks"][0]
        assert (check["verdict"], check["name"]) == ("Fail", "request-success-rate")
        assert f"{rig.namespace}-{NAME}-primary-" in check["query"]
        events = await rig.events(NAME)
        why = "failed checks threshold reached 2; the last good version is put back"
        assert f"Rolling back {NAME}.{rig.namespace} {why}" in events
        assert f"{PRIMARY}.{rig.namespace} is back at the last good version" in events
        await nothing_secret_is_kept_in_revisions(rig)

        await rig.client.delete(DEPLOYMENT, rig.namespace, PRIMARY)
        await reason(scenario, "Reinitialized")
        assert image_of(await rig.deployment(PRIMARY)) == "sample/web:1.0.1"
        assert scenario.status["phase"] == "Failed"


async def nothing_secret_is_kept_in_revisions(rig: Rig) -> None:
    """Whoever may read ControllerRevisions may not thereby read Secrets."""
    found = await rig.client.list(CONTROLLER_REVISION, rig.namespace, label_selector=f"flagger.app/canary={NAME}")
    assert 2 <= len(found["items"]) <= 3
    assert not any(encoded(password) in str(found) for password in ("one", "two", "three"))


async def count(traffic: Traffic) -> int:
    return len(traffic.answers)
