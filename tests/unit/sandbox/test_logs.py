"""What of a log is asked for, and given."""

import pytest

from canary.sandbox.node.logs import LogRequest, last_lines, parse


@pytest.mark.parametrize(
    ("target", "request_"),
    [
        ("/containerLogs/shop/web-1/main", LogRequest("shop", "web-1", "main")),
        ("/containerLogs/a/b/c?follow=true&tailLines=10", LogRequest("a", "b", "c", tail=10, follow=True)),
        ("/containerLogs/a/b/c?tailLines=x&follow=false", LogRequest("a", "b", "c")),
        ("/containerLogs/a/b", None),
        ("/exec/a/b/c", None),
        ("/", None),
    ],
)
def test_only_the_api_servers_request_is_understood(target: str, request_: LogRequest | None) -> None:
    assert parse(target) == request_


@pytest.mark.parametrize(("count", "given"), [(None, b"a\nb\nc"), (0, b""), (1, b"c"), (2, b"b\nc"), (9, b"a\nb\nc")])
def test_the_last_lines(count: int | None, given: bytes) -> None:
    assert last_lines(b"a\nb\nc", count) == given
