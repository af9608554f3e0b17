"""Rollouts on provider nginx, by the annotations of ingress-nginx; it is Traefik 3.7 that reads them here."""

import pytest

from canary.kube.types import INGRESS
from canary.sandbox.gateway import Gateway
from canary.sandbox.harness import Rig
from canary.sandbox.scenario import DURATION, NAME, SUCCESS_RATE
from tests.tools.ingresses import behind, everything_is_given_back, nobody_is_chosen, one_is_good_and_one_is_bad
from tests.tools.played import the_chosen_meet_it_first


async def test_a_good_and_a_bad_version_behind_an_ingress(rig: Rig, nginx: Gateway) -> None:
    analysis = {"interval": "6s", "stepWeights": [10, 50], "metrics": [SUCCESS_RATE, DURATION]}
    async with behind(rig, nginx, "nginx", analysis) as scenario:
        before = await rig.client.get(INGRESS, rig.namespace, NAME)
        await one_is_good_and_one_is_bad(scenario)
        await everything_is_given_back(scenario, before)


@pytest.mark.long
async def test_the_chosen_meet_a_version_before_everybody_does(rig: Rig, nginx: Gateway) -> None:
    match = [{"headers": {"x-tester": {"exact": "yes"}}}, {"headers": {"cookie": {"exact": "beta"}}}]
    analysis = {"iterations": 3, "interval": "2s", "match": match, "metrics": [SUCCESS_RATE]}
    async with behind(rig, nginx, "nginx", analysis) as scenario:
        chosen = [scenario.traffic(20, headers=each) for each in ({"x-tester": "yes"}, {"cookie": "beta=always"})]
        await the_chosen_meet_it_first(scenario, chosen, [scenario.traffic(20, headers={"x-tester": "no"})])
        assert nobody_is_chosen(scenario)
        assert scenario.unserved == []
