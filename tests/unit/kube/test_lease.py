"""Leader election: what a Lease says, as a pure decision."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.leader import (
    Create,
    LeaseTerms,
    Renew,
    Take,
    Wait,
    decide_lease,
    lease_spec,
    micro_time,
)

Json = dict[str, Any]


def a_lease(holder: str = "other", duration: int = 15, **spec: Any) -> Json:
    return {"spec": {"holderIdentity": holder, "leaseDurationSeconds": duration, **spec}}


def test_no_lease_is_created() -> None:
    assert decide_lease(None, "me", 0.0, 0.0) == Create()


def test_an_own_lease_is_renewed_however_old() -> None:
    assert decide_lease(a_lease("me"), "me", 0.0, 1000.0) == Renew()


@pytest.mark.parametrize("spec", [{"holderIdentity": ""}, {}, None])
def test_a_lease_without_a_holder_is_taken_at_once(spec: Json | None) -> None:
    assert decide_lease({"spec": spec}, "me", 10.0, 10.0) == Take()


@pytest.mark.parametrize(("now", "expected"), [(10.0, Wait("other", 15.0)), (24.5, Wait("other", 0.5)), (25.0, Take())])
def test_anothers_lease_is_taken_when_it_has_not_changed_for_its_duration(now: float, expected: Any) -> None:
    assert decide_lease(a_lease(), "me", 10.0, now) == expected


@given(st.datetimes(), st.floats(0, 14.9))
def test_the_timestamps_in_a_lease_do_not_matter(renewed: datetime, age: float) -> None:
    lease = a_lease(renewTime=micro_time(renewed.replace(tzinfo=UTC)))

    assert isinstance(decide_lease(lease, "me", 0.0, age), Wait)


def test_taking_counts_a_transition_and_renewing_keeps_the_beginning() -> None:
    before = a_lease(acquireTime="t0", leaseTransitions=4)

    taken = lease_spec(Take(), before, "me", LeaseTerms(), "t1")
    renewed = lease_spec(Renew(), {"spec": taken}, "me", LeaseTerms(), "t2")

    assert taken == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "t1",
        "renewTime": "t1",
        "leaseTransitions": 5,
    }
    assert renewed == {**taken, "renewTime": "t2"}


@pytest.mark.parametrize("terms", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_terms_without_room_are_refused(terms: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must hold"):
        LeaseTerms(*terms)


def test_times_are_written_with_microseconds() -> None:
    assert micro_time(datetime(2026, 1, 2, 3, 4, 5, 60, UTC)) == "2026-01-02T03:04:05.000060Z"


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        (a_lease(), 12.0, Wait("other", 13.0)),
        (a_lease(), 25.0, Create()),
        (a_lease("me"), 12.0, Create()),
        (a_lease(""), 12.0, Create()),
        ({"spec": {"holderIdentity": "other", "leaseDurationSeconds": "soon"}}, 12.0, Wait("other", 13.0)),
    ],
)
def test_a_lease_that_is_gone_is_waited_out_as_it_was_last(last: Json, now: float, expected: Any) -> None:
    """Whoever held it may not know yet that somebody has deleted it."""
    assert decide_lease(None, "me", 10.0, now, last=last) == expected
