"""The traffic of a Knative Service: what is written is read back, and what others say stays."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.knative import PRIMARY_REVISION
from canary.api.traffic import ALL_PRIMARY, Split
from canary.kube.types import KNATIVE_SERVICE, SERVICE, Json, ObjectRef
from canary.routers.base import Patch
from canary.routers.knative import KNATIVE
from tests.tools.knative import LATEST, defaulted, objections
from tests.tools.routes import after

FIRST, SECOND, THIRD = "web-00001", "web-00002", "web-00003"
REF = ObjectRef(KNATIVE_SERVICE, "shop", "web")
MARKED = {PRIMARY_REVISION: FIRST}


def canary(applied: str = SECOND, promoted: str = FIRST, **spec: Any) -> Canary:
    target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "web"}
    status = {"phase": "Progressing", "lastAppliedSpec": applied, "lastPromotedSpec": promoted}
    document = {"metadata": {"name": "web", "namespace": "shop"}, "status": status}
    return parse_canary({**document, "spec": {"targetRef": target, **spec}})


def service(*traffic: Json, annotations: Mapping[str, str] = MARKED, **status: Any) -> Json:
    found = {"latestCreatedRevisionName": SECOND, "latestReadyRevisionName": SECOND, **status}
    metadata = {"name": "web", "namespace": "shop", "annotations": dict(annotations), "generation": 3}
    return {"metadata": metadata, "spec": {"traffic": list(traffic)}, "status": found}


def pinned(name: str, percent: int, **more: str) -> Json:
    return {"revisionName": name, "latestRevision": False, "percent": percent, **more}


def divided(there: Json, split: Split, by: Canary | None = None) -> Json:
    """The Service after a division, which Knative's webhook has nothing against."""
    found = after(KNATIVE.plan(by or canary(), split, {REF: there}), {REF: there})[REF]
    assert objections(found["spec"]["traffic"]) == []
    return found


entries = st.lists(
    st.builds(
        lambda name, tag: {"revisionName": name, **({"tag": tag} if tag else {})} if name else {"tag": tag or "last"},
        st.sampled_from(["", FIRST, SECOND, THIRD]),
        st.sampled_from(["", "old", "new"]),
    ),
    max_size=4,
    unique_by=lambda entry: entry.get("tag") or entry["revisionName"],
)


@given(there=entries, canary_percent=st.integers(0, 100))
def test_any_split_is_read_back_and_written_once(there: list[Json], canary_percent: int) -> None:
    before = service(*({**entry, "percent": 100 if not index else 0} for index, entry in enumerate(there)))
    split = Split(canary_percent)
    found = divided(before, split)
    assert KNATIVE.split(canary(), {REF: found}) == split
    assert KNATIVE.plan(canary(), split, {REF: found}) == ()
    assert KNATIVE.plan(canary(), split, {REF: defaulted(found)}) == (), "what the webhook adds is no difference"
    pairs = [(entry.get("revisionName"), entry.get("tag")) for entry in found["spec"]["traffic"]]
    assert len(pairs) == len(set(pairs)), "Knative never calls a division ready that lists a Revision twice"


@given(there=entries)
def test_tags_of_others_stay_where_they_lead(there: list[Json]) -> None:
    tags = {entry["tag"]: entry.get("revisionName") for entry in there if entry.get("tag")}
    shared = [{**entry, "percent": 100 if not index else 0} for index, entry in enumerate(there)]
    for found in (
        divided(service(*shared), Split(40)),
        after(KNATIVE.hand_back(canary(), {REF: service(*shared)}), {REF: service(*shared)})[REF],
    ):
        kept = [entry for entry in found["spec"]["traffic"] if entry.get("tag")]
        assert {entry["tag"]: entry.get("revisionName") for entry in kept} == tags
        assert all(entry["percent"] == 0 for entry in kept)


def test_only_revisions_with_requests_are_listed() -> None:
    """One that is not ready, with no share at all, would keep Knative from taking the division."""
    assert divided(service(), ALL_PRIMARY)["spec"]["traffic"] == [pinned(FIRST, 100)]
    assert divided(service(), Split(100))["spec"]["traffic"] == [pinned(SECOND, 100)]


def test_once_promoted_both_versions_are_one_revision() -> None:
    there = service(pinned(FIRST, 50), pinned(SECOND, 50), annotations={PRIMARY_REVISION: SECOND})
    assert KNATIVE.split(canary(), {REF: there}) == Split(50)
    assert divided(there, ALL_PRIMARY)["spec"]["traffic"] == [pinned(SECOND, 100)]
    assert divided(there, Split(50))["spec"]["traffic"] == [pinned(SECOND, 100)]


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        ([{**LATEST, "percent": 30}, {"revisionName": FIRST, "percent": 70}], 30),
        ([LATEST], 100),
        ([], 100),
        ([pinned(FIRST, 100)], 0),
        ([pinned(FIRST, 40, tag="a"), pinned(FIRST, 20), pinned(THIRD, 40)], 40),
    ],
)
def test_what_is_not_the_promoted_revisions_is_the_canarys(traffic: list[Json], expected: int) -> None:
    """Whoever wrote it: Flagger divides between the latest Revision and the promoted one."""
    assert KNATIVE.split(canary(), {REF: service(*traffic)}) == Split(expected)


def test_a_mark_that_was_taken_off_comes_back() -> None:
    """A tool that replaces the whole Service takes it off, and the division with it."""
    there = service(annotations={})
    assert KNATIVE.split(canary(), {REF: there}) == Split(100)
    found = divided(there, ALL_PRIMARY)
    assert (found["metadata"]["annotations"], found["spec"]["traffic"]) == (MARKED, [pinned(FIRST, 100)])


def test_before_anything_was_promoted_the_primary_is_what_most_requests_go_to() -> None:
    new = canary(applied="", promoted="")
    mine = service(pinned(FIRST, 80), pinned(THIRD, 20), annotations={})
    assert divided(mine, ALL_PRIMARY, new)["spec"]["traffic"] == [pinned(FIRST, 100)]
    fresh = service(LATEST, annotations={}, latestReadyRevisionName=FIRST)
    assert divided(fresh, ALL_PRIMARY, new)["spec"]["traffic"] == [pinned(FIRST, 100)]
    hashed = canary(applied="6cd5b8f7", promoted="6cd5b8f7")
    assert divided(fresh, ALL_PRIMARY, hashed)["spec"]["traffic"] == [pinned(FIRST, 100)], "a hash is no Revision"


def test_where_nothing_serves_nothing_is_written() -> None:
    there = service(annotations={}, latestReadyRevisionName="")
    new = canary(applied="", promoted="")
    assert KNATIVE.plan(new, ALL_PRIMARY, {REF: there}) == ()
    assert KNATIVE.plan(new, ALL_PRIMARY, {}) == ()
    assert KNATIVE.split(new, {REF: there}) is None
    assert KNATIVE.split(new, {}) is None


def test_handed_back_all_requests_go_to_whatever_is_deployed_last() -> None:
    (write,) = KNATIVE.hand_back(canary(), {REF: service(pinned(FIRST, 70), pinned(SECOND, 30))})
    assert write == Patch(REF, {"metadata": {"annotations": {PRIMARY_REVISION: None}}, "spec": {"traffic": [LATEST]}})
    assert KNATIVE.hand_back(canary(), {REF: service(LATEST, annotations={})}) == ()


def test_a_division_that_was_never_taken_over_is_not_handed_back() -> None:
    there = service(pinned(FIRST, 70), pinned(SECOND, 30), annotations={})
    assert KNATIVE.hand_back(canary(applied="", promoted=""), {REF: there}) == ()


@pytest.mark.parametrize("split", [Split(0, mirror=10), Split(50, matched=True)])
def test_what_it_cant_do_is_never_written(split: Split) -> None:
    with pytest.raises(ValueError, match="neither mirror nor match"):
        KNATIVE.plan(canary(), split, {REF: service()})


def routes_ready(status: str, message: str = "", generation: int = 3) -> Json:
    conditions = [{"type": "RoutesReady", "status": status, "message": message}]
    return service(pinned(FIRST, 100), conditions=conditions, observedGeneration=generation)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (routes_ready("True"), ""),
        (routes_ready("True", generation=2), "yet to see"),
        (routes_ready("False", "Revision 'web-00002' failed to become ready."), "failed to become ready"),
        (routes_ready("Unknown"), "does not say why"),
    ],
)
def test_it_is_taken_once_knative_says_so_of_this_very_generation(there: Json, said: str) -> None:
    found = KNATIVE.unsettled(canary(), {REF: there})
    assert said in found
    assert bool(found) is bool(said)


def test_a_service_that_gets_no_revision_is_told_of_in_knatives_words() -> None:
    failed = [{"type": "Ready", "status": "False", "message": "admission webhook denied the request"}]
    never = service(latestCreatedRevisionName="", conditions=failed)
    (problem,) = KNATIVE.unfit(canary(), {REF: never})
    assert "admission webhook denied the request" in problem.message
    assert KNATIVE.unfit(canary(), {REF: service(latestCreatedRevisionName="")}) == (), "it may be about to"
    assert KNATIVE.unfit(canary(), {REF: service(conditions=failed)}) == ()


def test_a_service_of_kubernetes_is_none_of_knatives() -> None:
    plain = canary(targetRef={"apiVersion": "v1", "kind": "Service", "name": "web"})
    assert KNATIVE.refs(plain) == ()
    assert KNATIVE.refs(canary()) == (REF,)
    assert ObjectRef(SERVICE, "shop", "web") != REF
    assert KNATIVE.plan(plain, Split(10), {REF: service()}) == ()


def test_what_others_honour_and_it_cant_is_refused_by_name() -> None:
    analysis = {"stepWeight": 10, "mirror": True, "sessionAffinity": {"cookieName": "x"}, "stepWeightPromotion": 5}
    found = {problem.field for problem in KNATIVE.problems(canary(analysis=analysis, ingressRef={"name": "x"}))}
    assert found == {
        "spec.analysis.mirror",
        "spec.analysis.sessionAffinity",
        "spec.analysis.stepWeightPromotion",
        "spec.ingressRef",
    }
