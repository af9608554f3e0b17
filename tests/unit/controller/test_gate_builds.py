"""A gate that is a build of Jenkins: answers as Jenkins gives them, and one build a step whatever happens."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from structlog.testing import capture_logs

from canary.controller import run
from canary.controller.ask.builds import BUILDS, Builds
from canary.kube.client import KubeClient
from canary.kube.types import SECRET
from outbound.connections import Connections
from outbound.errors import NoConnectionError
from outbound.message import Request, Response
from tests.unit.controller.api_in_memory import Json
from tests.unit.controller.jobs_in_memory import rolling_out, start, stop
from tests.unit.controller.test_gate_jobs import Jobs
from tests.unit.controller.whole_controller import eventually

pytestmark = pytest.mark.looptime(noop_cycles=1)

JOB_URL = "http://ci.test/jenkins/job/team/job/smoke/"
LET_IN = f"Basic {base64.b64encode(b'robot:11aa').decode()}"
DEFINED = ("TAG", "CANARY_RUN")


@dataclass
class Jenkins:
    """A Jenkins with one job: it builds what is in its queue when it is told to, and ends it when it is told to."""

    defined: tuple[str, ...] = DEFINED
    buildable: bool = True
    crumbs: bool = False
    away: bool = False
    nonsense: bool = False
    description: str = "7 of 7 tests"
    lose_answers: bool = False
    on_its_way: str = ""
    fresh: bool = False
    forbidden: tuple[str, ...] = ()
    slow: float = 0.01
    queue: list[Json] = field(default_factory=list)
    builds: list[Json] = field(default_factory=list)
    started: list[dict[str, list[str]]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        await asyncio.sleep(self.slow)
        if self.away:
            raise NoConnectionError("refused")
        if self.nonsense:
            return Response(200, b"[" * 100_000)
        headers = dict(request.headers)
        if headers.get("Authorization") != LET_IN:
            return Response(401, b"<html>")
        url = urlsplit(request.url)
        path = url.path.removeprefix("/jenkins")
        if request.method == "GET":
            return self._told(path, unquote(url.query))
        if self.crumbs and (headers.get("Jenkins-Crumb"), headers.get("Cookie")) != ("c1", "JSESSIONID.a=b"):
            return Response(403, b"<html>No valid crumb was included in the request")
        if self.forbidden and path.endswith(self.forbidden):
            return Response(403, b"<html>robot is missing the Job permission")
        return self._done(path, url.query, (request.body or b"").decode())

    def _told(self, path: str, query: str) -> Response:
        if path == "/crumbIssuer/api/json":
            crumb = {"crumb": "c1", "crumbRequestField": "Jenkins-Crumb"}
            return Response(200, json.dumps(crumb).encode(), {"set-cookie": "JSESSIONID.a=b; Path=/; HttpOnly"})
        assert query.startswith("tree=")
        if path == "/queue/api/json":
            if self.on_its_way and self.queue:
                self.build()
                self.fresh = True
            return Response(200, json.dumps({"items": self.queue}).encode())
        if path != "/job/team/job/smoke/api/json":
            return Response(404, b"<html>")
        assert query.endswith("{0,100}")
        known = [{"_class": "x"}, {"parameterDefinitions": [{"name": name} for name in self.defined]}]
        job = {"buildable": self.buildable, "property": known, "builds": self._listed()[::-1]}
        return Response(200, json.dumps(job).encode())

    def _listed(self) -> list[Json]:
        """One that has just left the queue is not listed yet, or without its parameters."""
        fresh, self.fresh = self.fresh, False
        if not fresh:
            return self.builds
        *others, latest = self.builds
        return others if self.on_its_way == "unlisted" else [*others, {**latest, "actions": []}]

    def _done(self, path: str, query: str, body: str) -> Response:
        if path.endswith("/buildWithParameters"):
            return self._start(parse_qs(body))
        self.stopped.append(path)
        if path == "/queue/cancelItem":
            self.queue = [each for each in self.queue if str(each["id"]) != parse_qs(query)["id"][0]]
            return Response(204)
        number = int(path.split("/")[-2])
        self.end("ABORTED", number)
        return Response(302)

    def _start(self, form: dict[str, list[str]]) -> Response:
        kept = [{"name": name, "value": form[name][0]} for name in self.defined if name in form]
        actions = [{"_class": "x"}, {"parameters": kept}]
        if not any(each["actions"] == actions for each in self.queue):
            self.started.append(form)
            self.queue.append({"id": 100 + len(self.started), "why": "In the quiet period.", "actions": actions})
        if self.lose_answers:
            raise NoConnectionError("reset")
        return Response(201, headers={"location": "http://elsewhere.test/queue/item/101/"})

    def build(self) -> None:
        """What is in the queue is built."""
        for each in self.queue:
            number = len(self.builds) + 1
            # Jenkins tells addresses by what it thinks that its own is.
            url = f"http://elsewhere.test/job/team/job/smoke/{number}/"
            state = {"number": number, "url": url, "building": True, "result": None, "description": None}
            self.builds.append({**state, "actions": each["actions"]})
        self.queue = []

    def end(self, result: str, number: int | None = None) -> None:
        """Builds end."""
        for each in self.builds:
            if each["building"] and number in (None, each["number"]):
                each.update(building=False, result=result, description=self.description)


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> Jenkins:
    """A Jenkins that controllers ask."""
    server = Jenkins()

    def builds(client: KubeClient, _: Connections) -> Builds:
        return Builds(client, Connections(BUILDS, server))

    monkeypatch.setattr(run, "Builds", builds)
    return server


def hook(kind: str = "rollout", **fields: object) -> Json:
    gate = {"url": JOB_URL, "secretRef": {"name": "robot"}, "parameters": {"TAG": "{{ tag }}"}}
    return {"name": "smoke", "type": kind, "gate": {"jenkins": gate}, "timeout": "30m", **fields}


def api_with_secret() -> Jobs:
    api = Jobs()
    data = {"username": base64.b64encode(b"robot").decode(), "password": base64.b64encode(b"11aa").decode()}
    api.put(SECRET, "robot", data=data)
    return api


@asynccontextmanager
async def waiting(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, *hooks: Json, **analysis: object
) -> AsyncIterator[Jobs]:
    """A rollout whose build is in the queue."""
    api = api_with_secret()
    async with rolling_out(monkeypatch, api, *(hooks or (hook(),)), **analysis):
        await eventually(lambda: bool(ci.queue), 300, api.said)
        yield api


@pytest.mark.parametrize("kind", ["confirm-rollout", "pre-rollout", "rollout", "confirm-promotion"])
@pytest.mark.parametrize("crumbs", [False, True])
async def test_a_rollout_waits_for_its_build(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, kind: str, crumbs: bool
) -> None:
    ci.crumbs = crumbs
    async with waiting(monkeypatch, ci, hook(kind)) as api:
        await eventually(lambda: "queue: In the quiet period." in api.said(), 90, api.said)
        assert ci.started[0]["TAG"] == ["2"]
        ci.build()
        await eventually(lambda: "build #1 to end" in api.said(), 90, api.said)
        for _ in range(60):
            ci.build()
            ci.end("SUCCESS")
            await asyncio.sleep(20)
            if api.is_in("Succeeded")():
                break
        assert api.is_in("Succeeded")(), api.said()
        assert api.status().get("failedChecks", 0) == 0
        runs = [each["CANARY_RUN"][0] for each in ci.started]
        assert len(set(runs)) == len(runs) == len(ci.builds)
        assert runs[0].startswith(f"prod/app/{kind}/smoke/")


@pytest.mark.parametrize("result", ["FAILURE", "UNSTABLE", "ABORTED"])
async def test_one_that_does_not_succeed_is_a_failed_check(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, result: str
) -> None:
    async with waiting(monkeypatch, ci, threshold=1) as api:
        ci.build()
        ci.end(result)
        await eventually(api.is_in("Failed"), 90, api.said)
        assert f"build #1 has ended as {result}: 7 of 7 tests (http://elsewhere.test" in api.said()


async def test_one_that_takes_longer_than_its_timeout_is_a_failed_check_and_is_stopped(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins
) -> None:
    async with waiting(monkeypatch, ci, hook(timeout="3m"), threshold=1) as api:
        ci.build()
        await eventually(api.is_in("Failed"), 300, api.said)
        assert "not within 3m: build #1 to end" in api.said()
        await eventually(lambda: ci.stopped == ["/job/team/job/smoke/1/stop"], 90, lambda: ci.stopped)


async def test_a_controller_that_is_killed_again_and_again_starts_one(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins
) -> None:
    """In the queue, on its way and built: it is found by its parameter."""
    api = api_with_secret()
    async with rolling_out(monkeypatch, api, hook("pre-rollout")) as first:
        await eventually(lambda: bool(ci.queue), 300, api.said)
        latest = first
        for number in range(20):
            await stop(latest)
            if number == 10:
                ci.build()
            latest = start()
            await asyncio.sleep(number % 7)
        await asyncio.sleep(60)
        assert len(ci.started) == 1
        await stop(latest)


async def test_one_whose_start_was_not_answered_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins
) -> None:
    ci.lose_answers = True
    async with waiting(monkeypatch, ci) as api:
        ci.build()
        await asyncio.sleep(120)
        ci.end("SUCCESS")
        ci.lose_answers = False
        await eventually(lambda: api.status().get("canaryWeight") != 0, 120, api.said)
        assert len(ci.started) == 1


@pytest.mark.parametrize("way", ["unlisted", "nameless"])
async def test_one_on_its_way_from_the_queue_to_the_job_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, way: str
) -> None:
    """Jenkins takes it from the queue before the job lists it, and lists it before it has its parameters."""
    async with waiting(monkeypatch, ci) as api:
        ci.on_its_way = way
        await eventually(lambda: "build #1 to end" in api.said(), 90, api.said)
        await asyncio.sleep(60)
        assert len(ci.started) == 1


@pytest.mark.parametrize("way", ["unlisted", "nameless"])
async def test_one_on_its_way_from_the_queue_to_the_job_is_ended_with_its_version(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, way: str
) -> None:
    async with waiting(monkeypatch, ci) as api:
        await eventually(lambda: "queue: In the quiet period." in api.said(), 90, api.said)
        ci.on_its_way = way
        api.put_app("shop:1")
        await eventually(lambda: ci.stopped == ["/job/team/job/smoke/1/stop"], 120, lambda: ci.stopped)


async def test_a_build_that_may_not_be_ended_is_told_in_the_log_with_the_right_that_lacks(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins
) -> None:
    async with waiting(monkeypatch, ci) as api:
        ci.build()
        await asyncio.sleep(60)
        ci.forbidden = ("/stop",)
        with capture_logs() as logs:
            api.put_app("shop:1")
            await eventually(lambda: "Job/Cancel" in str(logs), 120, lambda: logs)
        ci.forbidden = ()
        api.put_app("shop:3")
        await eventually(lambda: "/job/team/job/smoke/1/stop" in ci.stopped, 300, lambda: ci.stopped)


async def test_gates_and_canaries_ask_jenkins_side_by_side(monkeypatch: pytest.MonkeyPatch, ci: Jenkins) -> None:
    """A Jenkins that takes five seconds an answer keeps six gates no longer than one."""
    ci.slow = 5
    hooks = [hook(name=f"smoke{number}") for number in range(6)]
    async with waiting(monkeypatch, ci, *hooks) as api:
        began = asyncio.get_running_loop().time()
        await eventually(lambda: len(ci.started) == 6, 60, api.said)
        assert asyncio.get_running_loop().time() - began < 10
        ci.build()
        await eventually(lambda: "build #6 to end" in api.said(), 90, api.said)
        api.put_app("shop:1")
        await eventually(lambda: bool(ci.stopped), 90, api.said)
        await asyncio.sleep(6)
        assert len(ci.stopped) == 6


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("kind", ["confirm-promotion", "rollout"])
async def test_a_build_ends_with_its_version(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, kind: str, built: bool
) -> None:
    async with waiting(monkeypatch, ci, hook(kind)) as api:
        if built:
            ci.build()
        await asyncio.sleep(90)
        api.put_app("shop:1")
        expected = "/job/team/job/smoke/1/stop" if built else "/queue/cancelItem"
        await eventually(lambda: ci.stopped == [expected], 120, lambda: ci.stopped)
        await asyncio.sleep(300)
        assert ci.stopped == [expected], "once"


async def test_a_jenkins_that_is_away_for_a_minute_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins
) -> None:
    async with waiting(monkeypatch, ci) as api:
        ci.build()
        ci.away = True
        await eventually(lambda: "Jenkins gave no answer: refused" in api.said(), 90, api.said)
        await asyncio.sleep(60)
        ci.away = False
        ci.end("SUCCESS")
        await eventually(api.is_in("Succeeded"), 300, api.said)
        assert api.status().get("failedChecks", 0) == 0
        assert len(ci.started) == 1


@pytest.mark.parametrize("kind", ["rollout", "confirm-promotion"])
async def test_what_a_build_says_of_itself_is_told_in_a_few_words_without_what_the_secret_holds(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, kind: str
) -> None:
    async with waiting(monkeypatch, ci, hook(kind), threshold=1) as api:
        ci.description = f"robot sent 11aa, {LET_IN} {'and so on ' * 10_000}"
        ci.build()
        ci.end("FAILURE")
        await eventually(lambda: "robot sent ***, *** and so on" in api.said(), 90, api.said)
        told = json.dumps([api.status(), api.said()])
        assert "11aa" not in told
        assert LET_IN.split()[1] not in told
        assert max(map(len, told.split('"'))) < 4000


@pytest.mark.parametrize(
    ("change", "gate", "told"),
    [
        ({"nonsense": True}, {}, "Jenkins does not tell of its queue: its answer is no JSON object"),
        ({"defined": ("TAG",)}, {}, "the job has no parameter CANARY_RUN"),
        ({"buildable": False}, {}, "the job is disabled; enable it"),
        ({"forbidden": ("/buildWithParameters",)}, {}, "it answered 403; its user needs the right Job/Build"),
        ({}, {"secretRef": {"name": "none"}}, "its Secret none can't be read"),
        ({}, {"secretRef": None}, "it answered 401; its Secret needs username and password"),
        ({}, {"url": "http://ci.test/jenkins/job/other"}, "it answered 404; correct the address of the job"),
        ({}, {"parameters": {"TAG": "{{ index . 1 }}"}}, "it can't be filled in"),
    ],
)
async def test_what_keeps_a_build_from_starting_is_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, ci: Jenkins, change: Json, gate: Json, told: str
) -> None:
    for name, value in change.items():
        setattr(ci, name, value)
    asked = hook()
    asked["gate"]["jenkins"] = {key: each for key, each in {**asked["gate"]["jenkins"], **gate}.items() if each}
    api = api_with_secret()
    async with rolling_out(monkeypatch, api, asked):
        await eventually(lambda: told in api.said(), 300, api.said)
        assert api.status()["reason"] == "GateUnavailable"
        assert ci.started == []
