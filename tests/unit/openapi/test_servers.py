"""Our servers are as their OpenAPI documents say: the same paths, and whatever is sent, no error of ours.

What is sent is schemathesis' choice, by the documents and against them; `make test-openapi` installs it, by itself.
"""

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
import yaml
from aiohttp import web

from canary.admission.certificates import make
from canary.admission.endpoints import ENDPOINTS
from canary.admission.server import AdmissionServer
from canary.controller.options import VoteSettings
from canary.controller.telemetry import Telemetry as ControllerTelemetry
from canary.controller.votes.ballot import Ballot
from canary.controller.votes.callers import Callers
from canary.controller.votes.server import VoteServer
from canary.controller.votes.server import application as votes_application
from inbound.connections import Connections
from loadtest.gates import Gates
from loadtest.jobs import Jobs
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.server import Service, Shutdown
from loadtest.server import application as load_tester
from loadtest.tasks import Powers, Task
from loadtest.telemetry import Telemetry
from tests.unit.admission.conftest import OPTIONS
from tests.unit.admission.test_server import free_port
from tests.unit.controller.api_in_memory import ApiInMemory
from tests.unit.controller.test_votes import KEY, NOW, identity, shop
from tests.unit.loadtest.test_any_request import running

DOCUMENTS: Final = Path(__file__).parents[3] / "docs/openapi"
SCHEMATHESIS: Final = Path(f"{sys.prefix}-openapi") / "bin/schemathesis"
CHECKS: Final = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LEAST: Final = 1500
"""Requests that each server gets."""
PATIENCE: Final = 1200.0
"""Seconds; it takes one minute."""


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCUMENTS / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def paths_of(app: web.Application) -> set[str]:
    return {resource.canonical for resource in app.router.resources()}


async def nothing(_: Task, _output: Output) -> int:
    return 0


class TestPaths:
    """Those of a document are those of its server."""

    async def test_of_the_load_tester(self) -> None:
        telemetry = Telemetry(structlog.get_logger())
        service = Service(Jobs(nothing, telemetry, limits=Limits(), most=1), Gates(), Powers(), telemetry)
        assert paths_of(load_tester(service, Shutdown())) == document("load-tester")["paths"].keys()

    async def test_of_votes(self, tmp_path: Path) -> None:
        client = ApiInMemory().connect()
        app = votes_application(Ballot(client, None, tmp_path / "key"), Callers(client), Connections(1))
        assert paths_of(app) == document("votes")["paths"].keys()

    def test_of_admission(self) -> None:
        assert ENDPOINTS.keys() == document("admission")["paths"].keys()


async def try_all(folder: Path, name: str, url: str, *flags: str, examples: int) -> None:
    """Send what the document allows, and what it does not; each answer must be one that it has.

    Args:
        folder: where schemathesis keeps what it remembers.
        name: of the document.
        url: of the server.
        flags: further ones of schemathesis.
        examples: how many requests each operation gets, beside those that are the same for all.
    """
    if not SCHEMATHESIS.exists():
        pytest.skip(f"there is no {SCHEMATHESIS}; `make test-openapi` installs it")
    words = ("run", DOCUMENTS / f"{name}.yaml", "--url", url, "--checks", CHECKS, "--max-examples", str(examples))
    steady = ("--seed", "1", "--generation-database", "none", "--phases", "examples,coverage,fuzzing", "--no-color")
    quiet = ("--request-timeout", "60", "--suppress-health-check", "all", "--warnings", "off")
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        *words,
        *steady,
        *quiet,
        *flags,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()[-8000:]
    (sent,) = re.findall(r"(\d+) generated", said.decode())
    assert int(sent) > LEAST


@pytest.mark.long
@pytest.mark.parametrize("flags", [(), ("--token-file",)], ids=["open", "token"])
async def test_the_load_tester_answers_what_it_says(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "token").write_text("known")
    with running(*(f"{flag}={tmp_path}/token" for flag in flags)) as service:
        known = ("--header", "Authorization: Bearer known") if flags else ()
        await try_all(tmp_path, "load-tester", f"http://127.0.0.1:{service.port}", *known, examples=200)
        service.log.seek(0)
        assert "Traceback" not in service.log.read()


@pytest.mark.long
async def test_the_server_of_votes_answers_what_it_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = ApiInMemory()
    api.ill = identity
    stored = shop(approvers=["alice"])
    stored["metadata"] |= {"name": "my-app", "namespace": "shop"}
    api.store("/apis/flagger.app/v1beta1/namespaces/shop/canaries/my-app", stored)
    (tmp_path / "key").write_text(KEY)
    client = api.connect()
    ballot = Ballot(client, None, tmp_path / "key", lambda: NOW)
    server = VoteServer(VoteSettings("127.0.0.1", 0), ballot, Callers(client))
    await server.start()
    try:
        known = ("--header", "Authorization: Bearer alices")
        with structlog.testing.capture_logs():
            await try_all(tmp_path, "votes", f"http://127.0.0.1:{server.port}", *known, examples=600)
    finally:
        await server.close()
    assert [each for each in caplog.records if each.exc_info] == []


@pytest.mark.long
async def test_the_server_of_admission_answers_what_it_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    server = AdmissionServer("127.0.0.1", port, OPTIONS, ControllerTelemetry("1", "traefik"))
    await server.start()
    await server.serve(make(["localhost"], datetime.now(UTC), timedelta(days=90)))
    try:
        await try_all(tmp_path, "admission", f"https://127.0.0.1:{port}", "--tls-verify", "false", examples=700)
    finally:
        await server.close()
    assert [each for each in caplog.records if each.exc_info] == []
