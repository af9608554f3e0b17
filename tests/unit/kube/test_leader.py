"""Leader election: two electors against one Lease, in virtual time."""

import asyncio
from typing import Any

import pytest

from canary.kube.leader import (
    LeaderElector,
    StuckLeaderError,
)
from tests.unit.kube.electors import Actor, LeaseClient, LeaseServer, stop


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


@pytest.mark.looptime
@pytest.mark.parametrize(("may_watch", "limit"), [(True, 0.2), (False, 2 * 2.2)])
async def test_one_of_two_leads_and_the_other_takes_over_at_once_after_a_clean_end(
    server: LeaseServer, looptime: Any, may_watch: bool, limit: float
) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    second.client.may_watch = may_watch
    task = first.start()
    await asyncio.sleep(1)
    other = second.start()
    await asyncio.sleep(60)
    assert acting == {"first"}

    await stop(task)
    assert server.holder == ""
    before = looptime + 0.0
    while acting != {"second"}:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(0.1)

    assert looptime - before < limit
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1
    await stop(other)


@pytest.mark.looptime
@pytest.mark.parametrize("age", [0.0, 0.7, 1.3])
async def test_a_leader_that_dies_is_followed_within_the_duration_of_its_lease(
    server: LeaseServer, looptime: Any, age: float
) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    task = first.start()
    await asyncio.sleep(1)
    other = second.start()
    await asyncio.sleep(30 + age)
    assert "WATCH" in server.requests
    died = looptime + 0.0
    first.client.cut_off = True
    await stop(task)
    await asyncio.sleep(12 - (looptime - died))
    assert acting == set()
    while acting != {"second"}:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(0.1)

    assert looptime - died <= 15
    await stop(other)


@pytest.mark.looptime
async def test_a_follower_asks_nothing_while_the_leader_renews(server: LeaseServer, looptime: Any) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting), Actor("second", server, acting)
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(100)

    assert server.requests.count("GET") == 2
    assert server.requests.count("WATCH") == 1
    await stop(*tasks)


@pytest.mark.looptime
async def test_a_leader_that_is_cut_off_stops_before_another_begins(server: LeaseServer, looptime: Any) -> None:
    acting: set[str] = set()
    first, second = Actor("first", server, acting, lingers=4.5), Actor("second", server, acting)
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(9)
    first.client.cut_off = True
    cut = looptime + 0.0
    await asyncio.sleep(30)

    assert acting == {"second"}
    assert first.times[0][1] - cut <= 10 + 4.5
    assert not first.elector.is_leader
    await stop(*tasks)


@pytest.mark.looptime
async def test_an_outage_of_twenty_seconds_is_survived(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True
    await asyncio.sleep(20)
    assert actor.acting == set()
    server.down = False
    await asyncio.sleep(5)

    assert actor.acting == {"first"}
    assert server.holder == "first"
    assert len(actor.times) == 1
    await stop(task)


@pytest.mark.looptime
async def test_a_short_outage_costs_no_leadership(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True
    await asyncio.sleep(7)
    server.down = False
    await asyncio.sleep(60)

    assert actor.times == []
    await stop(task)


@pytest.mark.looptime
async def test_a_lease_taken_by_force_ends_the_leadership_at_the_next_renewal(
    server: LeaseServer, looptime: Any
) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    assert server.lease is not None
    server.lease["metadata"]["resourceVersion"] = "77"
    server.lease["spec"]["holderIdentity"] = "usurper"
    await asyncio.sleep(2.1)

    assert actor.acting == set()
    assert server.holder == "usurper"
    await stop(task)


@pytest.mark.looptime
async def test_a_lease_that_somebody_labelled_is_renewed_all_the_same(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    assert server.lease is not None
    server.lease["metadata"] |= {"resourceVersion": "77", "labels": {"a": "b"}}
    await asyncio.sleep(20)

    assert actor.times == []
    assert server.lease["metadata"]["labels"] == {"a": "b"}
    await stop(task)


@pytest.mark.looptime
async def test_a_deleted_lease_is_created_anew(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    server.lease = None
    await asyncio.sleep(3)

    assert actor.times == []
    assert server.holder == "first"
    await stop(task)


@pytest.mark.looptime
@pytest.mark.parametrize("after", [2.5, 3.0, 3.9])
async def test_two_never_act_at_once_where_the_lease_is_deleted(
    server: LeaseServer, looptime: Any, after: float
) -> None:
    """The leader can't be reached, and learns of it last: the other one waits for as long as it may act."""
    acting: set[str] = set()
    first, second = (Actor(name, server, acting) for name in ("first", "second"))
    tasks = [first.start()]
    await asyncio.sleep(1)
    tasks.append(second.start())
    await asyncio.sleep(10 + after)
    first.client.cut_off = True
    server.delete()
    await asyncio.sleep(30)

    assert server.holder == "second"
    assert acting == {"second"}
    for task in tasks:
        await stop(task)


@pytest.mark.looptime
async def test_nothing_that_a_server_answers_ends_an_election(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(10)
    answers: list[dict[str, Any]] = [
        {"metadata": 5, "spec": 7},
        {"metadata": {}, "spec": None},
        {"metadata": {"resourceVersion": []}},
    ]
    for nonsense in answers:
        server.lease = nonsense
        await asyncio.sleep(20)
        assert not task.done()
    server.lease = None
    await asyncio.sleep(30)

    assert server.holder == "first"
    await stop(task)


@pytest.mark.looptime
async def test_renewing_costs_one_request_each_two_seconds(server: LeaseServer, looptime: Any) -> None:
    task = Actor("first", server, set()).start()
    await asyncio.sleep(5)
    server.requests.clear()
    await asyncio.sleep(20)

    assert set(server.requests) == {"PUT"}
    assert len(server.requests) <= 10
    await stop(task)


@pytest.mark.looptime
async def test_work_that_does_not_stop_ends_the_process(server: LeaseServer, looptime: Any) -> None:
    actor = Actor("first", server, set(), lingers=60)
    task = actor.start()
    await asyncio.sleep(10)
    server.down = True

    with pytest.raises(StuckLeaderError, match="within 5 s"):
        await task
    assert looptime <= 10 + 10 + 5.1


@pytest.mark.looptime
async def test_work_that_ends_by_itself_gives_the_lease_back(server: LeaseServer, looptime: Any) -> None:
    async def brief() -> None:
        await asyncio.sleep(1)

    await LeaderElector(LeaseClient(server), "test", "lease", "me").run(brief)

    assert server.holder == ""


@pytest.mark.looptime
async def test_work_that_fails_gives_the_lease_back_and_tells(server: LeaseServer, looptime: Any) -> None:
    async def failing() -> None:
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        await LeaderElector(LeaseClient(server), "test", "lease", "me").run(failing)
    assert server.holder == ""


@pytest.mark.looptime
async def test_a_lease_is_given_back_though_its_last_renewal_was_never_answered(
    server: LeaseServer, looptime: Any
) -> None:
    """It was written, and its answer is still on its way when the work is to end."""
    task = Actor("first", server, set()).start()
    await asyncio.sleep(1)
    server.distance = 1.0
    version = server.version
    while server.version == version:  # noqa: ASYNC110 - in virtual time
        await asyncio.sleep(0.1)

    await stop(task)

    assert server.holder == ""


@pytest.mark.looptime
async def test_a_lease_that_another_took_meanwhile_is_not_given_back(server: LeaseServer, looptime: Any) -> None:
    task = Actor("first", server, set()).start()
    await asyncio.sleep(1)
    assert server.lease is not None
    server.lease["metadata"]["resourceVersion"] = "7"
    server.lease["spec"]["holderIdentity"] = "another"

    await stop(task)

    assert server.holder == "another"


@pytest.mark.looptime
async def test_the_right_to_act_runs_out_by_itself(server: LeaseServer, looptime: Any) -> None:
    """Even where nothing runs any more: it is a time, not a flag."""
    actor = Actor("first", server, set())
    task = actor.start()
    await asyncio.sleep(1)
    assert 8 < actor.elector.remaining() <= 10
    actor.client.cut_off = True
    await asyncio.sleep(10)

    assert actor.elector.remaining() == 0
    await stop(task)


@pytest.mark.looptime
@pytest.mark.parametrize("prepared", [0.0, 40.0])
async def test_who_read_the_lease_ahead_leads_with_one_request_less_and_never_beside_another(
    server: LeaseServer, looptime: Any, prepared: float
) -> None:
    acting: set[str] = set()
    early, late, last = (Actor(name, server, acting) for name in ("early", "late", "last"))
    task = early.start()
    await asyncio.sleep(1)
    await stop(task)
    await asyncio.gather(late.elector.read_ahead(), last.elector.read_ahead())
    asked = len(server.requests)
    leading = late.start()
    await asyncio.sleep(prepared)
    waiting = last.start()
    await asyncio.sleep(1)
    assert acting == {"late"}
    assert server.requests[asked] == "PUT"
    await stop(leading, waiting)
