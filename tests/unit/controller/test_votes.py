"""Votes by HTTP: whose token counts, that a link changes nothing until its button is pressed, and works once."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canary.controller.options import VoteSettings
from canary.controller.votes.ballot import Ballot
from canary.controller.votes.callers import Callers, token_of
from canary.controller.votes.server import LARGEST_BODY, VoteServer
from canary.rollout.links import Link, signed
from canary.rollout.votes import Vote, votes_in
from tests.unit.cli.canaries_server import SPEC
from tests.unit.controller.api_in_memory import Answer, ApiInMemory, Asked, Json, answered, refused

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
KEY: Final = "k" * 64
MOMENT: Final = "0123456789"
PATH: Final = "/apis/flagger.app/v1beta1/namespaces/prod/canaries/shop"
GATE: Final = "/v1/canaries/prod/shop/gates/qa"
LINK: Final = Link("prod", "shop", "qa", MOMENT, "alice", True, NOW + timedelta(hours=1), "n0nce")
USERS: Final = {"alices": "alice", "bobs": "bob", "eves": "eve", "strangers": "mallory"}
MAY_PATCH: Final = {"alice", "bob", "mallory"}


@dataclass
class Site:
    """The server, and what is behind it."""

    api: ApiInMemory
    client: aiohttp.ClientSession
    key_file: Path
    port: int

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.api.objects[PATH]["metadata"].get("annotations", {})
        return found

    @property
    def votes(self) -> list[Vote]:
        return [vote for _, vote in votes_in(self.annotations) if vote is not None]

    async def post(self, path: str, token: str = "", body: object = None, **headers: str) -> tuple[int, Any]:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self.client.post(path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def open(self, link: Link | str, method: str = "GET", **form: str) -> tuple[int, str]:
        text = link if isinstance(link, str) else signed(link, KEY.encode())
        async with self.client.request(method, f"/link/{text}", data=form or None) as response:
            return response.status, await response.text()


def identity(asked: Asked) -> Answer | None:
    """What an API server says of tokens and of rights."""
    if asked.path.endswith("/tokenreviews"):
        name = USERS.get(asked.body["spec"]["token"])
        user = {"username": name, "groups": ["people"], "extra": {"scopes": ["a"]}}
        status: Json = {"authenticated": True, "user": user} if name else {"error": "invalid bearer token"}
        return answered({"status": status}, 201)
    if asked.path.endswith("/subjectaccessreviews"):
        verb = asked.body["spec"]["resourceAttributes"]["verb"]
        allowed = verb == "get" or asked.body["spec"]["user"] in MAY_PATCH
        return answered({"status": {"allowed": allowed}}, 201)
    return None


def shop(**approval: Any) -> Json:
    hook = {"name": "qa", "type": "confirm-promotion", "gate": {"approval": approval}}
    entry = {"gate": "qa", "type": "confirm-promotion", "moment": MOMENT, "since": "2026-01-01T00:00:00Z"}
    waits = {**entry, "state": "Waiting", "message": "has 0 of 1 approvals"}
    return {
        "metadata": {"name": "shop", "namespace": "prod", "annotations": {}},
        "spec": {**SPEC, "analysis": {**SPEC["analysis"], "webhooks": [hook]}},
        "status": {"phase": "WaitingPromotion", "canaryWeight": 50, "approvals": [waits]},
    }


@asynccontextmanager
async def serving(folder: Path, namespace: str | None = None, audience: str = "") -> AsyncIterator[Site]:
    api, key_file = ApiInMemory(), folder / "key"
    api.ill = identity
    api.store(PATH, shop(approvers=["alice", "bob"]))
    key_file.write_text(KEY)
    client = api.connect()
    ballot = Ballot(client, namespace, key_file, lambda: NOW)
    server = VoteServer(VoteSettings("127.0.0.1", 0), ballot, Callers(client, audience))
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            yield Site(api, http, key_file, server.port)
    finally:
        await server.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as found:
        yield found


# --- With a token ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_vote_is_of_whom_the_api_server_knows_by_the_token(site: Site, answer: str) -> None:
    with structlog.testing.capture_logs() as lines:
        said = await site.post(GATE, "alices", {"answer": answer, "message": "well\ntested", "moment": MOMENT})
    told = {"canary": "prod/shop", "gate": "qa", "moment": MOMENT, "by": "alice", "answer": answer}
    assert said == (200, told)
    assert site.votes == [Vote("alice", answer == "yes", "qa", MOMENT, "2026-01-01T00:00:00Z", "well tested")]
    (line,) = (each for each in lines if each["event"] == "a vote is taken")
    assert (line["by"], line["answer"], line["way"]) == ("alice", answer, "token")
    assert "alices" not in str(lines)


async def test_its_groups_and_all_else_go_into_the_question_what_one_may(site: Site) -> None:
    await site.post(GATE, "alices", {"answer": "yes"})
    (asked,) = (each for each in site.api.asked if each.path.endswith("/subjectaccessreviews"))
    attributes = {"group": "flagger.app", "resource": "canaries", "namespace": "prod", "name": "shop", "verb": "patch"}
    user = {"user": "alice", "uid": "", "groups": ["people"], "extra": {"scopes": ["a"]}}
    assert asked.body["spec"] == {**user, "resourceAttributes": attributes}


@pytest.mark.parametrize(
    ("token", "path", "body", "status", "why"),
    [
        ("", GATE, {"answer": "yes"}, 401, "send the header Authorization: Bearer TOKEN"),
        ("nobodys", GATE, {"answer": "yes"}, 401, "the API server does not know this token"),
        ("eves", GATE, {"answer": "yes"}, 403, "eve may not patch canaries in the namespace prod"),
        ("strangers", GATE, {"answer": "yes"}, 403, "mallory is none of the approvers of gate qa"),
        ("alices", "/v1/canaries/prod/none/gates/qa", {"answer": "yes"}, 404, "there is no Canary prod/none"),
        ("alices", "/v1/canaries/pr%2F..od/shop/gates/qa", {"answer": "yes"}, 404, "there is no such Canary"),
        ("alices", "/v1/canaries/prod/shop/gates/ops", {"answer": "yes"}, 409, "gate ops waits for nobody; qa does"),
        ("alices", GATE, {"answer": "yes", "moment": "9"}, 409, "gate qa asks about another moment of the rollout"),
        ("alices", GATE, {}, 400, "answer: is neither yes nor no"),
        ("alices", GATE, {"answer": True}, 400, "answer: is neither yes nor no"),
        ("alices", GATE, {"answer": "yes", "message": 7}, 400, "message: is no text"),
        ("alices", GATE, {"answer": "yes", "as": "bob"}, 400, "as: unknown field; there are answer, message, moment"),
        ("alices", GATE, [], 400, "send a JSON object such as"),
        ("alices", GATE, {"answer": "yes", "message": "x" * LARGEST_BODY}, 413, "Maximum request body size"),
    ],
)
async def test_what_is_in_the_way_is_said_and_nothing_is_written(
    site: Site, token: str, path: str, body: object, status: int, why: str
) -> None:
    code, said = await site.post(path, token, body)
    assert code == status
    assert why in said["error"]
    assert site.annotations == {}


async def test_a_body_of_another_type_is_refused(site: Site) -> None:
    """A form of some web page is none."""
    headers = {"Authorization": "Bearer alices"}
    async with site.client.post(GATE, data={"answer": "yes"}, headers=headers) as response:
        assert response.status == 415
    assert site.annotations == {}


async def test_how_gates_stand_can_be_asked(site: Site) -> None:
    async with site.client.get(GATE.rpartition("/")[0], headers={"Authorization": "Bearer eves"}) as response:
        assert response.status == 200
        (gate,) = (await response.json())["gates"]
    assert (gate["gate"], gate["moment"], gate["state"]) == ("qa", MOMENT, "Waiting")


async def test_a_token_must_be_made_for_us_where_that_is_asked(tmp_path: Path) -> None:
    """An API server that knows nothing of audiences names none."""
    async with serving(tmp_path, audience="votes") as site:
        assert (await site.post(GATE, "alices", {"answer": "yes"}))[0] == 401
        assert {"token": "alices", "audiences": ["votes"]} in [each.body["spec"] for each in site.api.asked]


@pytest.mark.parametrize("code", [403, 500])
async def test_while_the_api_server_cannot_be_asked_nobody_votes(site: Site, code: int) -> None:
    site.api.ill = lambda asked: refused(code, "no") if asked.method == "POST" else None
    status, said = await site.post(GATE, "alices", {"answer": "yes"})
    assert (status, said["error"]) == (503, "the API server can't be asked now; try again")


async def test_one_who_brings_many_bad_tokens_is_turned_away(site: Site) -> None:
    assert (await site.post(GATE, "alices", {"answer": "yes"}))[0] == 200
    answers = await asyncio.gather(*(site.post(GATE, f"bad{n}", {"answer": "yes"}) for n in range(60)))
    assert {status for status, _ in answers} == {401, 429}
    assert (await site.post(GATE, "alices", {"answer": "no"}))[0] == 200
    assert len(site.votes) == 1


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic x", "x", "Bearer \xe9", "Bearer a\x01b"])
def test_a_token_comes_as_a_bearers(header: str) -> None:
    assert token_of(header) is None
    assert token_of("bearer  abc ") == "abc"


async def test_other_namespaces_are_not_served_by_a_controller_of_one(tmp_path: Path) -> None:
    async with serving(tmp_path, namespace="other") as site:
        assert (await site.post(GATE, "alices", {"answer": "yes"}))[0] == 404
        assert (await site.open(LINK, "POST"))[0] == 403
        assert site.annotations == {}


# --- By a link -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_to_open_a_link_changes_nothing(site: Site, method: str) -> None:
    """Programs that look through mail open every link in it."""
    before = len([each for each in site.api.asked if each.method != "GET"])
    for _ in range(5):
        status, _ = await site.open(LINK, method)
        assert status == 200
    assert len([each for each in site.api.asked if each.method != "GET"]) == before
    assert (await site.open(LINK, "POST"))[0] == 200


async def test_the_page_says_what_its_button_does(site: Site) -> None:
    status, page = await site.open(LINK)
    assert status == 200
    assert "<h1>Approve shop?</h1>" in page
    assert "you say yes as alice" in page
    assert '<form method="post">' in page
    assert "<script" not in page
    assert "<button>Reject</button>" in (await site.open(replace(LINK, approves=False)))[1]


async def test_nobody_else_learns_of_the_page_or_holds_it(site: Site) -> None:
    async with site.client.get(f"/link/{signed(LINK, KEY.encode())}") as response:
        headers = response.headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("approves", [True, False])
async def test_its_button_votes_once(site: Site, approves: bool) -> None:
    link = replace(LINK, approves=approves)
    status, page = await site.open(link, "POST", message="seen <it>")
    assert status == 200
    assert "alice has" in page
    (vote,) = site.votes
    assert (vote.by, vote.approves, vote.why) == ("alice", approves, "by a link: seen <it>")
    version = site.api.version
    for method in ("POST", "GET", "POST"):
        status, page = await site.open(link, method)
        assert status == 410
        assert "each works once" in page
    assert site.api.version == version


async def test_of_fifty_who_use_a_link_at_once_one_votes(site: Site) -> None:
    answers = await asyncio.gather(*(site.open(LINK, "POST") for _ in range(50)))
    assert Counter(status for status, _ in answers) == {200: 1, 410: 49}
    assert len(site.votes) == 1


async def test_it_does_not_work_again_when_its_vote_was_taken_back(site: Site) -> None:
    await site.open(LINK, "POST")
    (vote,) = site.votes
    del site.api.objects[PATH]["metadata"]["annotations"][vote.key]
    assert (await site.open(LINK, "POST"))[0] == 410
    assert site.votes == []


async def test_it_is_written_beside_whoever_else_writes_the_canary(site: Site) -> None:
    """The controller writes the status all the time; a vote waits for no quiet moment."""
    times = 3

    def busy(asked: Asked) -> Answer | None:
        nonlocal times
        if asked.method == "PATCH" and times:
            times -= 1
            return refused(409, "Conflict")
        return identity(asked)

    site.api.ill = busy
    assert (await site.open(LINK, "POST"))[0] == 200
    assert len(site.votes) == 1


@pytest.mark.parametrize(
    ("link", "status", "why"),
    [
        (replace(LINK, expires=NOW), 410, "The time of this link was over"),
        (replace(LINK, moment="9876543210"), 409, "Gate qa asks about another moment"),
        (replace(LINK, by="mallory"), 403, "Mallory is none of the approvers"),
        (replace(LINK, name="none"), 404, "There is no Canary prod/none"),
        (signed(LINK, b"o" * 64), 403, "This link was not made here"),
        (signed(LINK, KEY.encode()).partition(".")[0], 403, "This link was not made here"),
        ("nonsense", 403, "This link was not made here"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_says_nothing_tells_why(
    site: Site, link: Link | str, status: int, why: str, method: str
) -> None:
    code, page = await site.open(link, method)
    assert code == status
    assert why.lower() in page.lower()
    assert "<form" not in page
    assert site.annotations == {}


@pytest.mark.parametrize("text", [None, "", "short"])
async def test_without_a_key_there_are_no_links(site: Site, text: str | None) -> None:
    """One that is empty or short is none: anybody could sign by it."""
    site.key_file.unlink()
    if text is not None:
        site.key_file.write_text(text)
    for forged in (LINK, signed(LINK, b""), signed(LINK, b"short")):
        assert (await site.open(forged, "POST"))[0] == 404
    assert site.annotations == {}


async def test_whoever_has_no_link_costs_the_api_server_nothing(site: Site) -> None:
    for number in range(100):
        await site.open(f"{number}.{number}", "POST")
    assert site.api.asked == []


# --- Whatever is sent ------------------------------------------------------------------------------------------

FORGERIES: Final = ("replayed", "late", "altered", "unsigned", "no token", "bad token", "another moment")


async def test_of_a_thousand_calls_over_the_wire_none_opens_a_gate_that_may_not(site: Site) -> None:
    """Beside the ten thousand of `test_links.py`, whole."""
    await site.open(LINK, "POST")
    (vote,) = site.votes
    del site.api.objects[PATH]["metadata"]["annotations"][vote.key]
    good = signed(replace(LINK, nonce="unused"), KEY.encode())
    answers: Counter[int] = Counter()
    for number in range(1000):
        match FORGERIES[number % len(FORGERIES)]:
            case "replayed":
                status, _ = await site.open(LINK, "POST")
            case "late":
                status, _ = await site.open(replace(LINK, expires=NOW - timedelta(seconds=number)), "POST")
            case "altered":
                at = number % len(good)
                status, _ = await site.open(f"{good[:at]}{'A' if good[at] != 'A' else 'B'}{good[at + 1 :]}", "POST")
            case "unsigned":
                status, _ = await site.open(f"{good.partition('.')[0]}.", "POST")
            case "no token":
                status, _ = await site.post(GATE, "", {"answer": "yes"})
            case "bad token":
                status, _ = await site.post(GATE, f"bad{number}", {"answer": "yes"})
            case _:
                moment = f"{number:010x}"
                status, _ = await site.open(replace(LINK, moment=moment, nonce=moment), "POST")
        answers[status] += 1
    assert site.votes == []
    assert 200 not in answers
    assert not [status for status in answers if status >= 500]


PIECES = st.text(max_size=60) | st.sampled_from(["shop", "prod", "qa", "gates", "v1", "canaries", "link", ".", ".."])
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "Authorization", "Origin", "Accept", "Range", "X-Forwarded-For", "Cookie"]
    ),
    st.sampled_from(
        [
            *("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"),
            *("application/json; charset=none", "gzip", "deflate", "Bearer alices", "Bearer x", "Basic eA==", "", ";;"),
        ]
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=5,
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["yes", "no"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["answer", "message", "moment"]) | st.text(), inner)
    ),
    max_leaves=8,
)
BODIES = (
    st.binary(max_size=400)
    | JSONS.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"[" * 12_000, b'{"answer": "yes", "message": "\\ud800"}', b"message=%ff&" * 20, b"1" * 9000])
)
PATHS = st.sampled_from([GATE, GATE.rpartition("/")[0], "/healthz", f"/link/{signed(LINK, KEY.encode())}"]) | st.lists(
    PIECES, max_size=7
).map(lambda words: "/" + "/".join(words))


async def status_of(site: Site, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
    """The status of a call as it is: a client of HTTP would not send all of them."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"{method} {quote(path)} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *lines]
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(20):
            answer = await reader.read()
    finally:
        writer.close()
    assert b"Traceback" not in answer
    return int(answer.split(b" ", 2)[1])


@given(st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_body_path_and_headers_come_there_is_no_5xx_and_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    """Each time twenty; some have a good token, or a good link."""
    calls = data.draw(
        st.lists(
            st.tuples(st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT", "X"]), PATHS, HEADERS, BODIES),
            min_size=20,
            max_size=20,
        )
    )

    async def send() -> list[int]:
        async with serving(tmp_path) as site:
            return [await status_of(site, *call) for call in calls]

    statuses = asyncio.run(send())
    assert all(status < 500 for status in statuses)
    assert "Traceback" not in caplog.text


async def test_what_is_no_http_is_answered_or_closed_and_not_logged_as_our_error(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /\xff HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.read(200)
        writer.close()
        assert not answer or re.match(rb"HTTP/1\.[01] 4", answer)
    assert "Traceback" not in caplog.text
    assert (await site.open(LINK))[0] == 200
