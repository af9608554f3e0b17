"""Events: repeats counted, floods cut, and nobody kept waiting."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.kube.backoff import Backoff
from canary.kube.client import KubeClient
from canary.kube.errors import AlreadyExists, Forbidden, KubeError, NotFound, Unreachable
from canary.kube.event_correlator import Correlator, Happening, Regarding
from canary.kube.events import EventRecorder
from canary.kube.transport import Request

Json = dict[str, Any]


def a_canary(name: str = "podinfo") -> Json:
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"namespace": "test", "name": name, "uid": "u1"},
    }


def happening(message: str = "hi", name: str = "podinfo") -> Happening:
    return Happening(Regarding.of(a_canary(name)), "Normal", "Synced", message)


def test_the_same_again_is_counted_up() -> None:
    correlator = Correlator()
    first = correlator.admit(happening(), 0.0, 1000.0)
    again = correlator.admit(happening(), 60.0, 1060.0)

    assert first is not None
    assert again is not None
    assert (again.name, again.count, again.first, again.last) == (first.name, 2, 1000.0, 1060.0)


def test_the_same_after_ten_minutes_is_new() -> None:
    correlator = Correlator()
    first = correlator.admit(happening(), 0.0, 1000.0)
    later = correlator.admit(happening(), 601.0, 1601.0)

    assert first is not None
    assert later is not None
    assert later.count == 1
    assert later.name != first.name


def test_other_words_are_another_event() -> None:
    correlator = Correlator()
    posts = [correlator.admit(happening(text), at, at) for at, text in enumerate(["a", "b"])]

    assert [post.count for post in posts if post] == [1, 1]


def test_an_object_may_repeat_itself_25_times_at_once_and_once_more_each_5_minutes() -> None:
    correlator = Correlator()
    admitted = [correlator.admit(happening(), 0.0, float(n)) for n in range(31)]

    assert [post is not None for post in admitted] == [True] * 26 + [False] * 5
    assert correlator.admit(happening(), 299.0, 1.0) is None
    assert correlator.admit(happening(), 300.0, 2.0) is not None
    assert correlator.admit(happening("hi", "other"), 300.0, 2.0) is not None


def test_something_new_is_told_however_often_something_else_was_repeated() -> None:
    correlator = Correlator()
    for n in range(50):
        correlator.admit(happening("Halt advancement"), 0.0, float(n))

    assert correlator.admit(happening("Rolling back"), 0.0, 51.0) is not None


def test_a_rollout_of_a_hundred_steps_is_told_whole() -> None:
    correlator = Correlator()

    assert all(correlator.admit(happening(f"Advance weight {n}"), 0.0, float(n)) for n in range(100))


def test_an_object_may_tell_100_new_things_at_once_and_one_more_each_10_seconds() -> None:
    correlator = Correlator()
    admitted = [correlator.admit(happening(f"{n}"), 0.0, float(n)) for n in range(105)]

    assert [post is not None for post in admitted] == [True] * 100 + [False] * 5
    assert correlator.admit(happening("x"), 9.0, 1.0) is None
    assert correlator.admit(happening("x"), 10.0, 2.0) is not None


def test_what_was_not_told_for_the_flood_is_new_the_next_time() -> None:
    correlator = Correlator()
    for n in range(101):
        correlator.admit(happening(f"{n}"), 0.0, float(n))
    post = correlator.admit(happening("100"), 10.0, 200.0)

    assert post is not None
    assert post.count == 1


@given(st.lists(st.tuples(st.floats(0, 1000), st.sampled_from("abc")), max_size=60))
def test_no_more_is_written_than_the_buckets_allow(gaps: list[tuple[float, str]]) -> None:
    correlator, now, written = Correlator(), 0.0, 0
    for gap, message in gaps:
        now += gap
        written += correlator.admit(happening(message), now, now) is not None

    assert written <= 25 + now / 300 + 100 + now / 10


class EventServer(KubeClient):
    """Keeps what is written; answers as it is told to first."""

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.failures: list[KubeError] = []
        self.slow = 0.0

    async def _send(self, request: Request) -> Json:
        await asyncio.sleep(self.slow)
        if self.failures:
            raise self.failures.pop(0)
        body = request.body
        assert body is not None
        name = request.path.rpartition("/")[2]
        if request.method == "PATCH":
            if name not in self.events:
                raise NotFound(request.method, request.path, "not found")
            self.events[name] |= body
            return self.events[name]
        if body["metadata"]["name"] in self.events:
            raise AlreadyExists(request.method, request.path, "exists")
        self.events[body["metadata"]["name"]] = dict(body)
        return body


@pytest.fixture
def server() -> EventServer:
    return EventServer()


@pytest.fixture
def recorder(server: EventServer) -> EventRecorder:
    return EventRecorder(server, "flagger", instance="pod-1", backoff=Backoff(1.0, 10.0, jitter=0.0))


async def flush(recorder: EventRecorder, seconds: float = 1.0) -> None:
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.looptime
async def test_an_event_is_written_as_the_api_has_it(server: EventServer, recorder: EventRecorder) -> None:
    recorder.record(a_canary(), "Normal", "Synced", "New revision detected! Scaling up podinfo.test")
    await flush(recorder)

    (event,) = server.events.values()
    assert event["metadata"]["namespace"] == "test"
    assert event["metadata"]["name"].startswith("podinfo.")
    assert event["involvedObject"] == {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "namespace": "test",
        "name": "podinfo",
        "uid": "u1",
    }
    assert (event["type"], event["reason"], event["count"]) == ("Normal", "Synced", 1)
    assert event["source"] == {"component": "flagger"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("flagger", "pod-1")
    assert event["firstTimestamp"] == event["lastTimestamp"]


@pytest.mark.looptime
async def test_a_repeat_patches_the_event_that_is_there(server: EventServer, recorder: EventRecorder) -> None:
    for _ in range(3):
        recorder.record(a_canary(), "Warning", "Synced", "Halt advancement")
    await flush(recorder)

    (event,) = server.events.values()
    assert event["count"] == 3
    assert event["message"] == "Halt advancement"


@pytest.mark.looptime
async def test_a_repeat_of_an_event_that_ran_out_is_written_whole(server: EventServer, recorder: EventRecorder) -> None:
    recorder.record(a_canary(), "Normal", "Synced", "hi")
    await flush(recorder)
    server.events.clear()
    recorder.record(a_canary(), "Normal", "Synced", "hi")
    await flush(recorder)

    (event,) = server.events.values()
    assert (event["count"], event["message"]) == (2, "hi")


@pytest.mark.looptime
async def test_an_outage_is_retried_and_then_dropped_with_a_count(
    server: EventServer, recorder: EventRecorder, looptime: Any
) -> None:
    server.failures = [Unreachable("POST", "/", "refused")] * 5
    recorder.record(a_canary(), "Normal", "Synced", "survives")
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(26)
    server.failures = [Unreachable("POST", "/", "refused")] * 6
    recorder.record(a_canary(), "Normal", "Synced", "dropped")
    await asyncio.sleep(26)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [event["message"] for event in server.events.values()] == ["survives"]
    assert (recorder.written, recorder.dropped) == (1, 1)


@pytest.mark.looptime
async def test_a_refusal_is_dropped_at_once(server: EventServer, recorder: EventRecorder) -> None:
    server.failures = [Forbidden("POST", "/", "namespace is being terminated")]
    recorder.record(a_canary(), "Normal", "Synced", "a")
    recorder.record(a_canary(), "Normal", "Synced", "b")
    await flush(recorder)

    assert [event["message"] for event in server.events.values()] == ["b"]
    assert recorder.dropped == 1


async def test_recording_never_waits_and_never_fails(recorder: EventRecorder) -> None:
    for number in range(1100):
        recorder.record(a_canary(f"c{number}"), "Normal", "Synced", "hi")

    assert recorder.dropped == 100


@pytest.mark.looptime
async def test_what_waits_at_the_end_is_still_written(server: EventServer, recorder: EventRecorder) -> None:
    server.slow = 0.5
    for number in range(4):
        recorder.record(a_canary(f"c{number}"), "Normal", "Synced", "hi")
    await flush(recorder, 0.1)

    assert len(server.events) == 4


@pytest.mark.looptime
async def test_the_end_does_not_wait_for_a_dead_server(
    server: EventServer, recorder: EventRecorder, looptime: Any
) -> None:
    server.slow = 100.0
    for number in range(4):
        recorder.record(a_canary(f"c{number}"), "Normal", "Synced", "hi")
    await flush(recorder, 1.0)

    assert looptime <= 4.1
    assert recorder.dropped == 4
