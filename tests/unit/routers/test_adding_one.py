"""A traffic provider is one module of less than a hundred lines, and the shell does the rest by what it says."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY, Split
from canary.controller.observe.needs import of_spec
from canary.controller.problems import of_spec as problems_of
from canary.kube.types import ObjectRef
from canary.rollout.simulation import Deploy, Reading, Scenario, Scheduled, Version
from canary.routers import registry
from tests.tools import routes
from tests.tools.routes import after, merged
from tests.unit.rollout.test_rollout_cells import Cell
from tests.unit.routers.made_up import MADE_UP, SHARE

BAD = Version(readings=(Reading(0.0, "request-success-rate"),))


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows in the registry and among the resources."""
    monkeypatch.setattr(registry, "ROUTERS", {**registry.ROUTERS, "made-up": MADE_UP})
    monkeypatch.setattr(routes, "_SERVED", {**routes._SERVED, (SHARE.api_version, SHARE.kind): SHARE})


def canary(**analysis: Any) -> Canary:
    spec = {
        "provider": "made-up",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
        "service": {"port": 80},
        "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 20, "maxWeight": 60, **analysis},
    }
    return parse_canary({"metadata": {"name": "app", "namespace": "prod", "uid": "0-1"}, "spec": spec})


def test_it_takes_less_than_a_hundred_lines() -> None:
    assert len(Path(__file__).with_name("made_up.py").read_text().splitlines()) < 100


@pytest.mark.parametrize(("new", "phase"), [(Version(), Phase.SUCCEEDED), (BAD, Phase.FAILED)])
def test_rollouts_go_by_it(new: Version, phase: Phase) -> None:
    made = canary(metrics=[{"name": "request-success-rate", "threshold": 99}])
    assert tuple(problems_of(made, "")) == ()
    later = Scheduled(timedelta(minutes=2), Deploy("v2"))
    world = Cell(Scenario(canary=made, versions={"v1": Version(), "v2": new}, changes=(later,)))
    assert world.run().status.phase is phase
    assert world.routed == ALL_PRIMARY


def test_what_it_makes_is_watched() -> None:
    assert SHARE in of_spec(canary(), "").kinds


def test_what_it_does_not_name_is_refused() -> None:
    (problem,) = MADE_UP.problems(canary(mirror=True))
    assert problem.field == "spec.analysis.mirror"


@given(st.integers(0, 100).map(Split))
def test_a_route_that_its_spec_names_no_more_leads_to_the_primary_alone(split: Split) -> None:
    (route,) = after(MADE_UP.plan(canary(), split, {}), {}).values()
    kind = MADE_UP.routes[SHARE]
    assert kind.share(route) == split.canary
    left = merged(route, kind.without_canary(route))
    assert MADE_UP.split(canary(), {ObjectRef(SHARE, "prod", "app"): left}) == ALL_PRIMARY
