from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from canary.api.canary import Canary, parse_canary
from canary.rollout.simulation import Change, SafeWorld, Scenario, Scheduled, Timeline, Version

METRICS = [
    {"name": "request-success-rate", "threshold": 99, "interval": "1m"},
    {"name": "request-duration", "threshold": 500, "interval": "1m"},
]


def _canary(*, spec: Mapping[str, Any] | None = None, **analysis: Any) -> Canary:
    """A Canary of stepWeight 10 up to 50 with an interval of a minute; arguments change fields of the analysis."""
    given: dict[str, Any] = {"interval": "1m", "threshold": 2, "metrics": METRICS, **analysis}
    if not {"iterations", "stepWeights", "steps"} & given.keys():
        given = {"stepWeight": 10, "maxWeight": 50, **given}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": "app", "namespace": "prod", "uid": "0-1", "generation": 1},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
                "service": {"port": 80},
                "progressDeadlineSeconds": 300,
                "analysis": given,
                **(spec or {}),
            },
        }
    )


def _hook(type_: str, name: str = "hook", **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "url": "http://hooks.test/", **fields}


def _story(canary: Canary, *changes: tuple[float, Change], **fields: Any) -> Scenario:
    """A scenario of v1, which serves, and v2; changes are given with their second."""
    versions = {"v1": Version(), "v2": Version(), **fields.pop("versions", {})}
    scheduled = tuple(Scheduled(timedelta(seconds=at), change) for at, change in changes)
    return Scenario(canary=canary, versions=versions, changes=scheduled, **fields)


def _play(canary: Canary, *changes: tuple[float, Change], **fields: Any) -> Timeline:
    return SafeWorld(_story(canary, *changes, **fields)).run()


@pytest.fixture(scope="session")
def canary() -> Callable[..., Canary]:
    """Makes a Canary: keyword arguments are fields of its analysis, `spec` fields of its spec."""
    return _canary


@pytest.fixture(scope="session")
def hook() -> Callable[..., dict[str, Any]]:
    """Makes a webhook of the spec, from its type and name."""
    return _hook


@pytest.fixture(scope="session")
def story() -> Callable[..., Scenario]:
    """Makes a scenario, from a Canary and (second, change) pairs."""
    return _story


@pytest.fixture(scope="session")
def play() -> Callable[..., Timeline]:
    """Plays a scenario, from a Canary and (second, change) pairs, and holds every pass against the safety rules."""
    return _play
