"""Deadlines: how much time passes before people are told, or a version is taken back."""

from datetime import datetime, timedelta

from canary.rollout.situation import Situation

CATCH_UP = timedelta(minutes=1)
"""How long nodes and Kubernetes' own controllers may take to tell what happened while the API server was away."""


def deadline(s: Situation) -> datetime:
    """When what makes no progress, such as pods that are not ready, has had its time."""
    return seen_for(s, s.status.last_progress_time, s.canary.progress_deadline)


def seen_for(s: Situation, since: datetime | None, span: timedelta) -> datetime:
    """When so much time has passed, and it could be seen for a while what happens."""
    spoken, blind = s.facts.counted(since or s.now) + span, s.facts.blind_until
    return spoken if blind is None else max(spoken, blind + min(span, CATCH_UP))
