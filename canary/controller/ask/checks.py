"""Questions to the outside world that are under way, and the answers that have come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from canary.api.canary import Canary
from canary.rollout.facts import Answer, Question

Asker = Callable[[Canary, Question], Awaitable[Answer]]
"""Asks one question; outside trouble is an answer too, so it raises for bugs only."""


class OpenChecks:
    """What every Canary waits for.

    Questions run beside the work on Canaries, so that a slow webhook delays nobody, its own Canary's safety included.
    An answer counts for the look that asked for it; once a decision asks for another look, or for nothing, what is
    left of it is cancelled and forgotten.

    Args:
        asker: asks one question.
        answered: is told the key of a Canary for which all answers have come: no decision is made of some.
    """

    def __init__(self, asker: Asker, answered: Callable[[str], None]) -> None:
        self._asker = asker
        self._answered = answered
        self._asked: dict[str, dict[Question, asyncio.Task[Answer]]] = {}
        self._wanted: dict[str, tuple[Question, ...]] = {}

    def answers(self, key: str) -> Mapping[Question, Answer]:
        """The answers that have come for a Canary.

        Raises:
            Exception: asking failed by a bug; the question is forgotten and can be asked again.
        """
        answers: dict[Question, Answer] = {}
        for question, task in tuple(self._asked.get(key, {}).items()):
            if not task.done():
                continue
            if task.cancelled() or task.exception() is not None:
                del self._asked[key][question]
            # Given up by itself, it is asked again: its cancellation is none of the caller's.
            if not task.cancelled():
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
        async def ask() -> Answer:
            return await self._asker(canary, question)

        task = asyncio.create_task(ask(), name=f"ask {canary.key}")
        task.add_done_callback(lambda done: self._ended(canary.key, question, done))
        return task

    def _ended(self, key: str, question: Question, task: asyncio.Task[Answer]) -> None:
        """Tell of the last answer that somebody waits for."""
        if self._asked.get(key, {}).get(question) is task and self._complete(key):
            self._answered(key)

    def _complete(self, key: str) -> bool:
        """Whether all that is wanted has been answered."""
        asked = self._asked.get(key, {})
        return all(question in asked and asked[question].done() for question in self._wanted.get(key, ()))
