"""The live view of `canary get -w`: a picture, drawn anew with every change and every second; lines if no terminal."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from canary.cli.cluster import tables
from canary.cli.cluster.access import in_words
from canary.cli.cluster.view import Check, View, number, view_of
from canary.cli.cluster.waits import waits_for
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, Unauthorized
from canary.kube.types import CANARY, Json, Resource
from canary.kube.watch import WatchCache

_BAR: Final = 24
_COLOURS: Final = {
    "Succeeded": "32",
    "Initialized": "32",
    "Pass": "32",
    "Failed": "31",
    "Fail": "31",
    "Waiting": "33",
    "WaitingPromotion": "33",
    "NoData": "33",
    "Unavailable": "33",
    "Progressing": "36",
    "Promoting": "36",
    "Finalising": "36",
    "RollingBack": "33",
    "RolledBack": "33",
    "NotBack": "31",
    "Passed": "32",
}
_MARKS: Final = {"Pass": "✓", "Fail": "✗", "NoData": "?", "Unavailable": "!"}

Paint = Callable[[str, str], str]
"""Puts a text in the colour of a word."""


def painted(text: str, word: str) -> str:
    """The text in the colour of a phase or verdict."""
    return f"\x1b[{_COLOURS[word]}m{text}\x1b[0m" if word in _COLOURS else text


def plain(text: str, _: str) -> str:
    """The text as it is."""
    return text


def frame(views: Sequence[View], now: datetime, paint: Paint, *, lost: str = "") -> list[str]:
    """One picture of all of them: a line for each, and below it what is measured where a rollout is under way."""
    width = max((len(f"{each.namespace}/{each.name}") for each in views), default=0)
    lines = [line for view in views for line in _of_one(view, now, paint, width)]
    at = now.astimezone(UTC).strftime("%H:%M:%SZ")
    return [*(lines or ["no Canaries here"]), "", f"{at}   {lost or 'Ctrl-C ends this view, and nothing else'}"]


def _of_one(view: View, now: datetime, paint: Paint, width: int) -> Iterator[str]:
    name = f"{view.namespace}/{view.name}".ljust(width)
    phase = paint((view.phase or "-").ljust(16), view.phase)
    since = tables.since(view, now).rjust(7)
    if view.resting:
        yield f"{name}  {phase}  {since}  {_resting(view)}".rstrip()
        return
    step = f"step {view.step}/{view.steps}  " if view.steps else ""
    yield f"{name}  {phase}  {since}  {bar(view.weight)} {view.weight:3} %  {step}failed {tables.failed(view)}"
    names = max((len(each.name) for each in view.checks), default=0)
    yield from (f"    {_measured(each, paint, names)}".rstrip() for each in view.checks)
    if waits := waits_for(view, now):
        yield f"    → {' '.join(waits.split())}"


def _resting(view: View) -> str:
    return " ".join((view.stalled or (view.message if view.phase == "Failed" else "")).split())


def _measured(check: Check, paint: Paint, width: int) -> str:
    value = number(check.value) if check.value is not None else "-"
    told = "" if check.verdict == "Pass" else " ".join(check.message.split())
    mark = paint(_MARKS.get(check.verdict, "·"), check.verdict)
    return f"{mark} {check.name.ljust(width)}  {value:>8}  {check.threshold:<14}  {told}"


def bar(weight: int) -> str:
    """A weight in percent as a bar; what is begun of a field shows."""
    full = -(-weight * _BAR // 100)
    return "█" * full + "░" * (_BAR - full)


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of its own, so that the shell's is as it was afterwards."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        yield
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _draw(lines: Sequence[str]) -> None:
    size = shutil.get_terminal_size()
    shown = lines if len(lines) <= size.lines else [*lines[: size.lines - 2], "…", lines[-1]]
    # Long lines are cut by the terminal, not wrapped: a picture that scrolls can't be drawn over.
    sys.stdout.write(
        "\x1b[?7l\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown[:-1]) + f"{shown[-1]}\x1b[K\x1b[J\x1b[?7h"
    )
    sys.stdout.flush()


async def watch(
    client: KubeClient, namespace: str | None, name: str, show: "Show", resource: Resource = CANARY
) -> None:
    """Follow Canaries, or objects of another kind, until this is interrupted.

    Args:
        client: the way to the cluster.
        namespace: only there; None for everywhere.
        name: the only one; empty for all.
        show: how they are shown.
        resource: their kind.

    Raises:
        KubeError: there is none of that name, or they may not be read.
        CommandError: they may not be watched.
    """
    # Asked once beforehand, so that a wrong name or a missing right is told at once.
    await (client.get(resource, namespace, name) if name and namespace else client.list(resource, namespace))
    cache: WatchCache[Json] = WatchCache(client, resource, namespace=namespace)
    changed = asyncio.Event()
    cache.subscribe(lambda _: changed.set())
    following = asyncio.create_task(cache.run())
    try:
        await cache.tried.wait()
        while True:
            changed.clear()
            if isinstance(cache.failure, Forbidden | Unauthorized):
                raise in_words(cache.failure)
            found = [each for each in cache.list(namespace) if not name or each["metadata"]["name"] == name]
            lost = "" if cache.failure is None else f"the cluster does not answer: {cache.failure.message}"
            show(
                sorted(found, key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"])), lost
            )
            try:
                await asyncio.wait_for(changed.wait(), 1)
            except TimeoutError:
                continue
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


Show = Callable[[Sequence[Json], str], None]
"""Shows Canaries, and what keeps them from being current; called with every change and once a second."""


@dataclass(frozen=True, slots=True)
class Look:
    """How objects of one kind look.

    Args:
        picture: one picture of all of them, with what keeps it from being current.
        table: a table of them.
    """

    picture: Callable[[Sequence[Json], datetime, Paint, str], list[str]]
    table: Callable[[Sequence[Json], datetime, bool, bool], list[str]]


def _picture(found: Sequence[Json], now: datetime, paint: Paint, lost: str) -> list[str]:
    return frame([view_of(each) for each in found], now, paint, lost=lost)


def _table(found: Sequence[Json], now: datetime, everywhere: bool, wide: bool) -> list[str]:
    return tables.canaries([view_of(each) for each in found], now, everywhere=everywhere, wide=wide)


CANARIES: Final = Look(_picture, _table)
"""How Canaries look."""


@contextmanager
def shown(form: str, *, everywhere: bool, look: Look = CANARIES) -> Iterator[Show]:
    """How they are shown: as a picture on a terminal; anywhere else a line, or an object, with each change."""
    if form in ("table", "wide") and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        paint = plain if os.environ.get("NO_COLOR") else painted
        last: list[list[str]] = []

        def draw(found: Sequence[Json], lost: str) -> None:
            last[:] = [look.picture(found, datetime.now(UTC), paint, lost)]
            _draw(last[0])

        try:
            with _screen():
                yield draw
        finally:
            # What was seen last stays.
            print("\n".join(last[0][:-2] if last else ()))
        return
    known: dict[tuple[str, str], str] = {}

    def tell(found: Sequence[Json], _: str) -> None:
        for each in found:
            key = each["metadata"].get("namespace", ""), each["metadata"]["name"]
            if known.get(key) != (version := each["metadata"].get("resourceVersion", "")):
                first, known[key] = not known, version
                _tell(each, form, look, everywhere=everywhere, first=first)

    yield tell


def _tell(raw: Json, form: str, look: Look, *, everywhere: bool, first: bool) -> None:
    if form == "json":
        print(tables.written(tables.bare(raw), form), flush=True)
        return
    if form == "yaml":
        print(f"---\n{tables.written(tables.bare(raw), form)}", flush=True)
        return
    lines = look.table([raw], datetime.now(UTC), everywhere, form == "wide")
    print("\n".join(lines if first else lines[1:]), flush=True)
