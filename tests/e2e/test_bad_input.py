"""What can't work is said with field and remedy, touches nothing, and starts by itself once it is mended."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from canary.kube.errors import Invalid
from canary.kube.types import CANARY, SERVICE, TRAEFIK_SERVICE, Json
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import AUTHOR, CONTROLLER_PORT, CRD, Rig, application
from canary.sandbox.scenario import NAME, STEPS, Scenario, canary_of, hook

PATH = Path(__file__).parents[2] / "crds/canaries.yaml"
RULES = {"x-kubernetes-validations", "minimum", "maximum", "enum", "pattern"}
SEEN_BY_ONE_OBJECT: Mapping[str, tuple[Json, str, str]] = {
    "no stepWeight": ({"stepWeight": 0, "maxWeight": 0}, "spec.analysis.stepWeight", "set stepWeight"),
    "unknown metric": (
        {"metrics": [{"name": "happiness", "thresholdRange": {"min": 99}}]},
        "spec.analysis.metrics[0]",
        "write request-success-rate, request-duration or request-rate, or set templateRef",
    ),
    "weights over 100": ({"maxWeight": 150}, "spec.analysis.maxWeight", "100"),
    "no webhook address": (
        {"webhooks": [{**hook("pre-rollout", ""), "url": "loadtester"}]},
        "spec.analysis.webhooks[0]",
        "write one such as http://loadtester.test/",
    ),
}
"""Changes of an analysis, the field at fault and the remedy."""


def words_of(status: Json) -> str:
    """What the condition says that tells of a spec that can't work; empty where there is none."""
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    stalled = conditions.get("Stalled", {})
    assert stalled.get("status", "True") == "True"
    return str(stalled.get("message", ""))


async def is_refused(scenario: Scenario, field: str, remedy: str) -> None:
    """Wait until condition and event name field and remedy; nothing but the Canary's status was touched."""
    rig = scenario.rig

    def said(canary: Json) -> bool:
        words = words_of(canary.get("status", {}))
        return field in words and remedy in words

    await scenario.canary.until(said, within=20, what=f"word of {field}")
    words = words_of(scenario.status)
    await eventually(lambda: rig.events(NAME), lambda told: words in told, within=10)
    for resource in (SERVICE, TRAEFIK_SERVICE):
        assert (await rig.client.list(resource, rig.namespace))["items"] == []
    assert not scenario.primary.last
    assert scenario.target.last.get("spec", {}).get("replicas", 2) == 2


async def is_mended(scenario: Scenario) -> None:
    await scenario.phase("Initialized", within=30)
    assert words_of(scenario.status) == ""
    await scenario.asleep()


@pytest.mark.parametrize("case", SEEN_BY_ONE_OBJECT)
async def test_what_one_object_shows_is_refused_when_it_is_applied(rig: Rig, case: str) -> None:
    analysis, field, remedy = SEEN_BY_ONE_OBJECT[case]
    with pytest.raises(Invalid) as caught:
        await rig.apply(canary_of(rig.namespace, analysis))
    for words in (field, remedy):
        assert words in caught.value.message


def without_rules(schema: Any) -> Any:
    """A CRD, or a part of one, as the one that Flagger brings along: types alone."""
    if isinstance(schema, list):
        return [without_rules(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_rules(value) for key, value in schema.items() if key not in RULES}


@pytest_asyncio.fixture
async def older_crd(rig: Rig) -> AsyncIterator[None]:
    ours: Json = yaml.safe_load(PATH.read_text())
    bad = canary_of(rig.namespace, {"maxWeight": 150})
    await rig.client.apply(CRD, without_rules(ours), field_manager=AUTHOR)
    await eventually(lambda: accepted(rig, bad), bool, within=20)
    await rig.client.delete(CANARY, rig.namespace, NAME)
    yield
    await rig.client.apply(CRD, ours, field_manager=AUTHOR)
    # Another value each time: what an object has had before, it may keep.
    worse = (canary_of(rig.namespace, {"maxWeight": weight}) for weight in count(160))
    await eventually(lambda: accepted(rig, next(worse)), lambda taken: not taken, within=20)


async def accepted(rig: Rig, canary: Json) -> bool:
    try:
        await rig.apply(canary)
    except Invalid:
        return False
    return True


@pytest.mark.usefixtures("older_crd")
async def test_what_an_older_crd_lets_through_is_refused_by_the_controller(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.deploy("1.0.0")
        await scenario.settled()
        for analysis, field, remedy in SEEN_BY_ONE_OBJECT.values():
            await rig.apply(canary_of(rig.namespace, analysis))
            await is_refused(scenario, field, remedy)
        await rig.apply(canary_of(rig.namespace))
        await is_mended(scenario)


async def test_what_only_the_cluster_shows(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await rig.apply(canary_of(rig.namespace))
        await is_refused(scenario, "spec.targetRef: Deployment app does not exist", "create it, or correct its name")
        await rig.apply(canary_of(rig.namespace, service={"port": 80, "targetPort": "web"}))
        await scenario.deploy("1.0.0")
        await scenario.settled()
        await is_refused(scenario, "spec.service.targetPort: no container of app has a port web", "9898 (http)")
        template = {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 1}}
        await rig.apply(canary_of(rig.namespace, {"metrics": [template]}))
        await is_refused(scenario, "spec.analysis.metrics[0].templateRef", "create it")
        await rig.apply(canary_of(rig.namespace, metricsServer="nonsense"))
        await is_refused(scenario, "spec.metricsServer: 'nonsense' is no address", "http://prometheus:9090")
        await rig.apply(canary_of(rig.namespace))
        await is_mended(scenario)


async def test_a_spec_that_goes_bad_in_mid_rollout_waits_where_it_is(rig: Rig) -> None:
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        async with scenario.traffic() as traffic:
            await scenario.deploy("1.0.1")
            await scenario.weight(25)
            await rig.apply(canary_of(rig.namespace, metricsServer="nonsense"))
            await scenario.canary.until(
                lambda each: "spec.metricsServer" in words_of(each["status"]), within=20, what="word of the field"
            )
            weight = scenario.weights[-1]
            await asyncio.sleep(3)
            assert scenario.weights[-1] == weight, "it goes no further"
            await rig.apply(canary_of(rig.namespace))
            assert await scenario.ended() == "Succeeded"
        assert scenario.weights == STEPS
        assert [str(each) for each in traffic.lost] == []


GARBAGE: Mapping[str, Json] = {
    "phase-unknown": {"status": {"phase": "Dancing"}},
    "end-of-time": {"status": {"phase": "Finalising", "trafficRemovedTime": "9999-12-31T23:59:59Z"}},
    "beginning-of-time": {"status": {"phase": "Progressing", "lastCheckTime": "0001-01-01T00:00:00Z"}},
    "weight-of-all": {"status": {"phase": "Progressing", "canaryWeight": 1_000_000_000, "iterations": -7}},
    "never-ends": {"spec": {"analysis": {"interval": "1s", "threshold": 1, "iterations": 2_000_000_000}}},
    "never-ends-unchecked": {
        "spec": {"skipAnalysis": True, "analysis": {"interval": "1s", "threshold": 1, "iterations": 2_000_000_000}}
    },
    "too-long": {"spec": {"analysis": {"interval": "99999999999999h", "threshold": 1, "stepWeight": 1}}},
    "half-a-template": {
        "spec": {
            "analysis": {
                "interval": "1s",
                "threshold": 1,
                "stepWeight": 1,
                "metrics": [{"name": "x", "query": "{{ if }} {{ nothing", "thresholdRange": {"max": 1}}],
            }
        }
    },
}
"""Canaries that make no sense, by name; each has a target of its own."""

GARBAGE_NAMED = {
    "never-ends": "spec.analysis.iterations: 2000000000",
    "too-long": "spec.analysis.interval: '99999999999999h'",
}
"""Those that can't be made sense of, and what is said of them."""


@pytest.mark.usefixtures("older_crd")
async def test_garbage_of_one_team_does_not_stop_the_others(rig: Rig) -> None:
    before = await passes(rig)
    for name, garbage in GARBAGE.items():
        await rig.apply(application(name, rig.namespace, "1.0.0", replicas=1))
        canary = canary_of(rig.namespace)
        canary["metadata"]["name"] = canary["spec"]["targetRef"]["name"] = name
        canary["spec"] |= garbage.get("spec", {})
        await rig.apply(canary)
        if "status" in garbage:
            status = {"status": garbage["status"]}
            await rig.client.merge_patch(CANARY, rig.namespace, name, status, subresource="status")
    async with Scenario.on(rig) as scenario:
        await scenario.initialise(canary_of(rig.namespace))
        assert await scenario.roll_out("1.0.1") == "Succeeded"
        assert scenario.weights == STEPS
    after = await passes(rig)
    assert after["bug"] == before["bug"]
    canaries = {each["metadata"]["name"]: each for each in (await rig.client.list(CANARY, rig.namespace))["items"]}
    for name, field in GARBAGE_NAMED.items():
        assert field in words_of(canaries[name]["status"])
    assert canaries["phase-unknown"]["status"]["phase"] == "Initialized", (
        "what nobody can read is as if it were not there"
    )


async def passes(rig: Rig) -> dict[str, float]:
    """How many passes over a Canary ended how, by the controller's own count."""
    url = f"http://{addresses.TOOLS}:{CONTROLLER_PORT}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    found = re.findall(r'canary_controller_reconcile_total\{outcome="(\w+)"\} (\S+)', text)
    return {kind: float(count) for kind, count in found}
