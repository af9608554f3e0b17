from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import Split
from canary.kube.types import MESH_HTTP_ROUTE, Json, ObjectRef
from canary.routers.kuma import KUMA as ROUTER
from tests.tools.routes import made

CANARY = parse_canary(
    {
        "metadata": {"name": "my-app", "namespace": "shop", "uid": "uid-1"},
        "spec": {
            "targetRef": {"name": "my-app"},
            "service": {"port": 80},
            "analysis": {"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "1"}}}]},
        },
    }
)
ROUTE = ObjectRef(MESH_HTTP_ROUTE, "shop", "my-app")


@given(st.builds(Split, canary=st.integers(0, 100), mirror=st.integers(0, 100), matched=st.booleans()))
def test_every_split_can_be_read_back(split: Split) -> None:
    (route,) = made(ROUTER, CANARY, split, {})
    assert ROUTER.split(CANARY, {ROUTE: route}) == split


def test_without_conditions_requests_cannot_be_matched(make_canary: Callable[..., Canary]) -> None:
    with pytest.raises(ValueError, match="no analysis\\.match"):
        made(ROUTER, make_canary(), Split(100, matched=True), {})


def test_its_route_is_for_callers_of_every_namespace(make_canary: Callable[..., Canary]) -> None:
    """Kuma takes a route in a Service's namespace for one of whoever offers it only by these two labels and no more."""
    (route,) = made(ROUTER, make_canary(), Split(10), {})
    (to,) = route["spec"]["to"]
    assert route["spec"]["targetRef"] == {"kind": "Mesh"}
    assert to["targetRef"]["labels"] == {"kuma.io/display-name": "my-app", "k8s.kuma.io/namespace": "shop"}
    assert route["metadata"]["namespace"] == "shop"


class TestObservedSplit:
    def read(self, *rules: Json) -> Split | None:
        return ROUTER.split(CANARY, {ROUTE: {"spec": {"to": [{"rules": list(rules)}]}}})

    def rule(self, weights: dict[str, int | None], *filters: Json) -> Json:
        backends = [
            {
                "kind": "MeshService",
                "labels": {"kuma.io/display-name": name},
                **({"weight": w} if w is not None else {}),
            }
            for name, w in weights.items()
        ]
        return {"default": {"backendRefs": backends, "filters": list(filters)}}

    def test_is_unknown_where_the_route_is_not_of_our_making(self) -> None:
        assert ROUTER.split(CANARY, {}) is None
        assert self.read() is None
        assert self.read({"default": {}}) is None
        assert self.read(self.rule({"my-app": 1})) is None
        assert self.read(self.rule({"my-app-primary": 0})) is None
        assert self.read(*(self.rule({each: 1}) for each in ("my-app-primary", "my-app-canary"))) is None

    def test_counts_a_missing_weight_as_one(self) -> None:
        assert self.read(self.rule({"my-app-primary": None, "my-app-canary": None})) == Split(50)

    @pytest.mark.parametrize(
        ("percentage", "percent"), [(None, 100), (20, 20), ("0.5", 1), ("12.5", 13), ("some", 100), ("inf", 100)]
    )
    def test_reads_copies(self, percentage: object, percent: int) -> None:
        mirror: Json = {"backendRef": {"kind": "MeshService", "labels": {"kuma.io/display-name": "my-app-canary"}}}
        if percentage is not None:
            mirror["percentage"] = percentage
        rule = self.rule({"my-app-primary": 1}, {"type": "RequestMirror", "requestMirror": mirror})
        assert self.read(rule) == Split(0, mirror=percent)


@pytest.mark.parametrize(
    ("given", "field", "remedy"),
    [
        ({"timeout": "5s"}, "spec.service.timeout", "MeshTimeout"),
        ({"retries": {"attempts": 3}}, "spec.service.retries", "MeshRetry"),
        ({"hosts": ["a.example.com"]}, "spec.service.hosts", "take it out"),
        ({"meshName": "m"}, "spec.service.meshName", "kuma.io/mesh"),
        ({"match": [{"authority": {"exact": "a"}}]}, "spec.service.match[0].authority", "take it out"),
        ({"match": [{"headers": {"a": {"suffix": "b"}}}]}, "spec.service.match[0].headers.a", "exact or regex"),
        ({"rewrite": {"uri": "/", "type": "ReplacePrefixMatch"}}, "", ""),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(
    make_canary: Callable[..., Canary], given: Json, field: str, remedy: str
) -> None:
    problems = ROUTER.problems(make_canary(given))
    assert [each.field for each in problems] == ([field] if field else [])
    assert all(remedy in each.remedy for each in problems)
    assert not any("Gateway API" in each.message for each in problems)
