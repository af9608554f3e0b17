"""How the series of two versions are picked, in what the data plane of a traffic provider exports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from metrics.builtin import Requests, model_for, sources_of
from metrics.templates import Model, render

CANARY, PROMOTED, USUAL = "canary", "promoted", "usual"
"""The new version; what it is compared with; and what tells what is usual of that, from before the rollout."""

Rewrite: TypeAlias = Callable[[str, Model], tuple[str, Model]]
"""Turns a query template and what it is told into others, to ask about another workload than the canary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Two versions of a workload.

    Args:
        provider: the traffic provider.
        model: what queries are told about the Canary; its interval plays no part.
        rewrite: makes a query about the canary one about the promoted version, where the data plane has no names of its
            own for that; without it, sources that don't tell the versions apart are left out.
        promoted: whether the new version is promoted by now: then both are found under the same names.
        fresh: whether it is compared with pods of the promoted version that were made for that: `rewrite` makes queries
            about these, and what is usual those tell that have served all the while.
    """

    provider: str
    model: Model
    rewrite: Rewrite | None = None
    promoted: bool = False
    fresh: bool = False

    @property
    def sources(self) -> list[Requests]:
        """What tells of both versions, best source first."""
        anywhere = self.rewrite is not None and not self.fresh
        return [source for source in sources_of(self.provider) if source.promoted or anywhere]

    @property
    def asked(self) -> tuple[str, ...]:
        """What is asked about: what is usual by itself only where others tell it."""
        return (CANARY, PROMOTED, USUAL) if self.fresh else (CANARY, PROMOTED)

    def query(self, version: str, source: Requests, written: Callable[[str], str]) -> str:
        """A query about one version.

        Args:
            version: `CANARY`, `PROMOTED` or `USUAL`.
            source: one of the sources.
            written: writes the query template, given the matchers that pick the version's requests.

        Raises:
            TemplateError: it can't be filled in.
        """
        model, rewrite = self.model, self.rewrite
        if version == CANARY and not self.promoted:
            text = written(source.labels)
        elif rewrite is None or (source.promoted and not (self.fresh and version == PROMOTED)):
            text = written(source.promoted)
        else:
            text, model = rewrite(written(source.labels), model)
        return render(text, model_for(self.provider, model))
