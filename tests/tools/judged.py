"""Verdicts on what is said to a question, from asking to judging."""

from datetime import datetime

from metrics.access.grants import Grants
from metrics.question import Question
from metrics.read import read
from metrics.reading import Reading, Said
from metrics.verdict import Verdict, judge
from outbound.connections import Connections


def judged(question: Question, said: Said, now: datetime) -> Verdict:
    """What an answer to a question comes to."""
    return judge(question.name, question.threshold, Reading.of(question, said, now))


async def evaluate(
    question: Question, connections: Connections, now: datetime, grants: Grants | None = None
) -> Verdict:
    """Ask a metrics server, and judge what it says."""
    return judge(question.name, question.threshold, await read(question, connections, now, grants))
