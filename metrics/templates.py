"""The queries of MetricTemplates: Flagger's template language with its eight names, and `pods`, which is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metrics.gotemplate import TemplateError, evaluate, parse

__all__ = ["NAMES", "Model", "TemplateError", "check", "render"]

NAMES = frozenset({"name", "namespace", "target", "service", "ingress", "route", "interval", "variables", "pods"})
"""What a query template may call, without arguments."""

# The endings that the cluster itself gives to pod names have no vowels: `primary` is never one of them.
_ENDINGS = "-([bcdfghjklmnpqrstvwxz2456789]{1,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}"


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
    return evaluate(parse(template, NAMES), {**values, "pods": model.pods or model.target + _ENDINGS})


def check(template: str) -> None:
    """See whether a query template can be read, without a Canary at hand.

    Raises:
        TemplateError: it can't.
    """
    parse(template, NAMES)
