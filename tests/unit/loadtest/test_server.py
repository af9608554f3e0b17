import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer

from loadtest import server
from loadtest.gates import Gates
from loadtest.jobs import Busy, Finished, Jobs, Outcome, OverLimit, Stopped, TimedOut
from loadtest.limits import Limits
from loadtest.processes import Output
from loadtest.server import CUT_REASON, LARGEST_BODY, Service, Shutdown, answer_for, application
from loadtest.tasks import Powers, Task, one
from loadtest.telemetry import Telemetry

JSON = {"Content-Type": "application/json"}
CANARY = {"name": "podinfo", "namespace": "test"}

Client = TestClient[Any, Any]
Start = Callable[..., Any]


class Runner:
    """Stands for processes: a command says what to write and with what status to end."""

    def __init__(self) -> None:
        self.run: list[str] = []
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, task: Task, output: Output) -> int:
        self.run.append(task.command)
        output.say(f"ran {task.command}")
        if task.command == "sleep":
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return 1 if task.command == "false" else 0


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
async def start(runner: Runner) -> AsyncIterator[Start]:
    """Starts the load tester with some settings; returns a client."""
    async with AsyncExitStack() as stack:

        async def started(
            *,
            namespaces: str | None = None,
            gates: Gates | None = None,
            most: int = 10,
            shutdown: Shutdown | None = None,
        ) -> Client:
            telemetry = Telemetry(structlog.get_logger())
            jobs = Jobs(runner, telemetry, limits=Limits(time=timedelta(seconds=60)), most=most, queue=0)
            stack.push_async_callback(jobs.close)
            pattern = re.compile(namespaces) if namespaces else None
            service = Service(jobs, gates or Gates(), Powers(), telemetry, pattern)
            served = TestServer(application(service, shutdown or Shutdown()))
            await served.start_server()
            return await stack.enter_async_context(TestClient(served))

        with structlog.testing.capture_logs():
            yield started


async def post(client: Client, path: str, body: Any) -> tuple[int, str]:
    async with client.post(path, json=body) as response:
        return response.status, await response.text()


def task_call(cmd: str, hook: str = "", **metadata: str) -> dict[str, Any]:
    return CANARY | {"type": hook, "metadata": {"type": "cmd", "cmd": cmd} | metadata}


# --- Gates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gate", "rollback"])
async def test_a_gate_answers_403_until_it_is_opened(start: Start, kind: str) -> None:
    client = await start()

    assert await post(client, f"/{kind}/check", CANARY) == (403, "Forbidden")
    assert (await post(client, f"/{kind}/open", CANARY))[0] == 202
    assert await post(client, f"/{kind}/check", CANARY) == (200, "Approved")
    assert (await post(client, f"/{kind}/close", CANARY))[0] == 202
    assert await post(client, f"/{kind}/check", CANARY) == (403, "Forbidden")


async def test_an_open_gate_opens_no_rollback(start: Start) -> None:
    client = await start()

    await post(client, "/gate/open", CANARY)

    assert (await post(client, "/rollback/check", CANARY))[0] == 403


async def test_approve_and_halt_answer_always_the_same(start: Start) -> None:
    client = await start()

    assert await post(client, "/gate/approve", {}) == (200, "OK")
    assert await post(client, "/gate/halt", {}) == (403, "Forbidden")


async def test_a_gate_is_opened_as_the_documentation_has_it(start: Start) -> None:
    """`curl -d '{…}'` names no JSON as its content type."""
    client = await start()

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with client.post("/gate/open", data='{"name": "podinfo","namespace":"test"}', headers=form) as response:
        assert response.status == 202
    assert (await post(client, "/gate/check", CANARY))[0] == 200


@pytest.mark.parametrize("body", [{}, {"name": "podinfo"}, {"namespace": "test"}, [], {"name": 1}])
async def test_a_gate_needs_a_canary(start: Start, body: Any) -> None:
    client = await start()

    assert (await post(client, "/gate/check", body))[0] == 400


async def test_a_gate_that_cannot_be_kept_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    client = await start(gates=Gates(tmp_path / "gone" / "gates"))
    shutil.rmtree(tmp_path / "gone")

    status, words = await post(client, "/gate/open", CANARY)

    assert (status, "as it was" in words) == (500, True)
    assert (await post(client, "/gate/check", CANARY))[0] == 403


# --- Tasks -----------------------------------------------------------------------------------------------------


async def test_a_load_starts_once_and_is_accepted_at_once(start: Start, runner: Runner) -> None:
    client = await start()

    assert await post(client, "/", task_call("sleep", "rollout")) == (202, "started")
    assert await post(client, "/", task_call("sleep", "rollout")) == (202, "already running")
    assert runner.run == ["sleep"]


async def test_the_exit_status_of_a_pre_rollout_command_is_the_answer(start: Start) -> None:
    client = await start()

    assert await post(client, "/", task_call("true", "pre-rollout")) == (200, "")
    status, words = await post(client, "/", task_call("false", "pre-rollout"))
    assert (status, "ran false" in words) == (500, True)


async def test_the_output_is_returned_when_asked_for(start: Start) -> None:
    client = await start()

    call = task_call("true", "pre-rollout", returnCmdOutput="true")

    assert await post(client, "/", call) == (200, "ran true\n")


async def test_a_command_ends_when_its_caller_goes(start: Start, runner: Runner) -> None:
    client = await start()
    calling = asyncio.create_task(post(client, "/", task_call("sleep", "pre-rollout")))
    async with asyncio.timeout(60):
        while not runner.run:  # noqa: ASYNC110 - the call arrives over a real connection
            await asyncio.sleep(0.001)

        calling.cancel()
        await runner.cancelled.wait()


@pytest.mark.parametrize("hook", ["event", "post-rollout"])
async def test_a_load_ends_when_a_hook_tells_that_its_rollout_has(start: Start, runner: Runner, hook: str) -> None:
    client = await start()
    await post(client, "/", task_call("sleep", "rollout") | {"phase": "Progressing", "checksum": "abc"})
    told = CANARY | {"type": hook, "phase": "Succeeded", "checksum": "abc", "metadata": {"eventMessage": "Promoted"}}

    assert await post(client, "/", told) == (200, "noted")
    async with asyncio.timeout(60):
        await runner.cancelled.wait()


async def test_what_cannot_be_run_is_400_with_the_reason(start: Start) -> None:
    client = await start()

    assert (await post(client, "/", CANARY)) == (400, "metadata not found in payload")
    status, words = await post(client, "/", task_call("echo `date`"))
    assert (status, "command substitution" in words) == (400, True)


async def test_too_many_tasks_are_refused_for_now(start: Start) -> None:
    client = await start(most=1)
    await post(client, "/", task_call("sleep"))

    async with client.post("/", json=task_call("true")) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "5"


# --- All calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/gate/check", "/gate/open", "/rollback/close"])
async def test_namespaces_beside_the_pattern_are_forbidden(start: Start, runner: Runner, path: str) -> None:
    client = await start(namespaces="^team-")
    call = task_call("true", "pre-rollout")

    assert (await post(client, path, call))[0] == 403
    assert "not served here" not in (await post(client, path, call | {"namespace": "team-a"}))[1]
    assert (await post(client, path, call | {"namespace": ""}))[0] == 403
    assert runner.run == (["true"] if path == "/" else [])


@pytest.mark.parametrize("path", ["/", "/gate/check"])
async def test_a_body_that_is_too_large_or_no_json_is_refused(start: Start, path: str) -> None:
    client = await start()

    async with client.post(path, data=b"x" * (LARGEST_BODY + 1), headers=JSON) as response:
        assert response.status == 413
    async with client.post(path, data=b"{", headers=JSON) as response:
        assert response.status == 400


@pytest.mark.parametrize("path", ["/", "/gate/open"])
@pytest.mark.parametrize(
    "marks", [{"Origin": "http://page.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_no_web_page_gets_something_done(start: Start, runner: Runner, path: str, marks: dict[str, str]) -> None:
    """Whatever it calls its body: browsers tell where a POST comes from."""
    client = await start()

    async with client.post(path, json=task_call("true", "pre-rollout"), headers=marks) as response:
        assert response.status == 403
    assert runner.run == []
    assert (await post(client, "/gate/check", CANARY))[0] == 403


@pytest.mark.parametrize("type_", ["text/plain", "multipart/form-data; boundary=x", "application/octet-stream"])
async def test_a_body_of_a_type_that_no_caller_has_is_refused(start: Start, runner: Runner, type_: str) -> None:
    client = await start()

    body = json.dumps(task_call("true", "pre-rollout"))
    async with client.post("/", data=body, headers={"Content-Type": type_}) as response:
        assert response.status == 415
        assert "application/json" in await response.text()
    assert runner.run == []


async def test_more_gates_than_are_kept_are_refused(start: Start, tmp_path: Path) -> None:
    client = await start(gates=Gates(tmp_path / "gates", most=1))

    assert (await post(client, "/gate/open", CANARY))[0] == 202
    assert (await post(client, "/rollback/open", CANARY))[0] == 507
    assert (await post(client, "/gate/check", CANARY))[0] == 200


@pytest.mark.parametrize("path", ["/", "/gate/check"])
async def test_a_body_that_does_not_end_is_cut_off(start: Start, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(server, "SLOWEST_BODY", 0.05)
    client, never = await start(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with client.post(path, data=body(), headers=JSON) as response:
        assert (response.status, await response.text()) == (408, "the body did not come in time")


async def test_half_a_character_is_400_everywhere(start: Start) -> None:
    client = await start()

    for path in ("/", "/gate/open", "/gate/check"):
        assert (await post(client, path, CANARY | {"type": "\ud800"}))[0] == 400


async def test_health_is_told_and_readiness_ends_with_shutdown(start: Start) -> None:
    shutdown = Shutdown()
    client = await start(shutdown=shutdown)

    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 200
    shutdown.begun = True
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 503


async def test_other_paths_and_methods_are_refused(start: Start) -> None:
    client = await start()

    assert (await client.get("/")).status == 405
    assert (await client.post("/none", json=CANARY)).status == 404


async def test_metrics_tell_of_tasks_and_answers(start: Start) -> None:
    client = await start()
    await post(client, "/", task_call("true", "pre-rollout"))
    await post(client, "/", task_call("false", "pre-rollout"))
    await post(client, "/", task_call("sleep"))

    page = await (await client.get("/metrics")).text()

    assert 'loadtest_tasks_total{outcome="succeeded",type="cmd"} 1.0' in page
    assert 'loadtest_tasks_total{outcome="failed",type="cmd"} 1.0' in page
    assert "loadtest_tasks_running 1.0" in page
    assert 'loadtest_http_requests_total{path="/",status="500"} 1.0' in page


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Finished(0, "x"), 200),
        (Finished(3, "x"), 500),
        (TimedOut(timedelta(hours=1), "x"), 500),
        (OverLimit("it had 65 processes", "x"), 500),
        (Stopped(), 503),
        (Busy(3), 503),
    ],
)
def test_every_outcome_has_an_answer(outcome: Outcome | Busy, status: int) -> None:
    task = Task("a.b", "cmd", "true", one(("true",)), waits=True)

    assert answer_for(task, outcome).status == status


def test_of_a_failures_output_the_end_is_told() -> None:
    task = Task("a.b", "cmd", "true", one(("true",)), waits=True)

    text = answer_for(task, Finished(1, "begin" + "x" * CUT_REASON + "end")).text

    assert text is not None
    assert text.endswith("end")
    assert "begin" not in text
