"""What is asked, written and told for a rollout is part of its trace, and its requests name the span."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from canary.api.analysis import HookType
from canary.api.canary import Canary, parse_canary
from canary.api.status import Outcome, PastRollout, Phase, RolloutStatus
from canary.controller.ask.checks import OpenChecks
from canary.controller.tracer import Tracer, silent
from canary.rollout.facts import Answer, HookAnswer, HookQuestion, MetricQuestion, Question
from canary.rollout.spans import Span, place_of
from metrics.question import Number
from metrics.reading import Cause, Reading, Unread
from outbound.trace import TRACEPARENT, traceparent

NOW = datetime(2026, 3, 4, tzinfo=UTC)
ROLLOUT = RolloutStatus(revision="abc", started=NOW, step=1, steps=5)
METRIC, HOOK = MetricQuestion("look", 0), HookQuestion("look", 0, HookType.ROLLOUT, Phase.PROGRESSING)


def canary(*, under_way: bool = True) -> Canary:
    analysis = {
        "interval": "1s",
        "threshold": 1,
        "metrics": [{"name": "latency"}],
        "webhooks": [{"name": "load", "url": "http://x/"}],
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"targetRef": target, "analysis": analysis}
    made = parse_canary({"metadata": {"name": "app", "namespace": "shop", "uid": "0-1"}, "spec": spec})
    if not under_way:
        return made
    return made.replace(status=made.status.replace(phase=Phase.PROGRESSING, canary_weight=10, rollout=ROLLOUT))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.mark.parametrize(
    ("question", "answer", "name", "error", "told"),
    [
        (
            METRIC,
            Reading(said=Number(1.5), interval=timedelta(0), time=NOW),
            "check latency",
            "",
            {"check.value": 1.5},
        ),
        (
            METRIC,
            Reading(said=Unread(Cause.TIMEOUT, "no answer within 5 s"), interval=timedelta(0), time=NOW),
            "check latency",
            "no answer within 5 s",
            {"check.cause": "Timeout"},
        ),
        (HOOK, HookAnswer(approved=True), "webhook load", "", {"webhook.approved": True}),
        (HOOK, HookAnswer(approved=False, message="answered 500"), "webhook load", "answered 500", {}),
    ],
)
async def test_what_is_asked_is_a_span_of_the_step_and_its_requests_name_it(
    question: Question, answer: Answer, name: str, error: str, told: dict[str, object]
) -> None:
    spans: list[Span] = []
    headers: list[str] = []

    async def ask(_canary: Canary, _question: Question) -> Answer:
        headers.append(TRACEPARENT.get())
        return answer

    board = OpenChecks(ask, lambda _key: None, tracer=Tracer(spans.append, Clock()))
    board.ask(canary(), [question])
    for _ in range(5):
        await asyncio.sleep(0)
    (span,), place = spans, place_of(canary())
    assert place is not None
    assert (span.trace, span.parent, span.name, span.error) == (place.trace, place.parent, name, error)
    assert span.end > span.start
    assert span.attributes.items() >= told.items()
    assert headers == [traceparent(span.trace, span.id)]
    assert board.answers("shop/app") == {question: answer}
    assert TRACEPARENT.get() == ""


async def test_what_nobody_waits_for_any_more_says_so() -> None:
    spans: list[Span] = []

    async def ask(_canary: Canary, _question: Question) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    board = OpenChecks(ask, lambda _key: None, tracer=Tracer(spans.append, Clock()))
    board.ask(canary(), [HOOK])
    await asyncio.sleep(0)
    await board.close()
    assert [each.error for each in spans] == ["nobody waits for it any more"]


def test_at_rest_nothing_is_traced() -> None:
    spans: list[Span] = []
    tracer = Tracer(spans.append, Clock())
    resting = canary(under_way=False)
    tracer.observe(resting)
    tracer.did(resting, "write KeepApexService", NOW)
    with tracer.span(resting, "look at pods"):
        assert TRACEPARENT.get() == ""
    assert spans == []


def test_an_alert_on_the_end_of_a_rollout_belongs_to_it() -> None:
    spans: list[Span] = []
    past = PastRollout(revision="abc", started=NOW, ended=NOW + timedelta(minutes=1), outcome=Outcome.ROLLED_BACK)
    resting = canary(under_way=False)
    ended = resting.replace(status=resting.status.replace(phase=Phase.FAILED, history=(past,)))
    with Tracer(spans.append, Clock()).span(ended, "alert slack", past.ended):
        header = TRACEPARENT.get()
    under_way = place_of(canary())
    assert under_way is not None
    assert [each.trace for each in spans] == [under_way.trace]
    assert header == traceparent(spans[0].trace, spans[0].id)


def test_a_write_that_was_refused_says_why() -> None:
    spans: list[Span] = []
    Tracer(spans.append, Clock()).did(canary(), "write Route", NOW, "forbidden")
    assert [(each.name, each.start, each.error) for each in spans] == [("write Route", NOW, "forbidden")]


def test_a_status_that_somebody_has_spoiled_stops_nothing() -> None:
    spans: list[Span] = []
    spoiled = canary()
    early = ROLLOUT.replace(started=datetime.min.replace(tzinfo=UTC).astimezone(None))
    tracer = Tracer(spans.append, Clock())
    tracer.observe(spoiled.replace(status=spoiled.status.replace(rollout=early)))
    tracer.did(spoiled, "write Route", NOW)
    assert len(spans) == 1


async def test_where_nothing_is_traced_requests_name_nothing() -> None:
    tracer = silent(Clock())
    with tracer.span(canary(), "webhook load") as noted:
        assert TRACEPARENT.get() == ""
        noted.error = "whatever"
    tracer.observe(canary())
    tracer.did(canary(), "write Route", NOW)
    assert not tracer.traces
