"""Two Canaries that want one workload: one goes on, the other is told, and each is woken when that changes."""

from hypothesis import given
from hypothesis import strategies as st

from canary.controller.observe.index import Claim, Claims
from canary.controller.observe.rivals import problem
from canary.kube.store import Change, Key
from canary.kube.types import Json


def raw(name: str, target: str, *, kind: str = "Deployment", created: str = "2026-01-01T00:00:00Z") -> Json:
    version = "v1" if kind == "Service" else "apps/v1"
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {"targetRef": {"apiVersion": version, "kind": kind, "name": target}},
    }


def taken(*canaries: Json) -> Claims:
    claims = Claims()
    for each in canaries:
        take(claims, each)
    return claims


def take(claims: Claims, canary: Json) -> frozenset[str]:
    return claims.take(Change(Key("shop", canary["metadata"]["name"]), None, canary))


def refused(claims: Claims, *holders: str) -> dict[str, str]:
    """Which Canaries are told that another one has what they want, and what they are told."""
    found = {}
    for name in ("a", "b", "c"):
        claim = claims.of(f"shop/{name}")
        if claim is not None:
            told = problem(claim, claims.rivals(f"shop/{name}"), lambda each: each.canary in holders)
            if told is not None:
                found[name] = told.message
    return found


def test_the_later_of_two_with_one_target_is_told() -> None:
    claims = taken(raw("a", "web", created="2026-01-02T00:00:00Z"), raw("b", "web"))
    assert refused(claims) == {"a": "Deployment web is the target of Canary b already"}


def test_of_two_of_one_moment_the_name_decides() -> None:
    assert refused(taken(raw("b", "web"), raw("a", "web"))).keys() == {"b"}


def test_a_target_that_is_anothers_primary_is_told() -> None:
    claims = taken(raw("a", "web"), raw("b", "web-primary"))
    assert refused(claims) == {"b": "Deployment web-primary is the primary of Canary a already"}


def test_whoever_has_the_primary_goes_on_whatever_was_created_first() -> None:
    """A Canary that is older is edited to name a target that another one rolls out."""
    claims = taken(raw("a", "web"), raw("b", "web", created="2026-01-02T00:00:00Z"))
    assert refused(claims, "b").keys() == {"a"}


def test_different_workloads_concern_nobody() -> None:
    others = (raw("b", "api"), raw("c", "web", kind="DaemonSet"))
    assert refused(taken(raw("a", "web"), *others)) == {}
    in_place = taken(raw("a", "db", kind="StatefulSet"), raw("b", "db-primary", kind="StatefulSet"))
    assert refused(in_place) == {}, "a StatefulSet has no primary"


def test_a_knative_service_is_no_service() -> None:
    knative = raw("b", "web", kind="Service")
    knative["spec"]["targetRef"]["apiVersion"] = "serving.knative.dev/v1"
    assert refused(taken(raw("a", "web", kind="Service"), knative)) == {}


def test_the_one_that_was_told_is_woken_when_the_other_lets_go() -> None:
    claims = taken(raw("a", "web"), raw("b", "web"))
    assert take(claims, raw("a", "web")) == frozenset(), "nothing has changed"
    assert take(claims, raw("a", "api")) == {"shop/b"}
    assert take(claims, raw("a", "web")) == {"shop/b"}
    assert claims.take(Change(Key("shop", "a"), raw("a", "web"), None)) == {"shop/b"}
    assert refused(claims) == {}


def test_a_canary_that_can_not_be_read_wants_nothing_that_is_there() -> None:
    claims = taken({"metadata": {"name": "a", "namespace": "shop"}, "spec": "nonsense"}, raw("b", "web"))
    assert refused(claims) == {}


@given(
    targets=st.lists(st.sampled_from(["web", "web-primary", "api"]), min_size=3, max_size=3),
    times=st.lists(st.sampled_from(["1", "2"]), min_size=3, max_size=3),
    holders=st.sets(st.sampled_from(["a", "b", "c"])),
)
def test_never_do_two_go_on_with_one_target_and_never_none(
    targets: list[str], times: list[str], holders: set[str]
) -> None:
    canaries = [raw(name, target, created=time) for name, target, time in zip("abc", targets, times, strict=True)]
    told = refused(taken(*canaries), *holders)
    for target in targets:
        same = {each["metadata"]["name"] for each in canaries if each["spec"]["targetRef"]["name"] == target}
        assert len(same - told.keys()) <= 1
    assert told.keys() != {"a", "b", "c"}


def test_a_claim_names_what_it_is_about() -> None:
    claim = taken(raw("a", "web")).of("shop/a")
    assert isinstance(claim, Claim)
    assert [ref.name for ref in claim.workloads] == ["web", "web-primary"]
