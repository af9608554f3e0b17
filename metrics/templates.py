"""The queries of MetricTemplates: Flagger's template language with its eight names, and our `pods` and `ports`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from metrics.gotemplate import LONGEST_TEXT, TemplateError, evaluate, form_of, parse

__all__ = ["NAMES", "Model", "TemplateError", "check", "render"]

NAMES = frozenset(
    {"name", "namespace", "target", "service", "ingress", "route", "interval", "variables", "pods", "ports"}
)
"""What a query template may call, without arguments."""

_PLAIN = NAMES - {"variables"}

# The endings that the cluster itself gives to pod names have no vowels: `primary` is never one of them.
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"

# A ReplicaSet is named by a hash of ten digits at most, each written as one of these.
_HASH, _LONGEST_HASH = "[456789bcdf]", 10

# What a pod is named by is cut to this length before its own ending of five characters.
_LONGEST_BASE = 58

_DEPLOYMENT, _DAEMON_SET = "Deployment", "DaemonSet"

_ANY_PORT = "[0-9a-zA-Z-]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a query is told about its Canary.

    Args:
        name: the Canary's name.
        namespace: its namespace.
        target: the name of its target.
        service: the name of its Service, the target's where the spec gives none.
        ingress: the name of its Ingress, the target's where the spec gives none.
        route: the name of its route, the target's where the spec gives none.
        interval: the metric's interval, as the spec writes it.
        variables: the metric's `templateVariables`.
        pods: a regular expression for the names of the canary's pods; empty where they are the target's name and
            what the cluster adds to it.
        ports: a regular expression for the ports of its Services, by number and by name; empty for any.
        kind: the kind of its target, by which pods are named; empty where it may be any.
    """

    name: str
    namespace: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    variables: Mapping[str, str] = field(default_factory=dict)
    pods: str = ""
    ports: str = ""
    kind: str = ""


def render(template: str, model: Model) -> str:
    """Fill a query template in.

    Raises:
        TemplateError: it can't be read, or asks for what the model hasn't got; the message names the place
            and what there is.
    """
    values, form = _values(model), _form(template)
    if form is not None and len(text := form % values) <= LONGEST_TEXT:
        return text
    return _evaluated(template, tuple(values.items()), tuple(model.variables.items()))


def _values(model: Model) -> dict[str, str]:
    values: dict[str, str] = {name: getattr(model, name) for name in _PLAIN}
    values["pods"] = model.pods or _pods_of(model.target, model.kind)
    values["ports"] = model.ports or _ANY_PORT
    return values


@lru_cache(maxsize=4096)
def _form(template: str) -> str | None:
    """The template in a form that is filled in at once, where nothing else is asked for than names."""
    return form_of(parse(template, NAMES), _PLAIN)


@lru_cache(maxsize=1024)
def _evaluated(template: str, values: tuple[tuple[str, str], ...], variables: tuple[tuple[str, str], ...]) -> str:
    """The template with these values: look after look the same questions are asked."""
    return evaluate(parse(template, NAMES), {**dict(values), "variables": dict(variables)})


def _pods_of(workload: str, kind: str) -> str:
    """A regular expression for the names of the pods of a workload: by its kind, not to take a neighbour's for them.

    Of a Deployment `app` the pods of a DaemonSet `app-db` could be, and the other way round: `app-db-x2v9k`.
    """
    # In brackets, as a backslash would have to be doubled inside of PromQL's quotes.
    name = workload.replace(".", "[.]")
    room = _LONGEST_BASE - len(workload) - 1
    if kind == _DAEMON_SET or room <= 0:
        # No hash, or one that is cut off.
        cut = f"{workload}-"[:_LONGEST_BASE].replace(".", "[.]")
        return f"{cut}{_SAFE}{{5}}"
    many = "" if kind == _DEPLOYMENT else "?"
    if room > _LONGEST_HASH:
        return f"{name}-({_SAFE}{{1,{_LONGEST_HASH}}}-){many}{_SAFE}{{5}}"
    # The hash runs into the ending where it is as long as there is room, or longer. Of `-primary` as much may be left
    # as `-pr`, which is no hash.
    whole = f"({_HASH}{{1,{room - 1}}}-){many}" if room > 1 else ""
    return f"{name}-({whole}|{_HASH}{{{room}}}){_SAFE}{{5}}"


def check(template: str) -> None:
    """See whether a query template can be read, without a Canary at hand.

    Raises:
        TemplateError: it can't.
    """
    parse(template, NAMES)
