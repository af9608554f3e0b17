from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import Json, ObjectRef
from canary.routers.base import Granularity
from canary.routers.kubernetes import KUBERNETES as ROUTER
from tests.tools.routes import by_ref


def services(apex: str) -> dict[ObjectRef, Json]:
    selected = {"my-app": apex, "my-app-primary": "my-app-primary", "my-app-canary": "my-app"}
    return by_ref(
        {"kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": value}}}
        for name, value in selected.items()
    )


def test_the_split_is_what_the_users_service_selects(make_canary: Callable[..., Canary]) -> None:
    canary = make_canary()
    assert ROUTER.split(canary, services("my-app-primary")) == ALL_PRIMARY
    assert ROUTER.split(canary, services("my-app")) == Split(100)


def test_the_split_is_unknown_where_the_services_say_nothing(make_canary: Callable[..., Canary]) -> None:
    canary = make_canary()
    assert ROUTER.split(canary, {}) is None
    assert ROUTER.split(canary, services("other")) is None
    alone = by_ref([{"kind": "Service", "metadata": {"name": "my-app"}, "spec": {"selector": {"app": "my-app"}}}])
    assert ROUTER.split(canary, alone) is None


def test_all_requests_go_to_the_primary_and_no_other_split_is_taken(make_canary: Callable[..., Canary]) -> None:
    assert ROUTER.plan(make_canary(), ALL_PRIMARY, {}) == ()
    for split in (Split(10), Split(0, mirror=100), Split(100, matched=True)):
        with pytest.raises(ValueError, match="all requests go to the primary"):
            ROUTER.plan(make_canary(), split, {})
    assert ROUTER.weights is Granularity.NONE


def test_weights_are_refused_with_the_way_out(make_canary: Callable[..., Canary]) -> None:
    (problem,) = ROUTER.problems(make_canary(analysis={"stepWeight": 10, "maxWeight": 50}))
    assert problem.field == "spec.analysis.stepWeight"
    assert problem.remedy.startswith("set iterations (such as 10) for blue/green, or replicaRatio: true")
    assert ROUTER.problems(make_canary(analysis={"iterations": 10})) == ()
