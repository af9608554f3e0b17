"""The part of `curl` that acceptance tests use, for machines that lack the real one: one address, no files.

The exit statuses are curl's: 0, 2 wrong flags, 3 no address, 6 unknown host, 7 no connection, 22 an error answer with
-f, 23 nobody reads what is written, 28 out of time, 47 too many redirects, 56 broken answer, 60 untrusted certificate.
"""

import argparse
import asyncio
import math
import ssl
import sys
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, NoReturn, TextIO

import aiohttp

WRONG_FLAGS, NO_ADDRESS, NO_HOST, NO_CONNECTION, ERROR_ANSWER = 2, 3, 6, 7, 22
NO_READER, OUT_OF_TIME, TOO_MANY_REDIRECTS, BROKEN_ANSWER, UNTRUSTED = 23, 28, 47, 56, 60

WORTH_ANOTHER_TRY = frozenset({408, 429, 500, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 600.0
"""Seconds before the first retry, doubled each time, and the most of them."""

MOST_REDIRECTS = 50
CHUNK = 64 * 1024
FORM = "application/x-www-form-urlencoded"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_FLAGS, f"curl: {message} (this is a small curl, for want of the real one on PATH)\n")


def _literal(value: str) -> str:
    if value.startswith("@"):
        msg = "data from a file is not supported"
        raise argparse.ArgumentTypeError(msg)
    return value


def _sendable(value: str) -> str:
    if not value.isprintable() or any("\ud800" <= char <= "\udfff" for char in value):
        msg = f"{value!a} can't stand in a header"
        raise argparse.ArgumentTypeError(msg)
    return value


def _header(value: str) -> tuple[str, str]:
    name, colon, rest = _sendable(value).partition(":")
    if not colon or not name.strip() or not name.isascii():
        msg = f"{value!r} is not a header; write 'Name: value'"
        raise argparse.ArgumentTypeError(msg)
    return name.strip(), rest.strip()


def _method(value: str) -> str:
    if not value.isascii() or not value.isalpha():
        msg = f"{value!a} is not a method"
        raise argparse.ArgumentTypeError(msg)
    return value


def _seconds(value: str) -> float | None:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        msg = f"{value} is not a number of seconds"
        raise argparse.ArgumentTypeError(msg)
    return seconds or None


def _count(value: str) -> int:
    if not value.isdecimal() or not value.isascii() or len(value) > len("1000"):
        msg = f"{value!r} is not a count"
        raise argparse.ArgumentTypeError(msg)
    return int(value)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    for flags in (("-s", "--silent"), ("-S", "--show-error"), ("-L", "--location"), ("-k", "--insecure")):
        add(*flags, action="store_true")
    # These change nothing that a test could see.
    for flag in ("-v", "--verbose", "-N", "--no-buffer", "--no-progress-meter", "-4", "--ipv4"):
        add(flag, action="store_true")
    add("-f", "--fail", action="store_true")
    add("-i", "--include", action="store_true")
    add("-I", "--head", action="store_true")
    add("-G", "--get", action="store_true")
    add("--compressed", action="store_true")
    add("-X", "--request", dest="method", type=_method, default=None)
    add("-d", "--data", "--data-ascii", "--data-binary", dest="data", action="append", type=_literal, default=[])
    add("--data-raw", dest="data", action="append", default=[])
    add("-H", "--header", dest="headers", action="append", type=_header, default=[])
    add("-A", "--user-agent", type=_sendable, default="canary-loadtest")
    add("-b", "--cookie", type=_sendable, default="")
    add("-u", "--user", type=_sendable, default=None)
    add("-m", "--max-time", type=_seconds, default=None)
    add("--connect-timeout", type=_seconds, default=None)
    add("--retry", type=_count, default=0)
    add("-o", "--output", choices=("/dev/null", "-"), default="-")
    add("-w", "--write-out", default="")
    add("url", nargs="?", default="")
    return parser


class _FailedError(Exception):
    """There was no answer, or none that counts.

    Args:
        status: curl's exit status.
        words: why.
        again: whether another try may help.
    """

    def __init__(self, status: int, words: str, *, again: bool = False) -> None:
        super().__init__(words)
        self.status = status
        self.again = again


class _Transfer:
    """One address, asked for as the command line says.

    Args:
        options: the command line.
        out: where the answer goes.
    """

    def __init__(self, options: argparse.Namespace, out: BinaryIO) -> None:
        self._options = options
        self._out = out
        self.code = 0

    async def run(self) -> None:
        """Ask, again where that is wanted and may help.

        Raises:
            _FailedError: there was no answer that counts.
        """
        pause, left = FIRST_PAUSE, self._options.retry
        while True:
            try:
                await self._once(is_last=not left)
            except _FailedError as failure:
                if not left or not failure.again:
                    raise
            else:
                return
            left -= 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self, *, is_last: bool) -> None:
        options = self._options
        timeout = aiohttp.ClientTimeout(total=options.max_time, sock_connect=options.connect_timeout)
        try:
            async with aiohttp.ClientSession(
                timeout=timeout, auto_decompress=options.compressed, cookie_jar=aiohttp.DummyCookieJar()
            ) as session:
                sends = bool(options.data) and not options.get
                async with session.request(
                    options.method or ("HEAD" if options.head else "POST" if sends else "GET"),
                    _address(options),
                    headers=_headers(options, sends=sends),
                    data=_data(options) if sends else None,
                    allow_redirects=options.location,
                    max_redirects=MOST_REDIRECTS,
                    ssl=not options.insecure,
                ) as response:
                    self.code = response.status
                    if response.status in WORTH_ANOTHER_TRY and not is_last:
                        raise _FailedError(ERROR_ANSWER, str(response.status), again=True)
                    await self._write(response)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            raise _failure(error) from None

    async def _write(self, response: aiohttp.ClientResponse) -> None:
        if self._options.fail and response.status >= 400:
            raise _FailedError(ERROR_ANSWER, f"The requested URL returned error: {response.status}")
        wanted = self._options.output == "-"
        if wanted and (self._options.include or self._options.head):
            lines = [f"HTTP/1.1 {response.status} {response.reason}".encode()]
            lines += [name + b": " + value for name, value in response.raw_headers]
            self._put(b"\r\n".join([*lines, b"", b""]))
        async for chunk in response.content.iter_chunked(CHUNK):
            if wanted:
                self._put(chunk)

    def _put(self, data: bytes) -> None:
        try:
            self._out.write(data)
        except OSError as error:
            raise _FailedError(NO_READER, f"Failure writing output: {error.strerror}") from None


def main(arguments: Sequence[str], out: BinaryIO | None = None, err: TextIO | None = None) -> int:
    """Ask for one address as the command line says; write the answer to `out` and return the exit status."""
    options = _parser().parse_args(arguments)
    out, err = out or sys.stdout.buffer, err or sys.stderr
    transfer = _Transfer(options, out)
    status = 0
    try:
        asyncio.run(_within(options.max_time, transfer))
    except _FailedError as failure:
        status = failure.status
        if options.show_error or not options.silent:
            err.write(f"curl: ({status}) {failure}\n")
    words: str = options.write_out
    code = f"{transfer.code:03}"
    for name, text in (("%{http_code}", code), ("%{response_code}", code), ("\\n", "\n")):
        words = words.replace(name, text)
    with suppress(OSError):  # whoever reads has what they wanted
        out.write(words.encode(errors="surrogateescape"))
        out.flush()
    return status


async def _within(limit: float | None, transfer: _Transfer) -> None:
    """Give everything together, tries and pauses included, so many seconds."""
    try:
        async with asyncio.timeout(limit):
            await transfer.run()
    except TimeoutError:
        raise _FailedError(OUT_OF_TIME, f"Operation timed out after {limit} seconds") from None


def _address(options: argparse.Namespace) -> str:
    address: str = options.url if "://" in options.url else f"http://{options.url}"
    if options.data and options.get:
        address += ("&" if "?" in address else "?") + "&".join(options.data)
    return address


def _data(options: argparse.Namespace) -> bytes:
    """Return what is posted; arguments that are no text are sent as they came."""
    return "&".join(options.data).encode(errors="surrogateescape")


def _headers(options: argparse.Namespace, *, sends: bool) -> list[tuple[str, str]]:
    """Return the usual headers, but for those that are given, and those."""
    usual = {"User-Agent": options.user_agent, "Accept": "*/*"}
    usual["Accept-Encoding"] = "gzip, deflate" if options.compressed else "identity"
    if sends:
        usual["Content-Type"] = FORM
    if options.cookie:
        usual["Cookie"] = options.cookie
    if options.user is not None:
        name, _, password = options.user.partition(":")
        usual["Authorization"] = f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"
    given: list[tuple[str, str]] = options.headers
    names = {name.lower() for name, _ in given}
    return [(name, value) for name, value in usual.items() if name.lower() not in names] + given


def _failure(error: Exception) -> _FailedError:
    """Return what curl says to what went wrong."""
    words = str(error) or type(error).__name__
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
            return _FailedError(NO_ADDRESS, f"not an address that can be asked: {words}")
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return _FailedError(UNTRUSTED, words)
        case aiohttp.ClientConnectorDNSError():
            return _FailedError(NO_HOST, words, again=True)
        case TimeoutError():
            return _FailedError(OUT_OF_TIME, f"timed out: {words}", again=True)
        case aiohttp.ClientConnectorError():
            return _FailedError(NO_CONNECTION, words)
        case aiohttp.TooManyRedirects():
            return _FailedError(TOO_MANY_REDIRECTS, "too many redirects")
        case _:
            return _FailedError(BROKEN_ANSWER, words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
