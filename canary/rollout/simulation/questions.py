"""Questions to the outside world that are under way, and the answers that have come."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from canary.rollout.facts import Answer, Question


class Questions:
    """What one Canary waits for: an answer counts for the look that asked for it."""

    def __init__(self) -> None:
        self._asked: Mapping[Question, datetime] = {}
        self.answers: Mapping[Question, Answer] = {}
        """What was answered."""

    @property
    def due(self) -> Iterable[datetime]:
        """When answers come."""
        return self._asked.values()

    def ask(self, questions: Iterable[Question], due: datetime) -> None:
        """Ask what is new, and drop what nobody asks for any more.

        Args:
            questions: what is asked.
            due: when what is new is answered.
        """
        wanted = tuple(questions)
        looks = {question.look for question in wanted}
        self.answers = {question: said for question, said in self.answers.items() if question.look in looks}
        kept = {question: at for question, at in self._asked.items() if question.look in looks}
        self._asked = kept | {each: due for each in wanted if each not in kept and each not in self.answers}

    def receive(self, now: datetime, answer: Callable[[Question], Answer]) -> None:
        """Take in the answers that have come by now."""
        come = {question: answer(question) for question, due in self._asked.items() if due <= now}
        if come:
            self._asked = {question: due for question, due in self._asked.items() if question not in come}
            self.answers = {**self.answers, **come}

    def drop(self) -> None:
        """Nobody waits any more for what is under way."""
        self._asked = {}
