"""The demonstration's own program: shows it, draws it, and says how it ended."""

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from canary.charts import svg
from canary.sandbox.binaries import ToolMissingError
from canary.sandbox.cluster import ManifestError
from canary.sandbox.demo.lines import lines
from canary.sandbox.demo.outcome import report
from canary.sandbox.demo.pictures import Record, chart
from canary.sandbox.demo.play import DemoError, Show, play
from canary.sandbox.demo.story import Frame
from canary.sandbox.installation import installed
from canary.sandbox.options import Options
from canary.sandbox.process import PartFailed

_INTERRUPTED = 130
_MARGIN_SECONDS = 2.0
_WIDEST = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demonstration: 0 where it went as it should, 1 where not, 130 where it was interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m canary.sandbox.demo", description="What `canary sandbox demo` runs inside a private network."
    )
    parser.add_argument("--definitions", type=Path, required=True, help="the CustomResourceDefinitions")
    parser.add_argument("--folder", type=Path, required=True, help="for the cluster's files")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--program", default="canary", help="how people type the program")
    parser.add_argument("--plain", action="store_true", help="lines instead of the live view")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    given.pictures.mkdir(parents=True, exist_ok=True)
    with (given.folder / "demo.log").open("w") as log:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
        try:
            return asyncio.run(_run(given))
        except BrokenPipeError:  # nobody is told any more
            raise
        except (DemoError, PartFailed, ManifestError, ToolMissingError, OSError) as error:
            _say(f"\nThe demonstration could not go on: {error}\n{_logs(given.folder, given.pictures)}")
            return 1
        except asyncio.CancelledError:
            _say("\nInterrupted; nothing is left running.")
            return _INTERRUPTED


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command line


async def _run(given: argparse.Namespace) -> int:
    _stop_when_told()
    options = installed(Options(folder=given.folder), [given.definitions])
    with _shown(plain=given.plain or not sys.stdout.isatty()) as show:
        outcome, record = await play(options, show)
    files = draw(record, given.pictures)
    _say("\n".join(["", *report(outcome, files, given.program)]))
    if outcome.problems:
        _say(f"\n{_logs(given.folder, given.pictures)}")
    return 1 if outcome.problems else 0


def _stop_when_told() -> None:
    """End in order at the first signal; a terminal and each process in between send one each."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    told: list[int] = []

    def stop(number: int) -> None:
        if task is not None and not told:
            task.cancel()
        told.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)


@contextmanager
def _shown(*, plain: bool) -> Iterator[Show]:
    """A live view where there is a terminal, lines where not."""
    if plain:
        yield _printer()
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - comes with an extra
        from rich.live import Live  # noqa: PLC0415

        from canary.sandbox.demo.screen import render  # noqa: PLC0415
    except ImportError:
        _say("The live view needs rich: pip install 'canary-controller[sandbox]'. Until then, lines:")
        yield _printer()
        return
    with Live(console=Console(), auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda frame: live.update(render(frame, min(live.console.width, _WIDEST)), refresh=True)


def _printer() -> Show:
    last: list[Frame] = []

    def show(frame: Frame) -> None:
        for line in lines(last[-1] if last else None, frame):
            _say(line)
        last[:] = [frame]

    return show


def draw(record: Record, folder: Path) -> list[Path]:
    """Draw all that happened, and each rollout; the files."""
    good, bad = record.rollouts
    pictures = (
        ("demo", "A good and a bad version", good.began, bad.ended),
        ("good", good.title, good.began, good.ended),
        ("bad", bad.title, bad.began, bad.ended),
    )
    files = []
    for name, title, began, ended in pictures:
        files.append(folder / f"{name}.svg")
        files[-1].write_text(svg(chart(record, title, began - _MARGIN_SECONDS, ended + _MARGIN_SECONDS)))
    return files


def _logs(folder: Path, pictures: Path) -> str:
    try:
        return f"Logs: {_keep_logs(folder, pictures)}"
    except OSError as error:
        return f"Logs could not be kept: {error}"


def _keep_logs(folder: Path, pictures: Path) -> Path:
    """Copy the parts' logs to where they stay."""
    kept = pictures / "logs"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    if (folder / "logs").is_dir():
        shutil.copytree(folder / "logs", kept, dirs_exist_ok=True)
    shutil.copy(folder / "demo.log", kept)
    return kept
