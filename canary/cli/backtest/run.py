"""One backtest, from the command line to what is written: what goes wrong is one line each, and exit code 2."""

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from canary.cli.backtest.assess import assess
from canary.cli.backtest.gather import RECORDED, REQUESTS, Access, Gathered, NothingRecordedError, Progress, gather
from canary.cli.backtest.grid import Grid
from canary.cli.backtest.inputs import InputError, Subject, load
from canary.cli.backtest.picture import picture
from canary.cli.backtest.progress import shown
from canary.cli.backtest.recording import FetchError, Server
from canary.cli.backtest.report import Report
from canary.cli.backtest.table import table
from canary.cli.backtest.when import moment, stamp
from canary.cli.backtest.when import written as length
from canary.cli.backtest.workload import Workload
from canary.cli.backtest.written import to_json, to_yaml
from canary.cli.failures import DONE, FAILED
from canary.cli.rehearse.reading import text_of
from metrics.connections import RANGES
from metrics.errors import MisconfiguredError, QueryError, TimedOutError, UnauthorizedError, UnreachableError
from metrics.ranges import query_range
from metrics.wire import join, place
from outbound.connections import Connections

MOST_LOOKS = 2_000_000
"""Looks that fit into memory: three weeks at 1s, nearly four years at 1m."""


def backtest(arguments: argparse.Namespace) -> int:
    """Run a backtest, and return the exit code."""
    subject = load(
        arguments.filename,
        name=arguments.canary,
        namespace=arguments.namespace,
        mesh_provider=arguments.mesh_provider,
    )
    access = Access(
        _address(arguments.prometheus),
        headers=tuple(_headers(arguments.header)),
        credentials=_credentials(arguments),
        insecure=arguments.insecure,
    )
    grid = _grid(arguments, subject, datetime.now(UTC))
    workload = Workload(arguments.workload) if arguments.workload else None

    try:
        with shown(quiet=arguments.quiet) as progress:
            gathered = asyncio.run(_gather(subject, access, grid, workload, progress, arguments.timeout))
            report = assess(subject, gathered, access.address, seed=arguments.seed, progress=progress)
    except FetchError as error:
        raise InputError(_explain(error, access)) from error
    except NothingRecordedError as error:
        raise InputError(_nothing(grid, access, arguments.workload)) from error
    _tell(arguments, report, gathered)
    if arguments.fail_above is None:
        return DONE
    if report.share is None:
        raise InputError("--fail-above: no rollout could be judged; look at a longer time: --from")
    return FAILED if report.share * 100 > arguments.fail_above else DONE


async def _gather(
    subject: Subject, access: Access, grid: Grid, workload: Workload | None, progress: Progress, deadline: float
) -> Gathered:
    async with Connections(RANGES) as connections:
        server = Server(partial(query_range, connections), deadline)
        return await gather(subject, access, server, grid, workload, progress)


def _tell(arguments: argparse.Namespace, report: Report, gathered: Gathered) -> None:
    if arguments.picture is not None:
        arguments.picture.write_text(picture(report, gathered), encoding="utf-8")
    match arguments.output:
        case "json":
            text = to_json(report)
        case "yaml":
            text = to_yaml(report)
        case "svg":
            text = picture(report, gathered)
        case _:
            text = table(report)
    sys.stdout.write(text)
    sys.stdout.flush()


def _grid(arguments: argparse.Namespace, subject: Subject, now: datetime) -> Grid:
    """The looks, an analysis interval apart, in the window that is asked for."""
    start, end = _moment("--from", arguments.start, now), _moment("--to", arguments.end, now)
    if not start < end:
        raise InputError(f"--from {arguments.start} is not before --to {arguments.end}")
    if end > now:
        raise InputError(f"--to {arguments.end} is in the future")
    grid = Grid.between(start, end, subject.canary.analysis_interval)
    if grid.looks > MOST_LOOKS:
        raise InputError(
            f"--from {arguments.start} makes {grid.looks:,} looks, and {MOST_LOOKS:,} are the most; write a later one"
        )
    return grid


def _moment(option: str, text: str, now: datetime) -> datetime:
    try:
        return moment(text, now)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


def _address(text: str) -> str:
    try:
        join(text, "")
    except MisconfiguredError as error:
        raise InputError(f"--prometheus: {error}; write one such as http://localhost:9090") from error
    return text


def _headers(written: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in written:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            # What was written may be a credential.
            raise InputError("--header: it has no name, or no value; write such as 'X-Scope-OrgID: team'")
        yield name.strip(), value.strip()


def _credentials(arguments: argparse.Namespace) -> Mapping[str, str]:
    if arguments.token_file is not None:
        if arguments.username or arguments.password_file is not None:
            raise InputError("--token-file: there is a user name or password too; keep one of the two")
        return {"token": _secret(arguments.token_file)}
    if not arguments.username and arguments.password_file is None:
        return {}
    if arguments.password_file is None:
        raise InputError("--username: its password is missing; name the file that has it with --password-file")
    return {"username": arguments.username, "password": _secret(arguments.password_file)}


def _secret(path: Path) -> str:
    return text_of(path).strip()


def _explain(failure: FetchError, access: Access) -> str:
    """Why a question got no answer, in one line that says what to do."""
    error, name = failure.error, failure.question.name
    where = f"Prometheus at {place(access.address)}"
    match error:
        case UnreachableError():
            return f"{where} can't be reached: {error}; is --prometheus right?"
        case UnauthorizedError():
            return f"{where} does not let us in: {error}; see --token-file, --username and --header"
        case QueryError():
            what = f"the query for {name}" if name in (REQUESTS, RECORDED) else f"the query of metric {name}"
            return f"{where} refuses {what}: {error}"
        case TimedOutError():
            return f"{where} gives no answer for {name}: {error}; see --timeout"
    return f"{where} gives no usable answer for {name}: {error}"


def _nothing(grid: Grid, access: Access, workload: str | None) -> str:
    asked = f"the {workload}'s metrics" if workload else "the spec's metrics, for canary, primary or Service"
    return (
        f"Prometheus at {place(access.address)} has no value of {asked}, from {stamp(grid.start)} to "
        f"{stamp(grid.end)} UTC ({length(grid.end - grid.start)}); see --from, --to, --namespace and --mesh-provider"
    )
