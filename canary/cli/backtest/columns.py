"""Text in columns, and shares as percentages."""

from collections.abc import Iterable, Iterator, Sequence


def percent(share: float) -> str:
    """A share, 0 to 1, as a percentage that is 0 or 100 only where it is exactly so."""
    if share in (0, 1):
        return f"{share * 100:.0f} %"
    if share < 0.0001:
        return "< 0.01 %"
    if share > 0.9999:
        return "> 99.99 %"
    if share < 0.1:
        return f"{share * 100:.2g} %"
    return f"{share * 100:.{1 if share < 0.99 else 2}f}".removesuffix(".0") + " %"


def columns(rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> Iterator[str]:
    """Rows under each other; the first is the head. A row that is too short is written out as far as it goes."""
    listed = list(rows)
    count = max(len(row) for row in listed)
    whole = [row for row in listed if len(row) == count]
    widths = [max(len(row[index]) for row in whole) for index in range(count)]
    widths[0] = max(len(row[0]) for row in listed)
    for row in listed:
        cells = (
            cell.rjust(widths[index]) if index in right and len(row) == count else cell.ljust(widths[index])
            for index, cell in enumerate(row)
        )
        yield "  ".join(cells).rstrip()
