"""What a controller loads before it leads: what any Canary may need, and nothing that only a rollout does."""

import json
import os
import subprocess
import sys

import certifi
import pytest

MOST = 303
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


AUTHORITIES = """
import json, ssl, sys
from outbound.lean import load_lean
assert "aiohttp" not in sys.modules
load_lean()
from aiohttp import connector
made = [connector._SSL_CONTEXT_VERIFIED, ssl.create_default_context(cafile=sys.argv[1]), ssl.create_default_context()]
plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
plain.load_default_certs()
verified = all(each.verify_mode == ssl.CERT_REQUIRED and each.check_hostname for each in made)
print(json.dumps([*(each.cert_store_stats()["x509"] for each in (*made, plain)), verified]))
"""


def test_only_aiohttp_is_loaded_without_the_authorities_of_the_machine() -> None:
    """A connection of which nobody says whom it trusts trusts nobody; whoever asks for the authorities gets them."""
    bundle = certifi.where()
    command = [sys.executable, "-c", AUTHORITIES, bundle]
    environment = {**os.environ, "SSL_CERT_FILE": bundle}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    loaded, named, usual, asked, verified = json.loads(done.stdout)
    assert (loaded, verified) == (0, True)
    assert named == usual == asked > 0
