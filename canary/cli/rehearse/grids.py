"""Tables for people: drawn by rich on a terminal that has it, as plain lines of text anywhere else."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

GAP = "  "


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Args:
        title: a line above it.
        headings: one a column.
        rows: the cells.
        footer: lines below it.
        right: the columns whose cells end at the same place.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...] = ()
    right: frozenset[int] = frozenset()


def show(grids: Iterable[Grid]) -> None:
    """Print tables, each with an empty line after it."""
    if sys.stdout.isatty() and find_spec("rich") is not None:
        _draw(grids)
        return
    for grid in grids:
        print("\n".join(lines(grid)), end="\n\n")


def lines(grid: Grid) -> Iterator[str]:
    """A table as lines of text."""
    yield grid.title
    table = [grid.headings, *grid.rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(grid.headings))]
    for row in table:
        yield (GAP + GAP.join(_cells(row, widths, grid.right))).rstrip()
    yield from grid.footer


def _cells(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if column in right else cell.ljust(width)


STYLES = (
    ("promoted", "green"),
    ("rolled back", "red"),
    ("waits", "yellow"),
    ("held", "yellow"),
    ("FAILED", "bold red"),
)
"""Colours of cells, by how they begin."""


def _draw(grids: Iterable[Grid]) -> None:
    # Here and not above: only a terminal needs it, and it is an extra.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for grid in grids:
        table = Table(title=Text(grid.title, "bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for column, heading in enumerate(grid.headings):
            table.add_column(
                heading,
                justify="right" if column in grid.right else "left",
                no_wrap=column < len(grid.headings) - 1,
                overflow="fold",
            )
        for row in grid.rows:
            table.add_row(*(Text(cell, _style(cell)) for cell in row))
        console.print(table)
        for line in grid.footer:
            console.print(Text(line, _style(line)))
        console.print()


def _style(cell: str) -> str:
    return next((style for start, style in STYLES if cell.startswith(start)), "")
