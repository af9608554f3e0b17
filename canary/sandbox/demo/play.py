"""What happens in the demonstration, on a real cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from canary.kube.types import Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.demo import manifests
from canary.sandbox.demo.board import Board
from canary.sandbox.demo.load import load_of
from canary.sandbox.demo.outcome import Ending, Outcome, everybody, problems_of_bad, problems_of_good
from canary.sandbox.demo.pictures import Record, Rollout
from canary.sandbox.demo.story import Act, Frame, reason_of
from canary.sandbox.harness import Rig
from canary.sandbox.options import Options
from canary.sandbox.scenario import Scenario

Show = Callable[[Frame], None]
"""Is given what is the case, a few times a second."""

RATE = 40.0
"""Requests a second."""
_SHOW_EVERY_SECONDS = 0.25
_QUIET_SECONDS = 2.0
"""How long nothing is changed before a rollout and after it, for the pictures."""

_CLUSTER, _BEHIND, _GOOD, _BAD = range(4)
_ACTS = (
    Act("Kubernetes, Traefik, Prometheus, the controller"),
    Act(f"{manifests.FIRST} serves {RATE:.0f} requests a second"),
    Act(f"{manifests.GOOD}, a good version"),
    Act(f"{manifests.BAD}, which turns bad after {manifests.BAD_AFTER_SECONDS} s"),
)


class DemoError(RuntimeError):
    """The demonstration could not go on; the text says why."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A rollout that is over, and what the Canary's status said of it then."""

    rollout: Rollout
    status: Json


async def play(options: Options, show: Show) -> tuple[Outcome, Record]:
    """Run all of it.

    Args:
        options: how the cluster is; with controller and load tester on it.
        show: is given what is the case, a few times a second.

    Raises:
        DemoError: what should have happened did not, in time.
        PartFailed: a part of the cluster died.
        ToolMissingError: a program of the cluster is missing.
        ManifestError: the CustomResourceDefinitions were not accepted.
    """
    board = Board(_ACTS)
    async with _shown(board, show):
        try:
            good, bad = await _on_a_cluster(board, options)
        except AssertionError as error:  # a recording's word for what did not come
            raise DemoError(str(error)) from error
        # Only now, so that a request that was never answered counts.
        return Outcome(_ending(board, good), _ending(board, bad)), _record(board, good, bad)


@asynccontextmanager
async def _shown(board: Board, show: Show) -> AsyncIterator[None]:
    async def keep_showing() -> None:
        while True:
            show(board.frame())
            await asyncio.sleep(_SHOW_EVERY_SECONDS)

    task = asyncio.create_task(keep_showing(), name="show")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        show(board.frame())


async def _on_a_cluster(board: Board, options: Options) -> tuple[_Done, _Done]:
    board.begin(_CLUSTER)
    async with (
        Cluster(options, lambda line: board.note(_CLUSTER, line)) as cluster,
        Rig.on(cluster, manifests.NAMESPACE) as rig,
        Scenario.on(rig) as scenario,
        board.hearing(rig),
    ):
        board.scenario = scenario
        board.end(_CLUSTER)
        board.begin(_BEHIND)
        await scenario.initialise(manifests.canary(), manifests.first())
        async with scenario.traffic(RATE) as board.traffic:
            await asyncio.sleep(_QUIET_SECONDS)
            board.end(_BEHIND)
            good = await _roll_out(board, _GOOD, scenario, manifests.GOOD, {})
            bad = await _roll_out(board, _BAD, scenario, manifests.BAD, manifests.FAULTS)
        return good, bad


async def _roll_out(board: Board, act: int, scenario: Scenario, version: str, faults: dict[str, str]) -> _Done:
    """Apply a version and follow it to its end, and a little further."""
    board.begin(act)
    began = board.now
    await scenario.deploy(version, environment=faults)
    await scenario.phase("Progressing")
    phase = await scenario.ended()
    done = _Done(Rollout(version, began, board.now, promoted=phase == "Succeeded"), scenario.status)
    ending = _ending(board, done)
    problems = problems_of_good(ending) if act == _GOOD else problems_of_bad(ending)
    board.end(act, ending.in_words, well=not problems)
    await asyncio.sleep(_QUIET_SECONDS)
    return done


def _ending(board: Board, done: _Done) -> Ending:
    rollout = done.rollout
    answers = [answer for answer in board.answers() if rollout.began <= answer.at <= rollout.ended]
    return Ending(
        version=rollout.version,
        phase=str(done.status.get("phase", "")),
        seconds=rollout.ended - rollout.began,
        load=load_of(answers),
        highest=max((weight for at, weight in board.weights() if rollout.began <= at <= rollout.ended), default=0),
        reason=reason_of(done.status),
        everybody=everybody(rollout.version, answers),
    )


def _record(board: Board, *done: _Done) -> Record:
    return Record(
        first=manifests.FIRST,
        rollouts=tuple(each.rollout for each in done),
        weights=tuple(board.weights()),
        answers=tuple(board.answers()),
        events=tuple(board.events),
    )
