import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from metrics.question import Question
from metrics.templates import Model
from metrics.threshold import Threshold

# Before Python 3.12, looptime's look for a loop in a test without one makes a loop that nobody closes; saying that
# there is none stops that.
asyncio.set_event_loop(None)

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Ask(Protocol):
    def __call__(self, **changes: Any) -> Question: ...


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def ask() -> Ask:
    """Make a question, the named fields changed."""
    question = Question(
        name="errors",
        query="sum(errors)",
        threshold=Threshold(max=5),
        interval=timedelta(minutes=1),
        address="http://prometheus:9090",
    )

    def make(**changes: Any) -> Question:
        return replace(question, **changes)

    return make


@pytest.fixture
def model() -> Model:
    return Model(
        name="podinfo",
        namespace="test",
        target="app",
        service="svc",
        ingress="ing",
        route="r",
        interval="1m",
        variables={"direction": "inbound", "with-dash": "d"},
    )


@pytest.fixture
def recorded() -> Callable[[str], bytes]:
    """Read an answer that a real server once gave."""
    folder = Path(__file__).parent / "recorded"
    return lambda name: (folder / name).read_bytes()
