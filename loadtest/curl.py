"""The part of `curl` that acceptance tests use, for images that lack the real one: one address, no files read.

Flags: -s -S -f -L -k -G -X -d --data-raw --data-binary -H -A -u -m -o (/dev/null or -) and -w (%{http_code} and a
newline), together as curl allows (`-sfd data`). The exit statuses are curl's: 0, 2 wrong flags, 3 no address, 6
unknown host, 7 no connection, 22 an error answer with -f, 28 out of time, 56 broken answer, 60 untrusted certificate.
"""

import argparse
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, TextIO

import httpx

WRONG_FLAGS, NO_ADDRESS, NO_HOST, NO_CONNECTION = 2, 3, 6, 7
ERROR_ANSWER, OUT_OF_TIME, BROKEN_ANSWER, UNTRUSTED = 22, 28, 56, 60


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_FLAGS, f"curl: {message} (this is a small curl; put the real one into the image)\n")


def _literal(value: str) -> str:
    if value.startswith("@"):
        msg = "data from a file is not supported"
        raise argparse.ArgumentTypeError(msg)
    return value


def _header(value: str) -> tuple[str, str]:
    name, colon, rest = value.partition(":")
    if not colon or not name.strip():
        msg = f"{value!r} is not a header; write 'Name: value'"
        raise argparse.ArgumentTypeError(msg)
    return name.strip(), rest.strip()


def _user(value: str) -> tuple[str, str]:
    name, _, password = value.partition(":")
    return name, password


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("-s", "--silent", action="store_true")
    add("-S", "--show-error", action="store_true")
    add("-f", "--fail", action="store_true")
    add("-L", "--location", action="store_true")
    add("-k", "--insecure", action="store_true")
    add("-G", "--get", action="store_true")
    add("-X", "--request", dest="method", default="")
    add("-d", "--data", "--data-binary", dest="data", action="append", type=_literal, default=[])
    add("--data-raw", dest="data", action="append", default=[])
    add("-H", "--header", dest="headers", action="append", type=_header, default=[])
    add("-A", "--user-agent", default="canary-loadtest")
    add("-u", "--user", type=_user, default=None)
    add("-m", "--max-time", type=float, default=None)
    add("-o", "--output", choices=("/dev/null", "-"), default="-")
    add("-w", "--write-out", default="")
    add("url", nargs="?", default="")
    return parser


def main(arguments: Sequence[str], out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> int:
    """Ask for one address as the command line says; write the answer's body to `out` and return the exit status."""
    options = _parser().parse_args(arguments)
    url = options.url if "://" in options.url else f"http://{options.url}"
    try:
        with httpx.Client(
            verify=not options.insecure, follow_redirects=options.location, auth=options.user, timeout=options.max_time
        ) as client:
            response = client.send(_request(client, url, options))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        status = _status(error)
        if options.show_error or not options.silent:
            err.write(f"curl: ({status}) {str(error) or type(error).__name__}\n")
        return status
    refused = options.fail and response.is_error
    if refused and (options.show_error or not options.silent):
        err.write(f"curl: ({ERROR_ANSWER}) The requested URL returned error: {response.status_code}\n")
    if options.output == "-" and not refused:
        out.write(response.text)
    out.write(options.write_out.replace("%{http_code}", str(response.status_code)).replace("\\n", "\n"))
    return ERROR_ANSWER if refused else 0


def _request(client: httpx.Client, url: str, options: argparse.Namespace) -> httpx.Request:
    data = "&".join(options.data)
    method = options.method or ("POST" if options.data and not options.get else "GET")
    headers = {"User-Agent": options.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    if not options.data or options.get:
        joint = "&" if "?" in url else "?"
        address = f"{url}{joint}{data}" if data else url
        return client.build_request(method, address, headers=_over(headers, options.headers))
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return client.build_request(method, url, headers=_over(headers, options.headers), content=data.encode())


def _over(defaults: Mapping[str, str], given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers given, and those defaults that they don't replace."""
    names = {name.lower() for name, _ in given}
    return [(name, value) for name, value in defaults.items() if name.lower() not in names] + list(given)


def _status(error: BaseException) -> int:
    """Return curl's exit status for what went wrong, from the most telling of its causes."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UNTRUSTED
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NO_HOST
    match error:
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return NO_ADDRESS
        case httpx.TimeoutException():
            return OUT_OF_TIME
        case httpx.ConnectError():
            return NO_CONNECTION
        case _:
            return BROKEN_ANSWER


def _causes(error: BaseException | None) -> Sequence[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
