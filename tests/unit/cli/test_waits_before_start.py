"""What a Canary waits for that is no matter of its version, in the words of its status."""

from datetime import UTC, datetime

import pytest

from canary.cli.cluster.view import view_of
from canary.cli.cluster.waits import must_happen, waits_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("phase", ["Waiting", "Progressing"])
@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        ("Queued", "its turn"),
        ("Frozen", "the end of a freeze"),
        ("WaitingForDependency", "another Canary"),
        ("ErrorBudgetSpent", "an error budget"),
        ("WaitingForGroup", "its group"),
    ],
)
def test_it_is_said_with_what_must_happen_and_with_the_way_out(phase: str, reason: str, waits: str) -> None:
    status = {"phase": phase, "reason": reason, "message": "until noon"}
    view = view_of({"metadata": {"name": "app", "namespace": "shop"}, "spec": {}, "status": status})
    assert waits_for(view, NOW) == f"{waits}: until noon"
    assert must_happen(view, NOW).endswith("To let it go on all the same: canary override app.")
