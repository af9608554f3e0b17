"""The queries of MetricTemplates: Flagger's template language with its eight names, and `pods`, which is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metrics.gotemplate import TemplateError, evaluate, parse

__all__ = ["NAMES", "Model", "TemplateError", "check", "render"]

NAMES = frozenset({"name", "namespace", "target", "service", "ingress", "route", "interval", "variables", "pods"})
"""What a query template may call, without arguments."""

# The endings that the cluster itself gives to pod names have no vowels: `primary` is never one of them.
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"

# A ReplicaSet is named by a hash of ten digits at most, each written as one of these.
_HASH, _LONGEST_HASH = "[456789bcdf]", 10

# What a pod is named by is cut to this length before its own ending of five characters.
_LONGEST_BASE = 58


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


def render(template: str, model: Model) -> str:
    """Fill a query template in.

    Raises:
        TemplateError: it can't be read, or asks for what the model hasn't got; the message names the place
            and what there is.
    """
    values = {name: getattr(model, name) for name in NAMES}
    return evaluate(parse(template, NAMES), {**values, "pods": model.pods or _pods_of(model.target)})


def _pods_of(workload: str) -> str:
    """A regular expression for the names of the pods of a Deployment or a DaemonSet."""
    room = _LONGEST_BASE - len(workload) - 1
    if room > _LONGEST_HASH:
        return f"{workload}-({_SAFE}{{1,{_LONGEST_HASH}}}-)?{_SAFE}{{5}}"
    if room <= 0:
        return f"{f'{workload}-'[:_LONGEST_BASE]}{_SAFE}{{5}}"
    # The hash runs into the ending where it is as long as there is room, or longer. Of `-primary` as much may be left
    # as `-pr`, which is no hash.
    whole = f"({_HASH}{{1,{room - 1}}}-)?" if room > 1 else ""
    return f"{workload}-({whole}|{_HASH}{{{room}}}){_SAFE}{{5}}"


def check(template: str) -> None:
    """See whether a query template can be read, without a Canary at hand.

    Raises:
        TemplateError: it can't.
    """
    parse(template, NAMES)
