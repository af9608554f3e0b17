"""What is wrong with an object of this group, and what is accepted but unwise, whatever there is in the cluster.

What stands beside it may come a moment later, as GitOps applies files in any order: nothing is asked of it here. The
controller tells what is missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from canary.api import strict
from canary.api.canary import Canary, parse_canary
from canary.api.problems import InvalidResource, Problem, together
from canary.controller.lookup import Configuration, Found, Gap
from canary.controller.observe.index import Claims
from canary.controller.options import Options
from canary.controller.problems import problems
from canary.controller.written import HELD_BY_IT, of_alert_provider, of_metric_template, unaskable
from canary.kube.store import Change, Key
from canary.kube.types import CANARY, Json, Resource
from canary.routers.registry import provider_of

MOST: Final = 100
"""Things that are looked for of what the schema refuses: to find more of them takes long, and nobody reads them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of an object.

    Args:
        wrong: what keeps it from working.
        unwise: what is accepted, and helps nobody.
        schema: what the schema refuses of it, in its own words, also where the rules have better ones.
    """

    wrong: tuple[Problem, ...] = ()
    unwise: tuple[Problem, ...] = ()
    schema: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Alone:
    """The lookup of rules where nothing is known but the Canary itself."""

    canary: Canary
    raw: Json
    claims: Claims = field(default_factory=Claims)

    def __post_init__(self) -> None:
        self.claims.take(Change(Key(self.canary.namespace, self.canary.name), None, self.raw))

    def find(self, resource: Resource, namespace: str, name: str) -> Found:
        """The Canary itself; of any other object nobody knows."""
        is_it = (resource, namespace, name) == (CANARY, self.canary.namespace, self.canary.name)
        return self.raw if is_it else Gap.UNKNOWN

    def configuration(self, canary: Canary) -> Configuration:
        """Nobody knows what its pods read."""
        return Configuration()

    def strangers(self, canary: Canary) -> Iterable[Problem]:
        """Nobody knows of any."""
        return ()


def seen(raw: Json, options: Options) -> Seen:
    """What is wrong with an object of this group, and what is unwise.

    Args:
        raw: the object, with its namespace and a name; its status is of no account.
        options: what the controller is told, such as its own traffic provider.
    """
    found = tuple(islice(strict.problems(raw), MOST))
    unknown = tuple(each for each in found if each.message == strict.UNKNOWN)
    refused = tuple(each for each in found if each.message != strict.UNKNOWN)
    of_kind = _OF_KIND.get(str(raw.get("kind")))
    if of_kind is None:
        return Seen(refused, unknown, refused)
    further = of_kind(raw, options)
    return Seen(together(refused, further.wrong), (*unknown, *further.unwise), refused)


def _of_canary(raw: Json, options: Options) -> Seen:
    try:
        canary = parse_canary({name: value for name, value in raw.items() if name != "status"})
    except InvalidResource as error:
        return Seen(error.problems)
    alone = Alone(canary, raw)
    wrong = problems(canary, alone, options)
    return Seen(wrong, () if wrong else tuple(_unwise(canary, alone, options)))


def _unwise(canary: Canary, alone: Alone, options: Options) -> Iterator[Problem]:
    """What may be so, and helps nobody."""
    field, analysis = canary.analysis_field, canary.analysis
    if canary.skip_analysis:
        return
    if not (analysis.metrics or analysis.webhooks):
        message = "is missing, and so is webhooks, so that a version is promoted whatever it does to users"
        yield Problem(f"{field}.metrics", message, "set metrics, such as request-success-rate with thresholdRange")
    indices = {metric.name: index for index, metric in enumerate(analysis.metrics)}
    for name, why in unaskable(canary, alone, provider_of(canary, options.mesh_provider)).items():
        yield Problem(f"{field}.metrics[{indices[name]}]", f"it can't be asked for: {why}", HELD_BY_IT)


def _of_metric_template(raw: Json, _options: Options) -> Seen:
    return Seen(tuple(of_metric_template(raw)))


def _of_alert_provider(raw: Json, _options: Options) -> Seen:
    return Seen(tuple(of_alert_provider(raw)))


_OF_KIND: Final[Mapping[str, Callable[[Json, Options], Seen]]] = {
    "Canary": _of_canary,
    "MetricTemplate": _of_metric_template,
    "AlertProvider": _of_alert_provider,
}
