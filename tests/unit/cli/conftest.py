from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from canary.api.canary import Canary, parse_canary
from canary.cli.main import main
from canary.cli.rehearse.play import Rehearsal, Theatre
from canary.cli.rehearse.reading import model_of
from canary.cli.rehearse.staging import Stage
from canary.cli.rehearse.story import Story
from tests.unit.cli.canaries_server import CanariesServer, Run, served

METRICS = [
    {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
    {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "1m"},
]


def _raw(*, spec: Mapping[str, Any] | None = None, name: str = "app", **analysis: Any) -> dict[str, Any]:
    """A Canary of stepWeight 10 up to 50 every minute; arguments change fields of the analysis and the spec."""
    given: dict[str, Any] = {"interval": "1m", "threshold": 1, "metrics": METRICS, **analysis}
    if not {"iterations", "stepWeights", "stepWeight"} & given.keys():
        given |= {"stepWeight": 10, "maxWeight": 50}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": "prod", "generation": 1},
        "spec": {
            "provider": "traefik",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "service": {"port": 80},
            "progressDeadlineSeconds": 300,
            "analysis": given,
            **(spec or {}),
        },
    }


def _canary(*, spec: Mapping[str, Any] | None = None, **analysis: Any) -> Canary:
    return parse_canary(_raw(spec=spec, **analysis))


def _gate(type_: str = "confirm-promotion", name: str = "gate", **fields: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "url": "http://gates.test/", **fields}


def _play(canary: Canary, story: Story | dict[str, Any], stage: Stage | None = None) -> Rehearsal:
    told = story if isinstance(story, Story) else model_of(Story, {"name": "story", **story})
    return Theatre(canary, stage or Stage(weighted=True, ready_after=timedelta(seconds=5))).play(told)


@pytest.fixture(scope="session")
def raw() -> Callable[..., dict[str, Any]]:
    """Makes a Canary as it is written: keyword arguments are fields of its analysis, `spec` fields of its spec."""
    return _raw


@pytest.fixture(scope="session")
def canary() -> Callable[..., Canary]:
    """Makes a Canary, by the same arguments."""
    return _canary


@pytest.fixture(scope="session")
def gate() -> Callable[..., dict[str, Any]]:
    """Makes a webhook, from its type and name."""
    return _gate


@pytest.fixture(scope="session")
def play() -> Callable[..., Rehearsal]:
    """Plays a story, as a model or as it is written, in the rollout of a Canary."""
    return _play


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Commands silence the log of their process, which here goes on to other tests."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CanariesServer]:
    """An API server of Canaries, which a kubeconfig in the test's folder names."""
    with served(tmp_path) as server:
        yield server


@pytest.fixture
def run(
    server: CanariesServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs commands against that server."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    def run(*words: str) -> tuple[int, list[str]]:
        code = main([*words])
        seen = capsys.readouterr()
        return code, (seen.out + seen.err).splitlines()

    return run
