import asyncio
import io
from typing import Any

import pytest

from loadtest.curl import main


async def curl(*arguments: str) -> tuple[int, str, str]:
    """Run it in a thread, beside the server; return its status and outputs."""
    out, err = io.StringIO(), io.StringIO()
    try:
        status = await asyncio.to_thread(main, arguments, out, err)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, out.getvalue(), err.getvalue()


async def test_the_answer_is_written(target: Any) -> None:
    assert await curl("-s", target.url) == (0, "ok", "")


async def test_an_error_answer_is_one_only_with_fail(target: Any) -> None:
    assert await curl("-s", target.url + "broken") == (0, "broken", "")
    assert await curl("-sf", target.url + "broken") == (22, "", "")
    status, _, words = await curl("-sSf", target.url + "broken")
    assert (status, "500" in words) == (22, True)


async def test_data_is_posted_and_flags_may_be_joined(target: Any) -> None:
    await curl("-sd", "a=1", "-d", "b=2", "-H", "X-A: 1", "-XPUT", target.url)

    (request,), (body,) = target.requests, target.bodies
    assert (request.method, body) == ("PUT", b"a=1&b=2")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["X-A"] == "1"


async def test_headers_given_replace_the_usual_ones(target: Any) -> None:
    await curl("-s", "-d", "{}", "-H", "content-type: application/json", "-A", "me", "-u", "a:b", target.url)

    (request,) = target.requests
    assert request.headers.getall("Content-Type") == ["application/json"]
    assert request.headers["User-Agent"] == "me"
    assert "Authorization" in request.headers


async def test_data_goes_into_the_address_with_get(target: Any) -> None:
    await curl("-sG", "-d", "a=1", target.url + "?b=2")

    assert (target.requests[0].method, target.requests[0].path_qs) == ("GET", "/?b=2&a=1")


async def test_the_status_can_be_written_instead_of_the_body(target: Any) -> None:
    assert await curl("-s", "-o", "/dev/null", "-w", r"%{http_code}\n", target.url) == (0, "200\n", "")


async def test_redirects_are_followed_when_asked(target: Any) -> None:
    assert (await curl("-s", target.url + "elsewhere"))[1] == ""
    assert (await curl("-sL", target.url + "elsewhere"))[1] == "ok"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-s", "http://127.0.0.1:1/"], 7),
        (["-s", "127.0.0.1:1"], 7),
        (["-s"], 3),
        (["-s", "ftp://a/"], 3),
        (["-s", "--compressed", "http://a/"], 2),
        (["-s", "-d", "@file", "http://a/"], 2),
        (["-s", "-H", "x", "http://a/"], 2),
    ],
)
async def test_what_goes_wrong_has_curls_status(arguments: list[str], expected: int) -> None:
    assert (await curl(*arguments))[0] == expected


async def test_a_limit_of_time_is_kept(target: Any) -> None:
    status, _, words = await curl("-m", "0.2", target.url + "hang")

    assert (status, words.startswith("curl: (28)")) == (28, True)


async def test_an_answer_that_breaks_off_is_status_56(target: Any) -> None:
    assert (await curl("-s", target.url + "cut"))[0] == 56
