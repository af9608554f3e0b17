"""What is wrong with a resource, in words that name the field and the remedy."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps a resource from working.

    Args:
        field: path of the field, such as `spec.analysis.metrics[0].threshold`.
        message: what is wrong with it.
        remedy: what to write instead.
    """

    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}; {self.remedy}"


class InvalidResource(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """A resource that can't be read.

    Args:
        problems: all that is wrong with it, at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


def together(refused: Iterable[Problem], found: Iterable[Problem]) -> tuple[Problem, ...]:
    """What the API server refuses and what is found besides: of a field, what is found has the better words."""
    better = tuple(found)
    named = {each.field for each in better}
    return (*(each for each in refused if each.field not in named), *better)
