import asyncio
import io
from typing import Any

import pytest

from loadtest.curl import CHUNK, main


async def curl(*arguments: str) -> tuple[int, str, str]:
    """Run it in a thread, beside the server; return its status and outputs."""
    out, err = io.BytesIO(), io.StringIO()
    try:
        status = await asyncio.to_thread(main, arguments, out, err)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, out.getvalue().decode(), err.getvalue()


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
        (["-s", "http://[::1"], 3),
        (["-s", "http://127.0.0.1:99999/"], 3),
        (["-s", "--form", "a=b", "http://a/"], 2),
        (["-s", "-m", "nan", "http://a/"], 2),
        (["-s", "-m", "-5", "http://a/"], 2),
        (["-s", "-m", "soon", "http://a/"], 2),
        (["-s", "--retry", "many", "http://a/"], 2),
        (["-s", "-X", "G\u00c9T", "http://a/"], 2),
        (["-s", "-A", "a\nb", "http://a/"], 2),
        (["-s", "-u", "\udc80", "http://a/"], 2),
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


async def test_a_limit_of_time_is_one_of_the_whole(target: Any) -> None:
    """A server that sends a byte now and then would else hold a test for as long as it likes."""
    status, out, _ = await curl("-s", "-m", "0.5", target.url + "drip")

    assert (status, set(out)) == (28, {"x"})


@pytest.mark.parametrize("flag", ["-v", "-4", "-N", "--no-progress-meter", "--compressed", "--retry=1", "-m0"])
async def test_flags_that_change_nothing_here_are_taken(target: Any, flag: str) -> None:
    assert await curl("-s", flag, target.url) == (0, "ok", "")


async def test_the_head_can_be_written_too(target: Any) -> None:
    status, out, _ = await curl("-si", target.url)

    assert (status, out.startswith("HTTP/1.1 200 OK\r\n"), out.endswith("\r\n\r\nok")) == (0, True, True)


async def test_the_head_alone_is_asked_for(target: Any) -> None:
    status, out, _ = await curl("-sI", target.url)

    assert (status, target.requests[0].method) == (0, "HEAD")
    assert out.endswith("\r\n\r\n")


async def test_a_cookie_is_sent(target: Any) -> None:
    await curl("-s", "-b", "canary=always", target.url)

    assert target.requests[0].headers["Cookie"] == "canary=always"


async def test_a_server_that_is_not_ready_is_asked_again_when_that_is_wanted(target: Any) -> None:
    assert await curl("-s", target.url + "not-yet") == (0, "later", "")
    target.requests.clear()
    assert await curl("-s", "--retry", "1", target.url + "not-yet") == (0, "ok", "")


async def test_bytes_are_written_as_they_come(target: Any) -> None:
    out = io.BytesIO()

    assert await asyncio.to_thread(main, ["-s", target.url + "bytes"], out, io.StringIO()) == 0
    assert out.getvalue() == bytes(range(256))


async def test_without_an_answer_the_status_is_written_as_000(target: Any) -> None:
    assert await curl("-s", "-w", "%{http_code}", "http://127.0.0.1:1/") == (7, "000", "")


async def test_a_large_body_is_not_kept(target: Any) -> None:
    class Sizes(io.BytesIO):
        """Keeps nothing but the size of the largest piece."""

        largest = 0

        def write(self, data: Any) -> int:
            self.largest = max(self.largest, len(data))
            return len(data)

    out = Sizes()

    assert await asyncio.to_thread(main, ["-s", target.url + "large"], out, io.StringIO()) == 0
    assert 0 < out.largest <= CHUNK


async def test_header_values_may_be_any_text(target: Any) -> None:
    assert (await curl("-s", "-H", "X-A: \u00e9", "-A", "\u00e9", target.url))[0] == 0
