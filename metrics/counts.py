"""How many requests came to each version of a Canary, as its data plane counts them: one query for both.

Of each version three sums are asked for, from every source that `metrics.builtin.counted` names:

- at least so many: `increase()`, which brings pods that were scraped at different times to the same stretch of time.
  It misses what a series had when it first appeared.
- at most so many: of a series that is new since the stretch began, all it has counted, three times: `increase()` makes
  up to three times as many of what was counted between two scrapes. Of one with a single sample, all it has ever had.
- so many were there to be counted: the last sample less the first one. That is what a comparison rests on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from math import ceil, isfinite

from metrics.access.grants import Grants
from metrics.builtin import Requests, counted, model_for
from metrics.conversation import Conversation
from metrics.errors import ProviderError, UnreadableError
from metrics.providers.base import unexpected
from metrics.providers.prometheus import PROMETHEUS, data_of
from metrics.question import Question
from metrics.templates import Model, render
from metrics.wire import Response
from outbound.connections import Sender

_CANARY, _PROMOTED = "canary", "promoted"
_LEAST, _MOST, _TOTAL = "least", "most", "total"

_SERIES = {
    _LEAST: "sum(increase({series}[{window}]))",
    _MOST: "sum((3 * max_over_time({series}[{window}]) unless {series} offset {window})"
    " or increase({series}[{window}]) or max_over_time({series}[{window}]))",
    _TOTAL: "sum(max_over_time({series}[{window}]) - min_over_time({series}[{window}]))",
}
_WINDOW = "{{ interval }}"

_NAMED = re.compile(r"(\d+)/(canary|promoted)/(least|most|total)")


@dataclass(frozen=True, slots=True)
class Came:
    """The requests that came to one version.

    Args:
        least: so many did at least.
        most: and so many at most.
        total: so many were counted, of a part of the time.
    """

    least: float = 0.0
    most: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """The requests of both versions.

    Args:
        canary: those of the canary.
        promoted: those of the primary.
        withheld: how many the data plane may give the canary less than its share, by beginning anew.
        direct: whether requests that no route divides are among them.
    """

    canary: Came
    promoted: Came
    withheld: int
    direct: bool


def query_of(provider: str, model: Model) -> str:
    """The query for the requests of both versions over the model's interval; empty where nothing counts them.

    Raises:
        TemplateError: it can't be filled in.
    """
    template = _template(provider)
    return render(template, model_for(provider, model)) if template else ""


@lru_cache(maxsize=64)
def _template(provider: str) -> str:
    return "\nor\n".join(
        f'label_replace({_sum(bound, source, labels)}, "count", "{number}/{version}/{bound}", "", "")'
        for number, source in enumerate(counted(provider))
        for version, labels in ((_CANARY, source.labels), (_PROMOTED, source.promoted))
        for bound in _SERIES
    )


async def count(provider: str, question: Question, connections: Sender, now: datetime) -> Counted | None:
    """Ask for the requests of both versions.

    Args:
        provider: the traffic provider.
        question: the query, as `query_of` gives it, its interval, and whom to ask.
        connections: where the question goes.
        now: the time.

    Returns:
        None where nobody has counted any request, or nobody answers.
    """
    try:
        request = PROMETHEUS.build(question, now)
        talk = Conversation(question, connections, Grants(), now)
        return read(provider, question, await talk.send(request, PROMETHEUS.deadline))
    except ProviderError:
        return None


def read(provider: str, question: Question, response: Response) -> Counted | None:
    """What an answer says: by the first source that has counted requests of the primary.

    What any source has seen of the canary came there: one that counts at the pods themselves may not see it at all. For
    that reason it does not tell either where only the canary is seen.

    Raises:
        ProviderError: it is no answer to such a question.
    """
    found = _found(response)
    most = max((value for (_, *what), value in found.items() if what == [_CANARY, _MOST]), default=0.0)
    for number, source in enumerate(counted(provider)):
        canary, promoted = _came(found, number, _CANARY), _came(found, number, _PROMOTED)
        if promoted.total or (canary.total and not source.direct):
            canary = replace(canary, most=max(canary.most, most))
            return Counted(canary, promoted, _withheld(source, question), source.direct)
    return None


def _sum(bound: str, source: Requests, labels: str) -> str:
    series = f"{source.count}{{{labels}}}"
    return _SERIES[bound].replace("{series}", series).replace("{window}", _WINDOW)


def _withheld(source: Requests, question: Question) -> int:
    """One for each configuration that there may have been."""
    return ceil(question.interval.total_seconds() / source.anew) if source.anew else 0


def _came(found: Mapping[tuple[int, str, str], float], number: int, version: str) -> Came:
    least, most, total = (found.get((number, version, bound), 0.0) for bound in (_LEAST, _MOST, _TOTAL))
    return Came(least, max(least, most), total)


def _found(response: Response) -> dict[tuple[int, str, str], float]:
    """The numbers by source, version and what they are."""
    data = data_of(response)
    match data.get("resultType"), data.get("result"):
        case "vector", list(series):
            return dict(_number(each, response) for each in series)
    raise unexpected(response)


def _number(series: object, response: Response) -> tuple[tuple[int, str, str], float]:
    match series:
        case {"metric": {"count": str(name)}, "value": [_, str(text)]} if named := _NAMED.fullmatch(name):
            try:
                value = float(text)
            except ValueError as error:
                raise UnreadableError("a count is not a number") from error
            return (int(named[1]), named[2], named[3]), value if isfinite(value) and value > 0 else 0.0
    raise unexpected(response)
