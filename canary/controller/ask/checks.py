"""Questions to the outside world that are under way, and the answers that have come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import assert_never

import structlog

from canary.api.canary import Canary
from canary.controller.tracer import Noted, Tracer, silent
from canary.kube.errors import Retryable
from canary.rollout.facts import (
    Answer,
    BudgetQuestion,
    HookAnswer,
    HookQuestion,
    MetricQuestion,
    PodsAnswer,
    PodsQuestion,
    Question,
    TrafficAnswer,
    TrafficQuestion,
)
from metrics.question import Number
from metrics.reading import Cause, Reading, Unread

log = structlog.get_logger(__name__)

Asker = Callable[[Canary, Question], Awaitable[Answer]]
"""Asks one question; outside trouble is an answer too. It raises for bugs, and Retryable to be asked again."""

LONGEST_WAIT = 30.0
"""Seconds between two tries of a question that the API server keeps from being answered, at most."""


class OpenChecks:
    """What every Canary waits for.

    Questions run beside the work on Canaries, so that a slow webhook delays nobody, its own Canary's safety included.
    An answer counts for the look that asked for it; once a decision asks for another look, or for nothing, what is
    left of it is cancelled and forgotten.

    Args:
        asker: asks one question.
        answered: is told the key of a Canary for which all answers have come: no decision is made of some.
        failed: is told of each question that could not be asked by a bug of ours.
        tracer: traces what is asked.
    """

    def __init__(
        self,
        asker: Asker,
        answered: Callable[[str], None],
        failed: Callable[[Question], None] = lambda _: None,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or silent(_now)
        self._asker = asker
        self._answered = answered
        self._failed = failed
        self._asked: dict[str, dict[Question, asyncio.Task[Answer]]] = {}
        self._wanted: dict[str, tuple[Question, ...]] = {}

    def answers(self, key: str) -> Mapping[Question, Answer]:
        """The answers that have come for a Canary; one that was given up by itself is forgotten, to be asked again."""
        answers: dict[Question, Answer] = {}
        for question, task in tuple(self._asked.get(key, {}).items()):
            if task.cancelled():
                del self._asked[key][question]
            elif task.done():
                answers[question] = task.result()
        return answers

    def ask(self, canary: Canary, questions: Iterable[Question]) -> None:
        """Ask what is not under way yet, and drop what nobody asks for any more."""
        wanted = tuple(questions)
        looks = {question.look for question in wanted}
        asked = self._asked.setdefault(canary.key, {})
        for question in [each for each in asked if each.look not in looks]:
            asked.pop(question).cancel()
        for question in wanted:
            if question not in asked:
                asked[question] = self._start(canary, question)
        before = self._wanted.get(canary.key, ())
        if not asked:
            del self._asked[canary.key]
            self._wanted.pop(canary.key, None)
            return
        self._wanted[canary.key] = wanted
        # Of these the last may have come while the decision was acted on that has just left out others.
        if wanted != before and self._complete(canary.key):
            self._answered(canary.key)

    def forget(self, key: str) -> None:
        """Drop everything that a Canary waits for."""
        self._wanted.pop(key, None)
        for task in self._asked.pop(key, {}).values():
            task.cancel()

    async def close(self) -> None:
        """Drop everything, and wait until it has stopped."""
        tasks = [task for asked in self._asked.values() for task in asked.values()]
        self._asked.clear()
        self._wanted.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, canary: Canary, question: Question) -> asyncio.Task[Answer]:
        task = asyncio.create_task(self._ask(canary, question), name=f"ask {canary.key}")
        task.add_done_callback(lambda done: self._ended(canary.key, question, done))
        return task

    async def _ask(self, canary: Canary, question: Question) -> Answer:
        """An answer in any case: a bug in asking must not keep a rollout from being decided on."""
        for tries in count():
            try:
                if not self._tracer.traces:
                    return await self._asker(canary, question)
                with self._tracer.span(canary, _named(canary, question)) as noted:
                    answer = await self._asker(canary, question)
                    _note(noted, answer)
                return answer
            except Retryable as error:
                log.warning("a question waits for the API server", canary=canary.key, reason=str(error))
                await asyncio.sleep(min(2.0 ** min(tries, 10), LONGEST_WAIT))
            except Exception as error:
                log.exception("a question could not be asked by a bug", canary=canary.key, question=question)
                self._failed(question)
                return _by_a_bug(canary, question, error)
        raise AssertionError

    def _ended(self, key: str, question: Question, task: asyncio.Task[Answer]) -> None:
        """Tell of the last answer that somebody waits for."""
        if self._asked.get(key, {}).get(question) is task and self._complete(key):
            self._answered(key)

    def _complete(self, key: str) -> bool:
        """Whether all that is wanted has been answered."""
        asked = self._asked.get(key, {})
        return all(question in asked and asked[question].done() for question in self._wanted.get(key, ()))


def _now() -> datetime:
    return datetime.now(UTC)


def _named(canary: Canary, question: Question) -> str:
    """What a question is called in a trace."""
    match question:
        case HookQuestion(index=index):
            return f"webhook {canary.analysis.webhooks[index].name}"
        case MetricQuestion(index=index):
            return f"check {canary.analysis.metrics[index].name}"
        case BudgetQuestion():
            return "check error budget"
        case PodsQuestion():
            return "look at pods"
        case TrafficQuestion():
            return "count requests"
        case _:
            assert_never(question)


def _note(noted: Noted, answer: Answer) -> None:
    """Tell with the span what was answered; what is no answer is an error."""
    match answer:
        case HookAnswer(approved=approved, message=message, undecided=undecided, run=run):
            noted.attributes |= {"webhook.approved": approved, "webhook.message": message, "webhook.run": run}
            noted.error = "" if approved or undecided is not None else message or "not approved"
        case Reading(said=Unread(cause=cause, reason=reason)):
            noted.attributes["check.cause"] = cause.value
            noted.error = reason
        case Reading(said=Number(value=value)):
            noted.attributes["check.value"] = value
        case PodsAnswer(reason=reason):
            noted.attributes["pods.reason"] = reason
        case Reading() | TrafficAnswer():
            pass
        case _:
            assert_never(answer)


def _by_a_bug(canary: Canary, question: Question, error: Exception) -> Answer:
    """What a question comes to that could not be asked: nothing is approved and nothing is known."""
    words = f"internal error: {type(error).__name__}"
    match question:
        case HookQuestion():
            return HookAnswer(approved=False, message=words)
        case MetricQuestion() | BudgetQuestion():
            return Reading(said=Unread(Cause.MISCONFIGURED, words), interval=timedelta(0), time=datetime.now(UTC))
        case PodsQuestion():
            return PodsAnswer("")
        case TrafficQuestion():
            return TrafficAnswer(None)
        case _:
            assert_never(question)
