import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import TRAFFIC_SPLITS, Json, ObjectRef
from canary.routers.base import Provider
from canary.routers.registry import ROUTERS
from tests.tools.routes import by_ref, made

PROVIDERS = {"linkerd": "v1alpha1", "smi:v1alpha1": "v1alpha1", "smi:v1alpha2": "v1alpha2", "smi:v1alpha3": "v1alpha3"}


def canary(hosts: tuple[str, ...] = (), **analysis: object) -> Canary:
    spec = {"targetRef": {"name": "app"}, "service": {"port": 80, "hosts": hosts}, "analysis": analysis}
    return parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "uid-1"}, "spec": spec})


@pytest.mark.parametrize("name", PROVIDERS)
@given(split=st.integers(0, 100).map(Split))
def test_every_split_can_be_read_back(name: str, split: Split) -> None:
    routes = made(ROUTERS[name], canary(), split)
    assert ROUTERS[name].split(canary(), by_ref(routes)) == split


@pytest.mark.parametrize(("name", "version"), PROVIDERS.items())
def test_the_version_follows_from_the_providers_name(name: str, version: str) -> None:
    """And objects of the others are no objects of its own, though the API server keeps them as the same."""
    router = ROUTERS[name]
    (route,) = made(router, canary(), Split(20))
    assert route["apiVersion"] == f"split.smi-spec.io/{version}"
    (ref,) = router.makes(canary())
    assert ref == ObjectRef(TRAFFIC_SPLITS[version], "shop", "app")
    others = {ObjectRef(each, "shop", "app"): route for each in TRAFFIC_SPLITS.values() if each.version != version}
    assert router.split(canary(), others) is None


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(100, matched=True)])
def test_it_neither_mirrors_nor_matches(split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror nor match"):
        made(ROUTERS["smi:v1alpha1"], canary(), split)


class TestObservedSplit:
    def read(self, primary: object, follower: object, router: Provider = ROUTERS["smi:v1alpha1"]) -> Split | None:
        backends = [{"service": "app-primary", "weight": primary}, {"service": "app-canary", "weight": follower}]
        return router.split(canary(), {ObjectRef(TRAFFIC_SPLITS["v1alpha1"], "shop", "app"): of(*backends)})

    @pytest.mark.parametrize(
        ("primary", "follower", "percent"),
        [("90", "10", 10), ("900m", "100m", 10), ("1", "1m", 1), ("1", "500m", 34), ("1k", "1k", 50), (1.5, 0.5, 25)],
    )
    def test_weights_are_quantities(self, primary: object, follower: object, percent: int) -> None:
        """A trace of traffic is not nothing."""
        assert self.read(primary, follower) == Split(percent)

    def test_is_unknown_where_nothing_is_a_weight(self) -> None:
        assert self.read("much", None) is None

    def test_reads_a_weight_that_is_none_as_nothing(self) -> None:
        assert self.read(100, "-1") == ALL_PRIMARY

    def test_is_unknown_where_it_leads_elsewhere(self) -> None:
        place = ObjectRef(TRAFFIC_SPLITS["v1alpha1"], "shop", "app")
        assert ROUTERS["linkerd"].split(canary(), {place: of({"service": "other", "weight": 1})}) is None
        assert ROUTERS["linkerd"].split(canary(), {}) is None


def of(*backends: Json) -> Json:
    return {"spec": {"service": "app", "backends": list(backends)}}


def test_a_split_is_of_one_service() -> None:
    assert ROUTERS["linkerd"].problems(canary(("a.example.com",))) == ()
    (problem,) = ROUTERS["linkerd"].problems(canary(("a.example.com", "b.example.com")))
    assert problem.field == "spec.service.hosts"
