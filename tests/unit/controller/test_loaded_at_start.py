"""What a controller loads before it leads: what any Canary may need, and nothing that only a rollout does."""

import json
import subprocess
import sys

import pytest

MOST = 305
"""Modules of ours that `canary run` loads before it leads; each takes about a millisecond."""

STARTED = """
import json, sys
import canary.cli.run_command
import canary.controller.logs, canary.controller.options, canary.controller.run
print(json.dumps(sorted(sys.modules)))
"""
LATER = (
    "canary.controller.ask.asker",
    "metrics.access",
    "metrics.comparison",
    "metrics.gotemplate.parser",
    "metrics.providers.prometheus",
    "metrics.samples",
)


@pytest.fixture(scope="module")
def loaded() -> frozenset[str]:
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True, timeout=60)
    return frozenset(json.loads(done.stdout))


def test_no_more_is_loaded_than_a_start_may_take(loaded: frozenset[str]) -> None:
    """Who needs more of it: let what no settled Canary uses be loaded by whoever uses it."""
    ours = {each for each in loaded if each.partition(".")[0] in {"canary", "metrics", "outbound", "inbound"}}
    assert len(ours) <= MOST


@pytest.mark.parametrize("module", LATER)
def test_what_asks_the_outside_world_is_loaded_later(loaded: frozenset[str], module: str) -> None:
    assert module not in loaded
