"""The queries of MetricTemplates: Flagger's template language with its eight names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metrics.gotemplate import TemplateError, evaluate, parse

__all__ = ["NAMES", "Model", "TemplateError", "check", "render"]

NAMES = frozenset({"name", "namespace", "target", "service", "ingress", "route", "interval", "variables"})
"""What a query template may call, without arguments."""


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
    """

    name: str
    namespace: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    variables: Mapping[str, str] = field(default_factory=dict)


def render(template: str, model: Model) -> str:
    """Fill a query template in.

    Raises:
        TemplateError: it can't be read, or asks for what the model hasn't got; the message names the place
            and what there is.
    """
    return evaluate(parse(template, NAMES), {name: getattr(model, name) for name in NAMES})


def check(template: str) -> None:
    """See whether a query template can be read, without a Canary at hand.

    Raises:
        TemplateError: it can't.
    """
    parse(template, NAMES)
