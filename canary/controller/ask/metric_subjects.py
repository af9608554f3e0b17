"""Whose series a question about a Canary asks for: the canary's, the primary's, or the workload's without a Canary.

The queries of a spec ask for the canary. What tells the workloads apart is what this project and the traffic providers
name them by: the primary's workload is the target's name with `-primary`, a baseline's with `-baseline`, and
Services end in `-canary`, `-primary` and `-baseline`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum

from canary.api.canary import Canary
from metrics.templates import Model
from metrics.versions import Rewrite


class Workload(StrEnum):
    """Whose requests are looked at."""

    CANARY = "canary"
    """The queries as they are."""
    PRIMARY = "primary"
    """The workload that serves between rollouts."""
    BASELINE = "baseline"
    """Fresh pods of the promoted version beside the canary."""
    PLAIN = "plain"
    """Target and Service as they are before a Canary takes them over."""


# An APISIX route is called so because a Canary made it: it counts the requests to both versions.
_NAMED = re.compile(r"(?<!\{\{ route \}\}-)\{\{-?\s*(target|service|name)\s*-?\}\}([-_])canary(?![A-Za-z0-9])")
# ingress-nginx has a label for the canary beside the names of the primary's; Traefik in its place a word behind them.
_INGRESS = re.compile(r'canary(!=""|=~"\{\{ namespace \}\}-\{\{ service \}\}-canary-\{\{ ports \}\}")')
_IN_PLACE_OF_IT = "-canary@kubernetesingressnginx"

_ENDINGS: Mapping[Workload, str] = {
    Workload.PRIMARY: "primary",
    Workload.BASELINE: "baseline",
    Workload.PLAIN: "",
}


def rewrite_for(workload: Workload, canary: Canary) -> Rewrite | None:
    """What makes a query of this Canary ask about that workload; None where it does so as it is."""
    if workload is Workload.CANARY:
        return None
    ending = _ENDINGS[workload]

    def rewrite(text: str, model: Model) -> tuple[str, Model]:
        if canary.targets_knative:
            return text, replace(model, route=canary.status.last_promoted_spec or model.route)
        text = _INGRESS.sub('canary=""', text).replace(_IN_PLACE_OF_IT, _IN_PLACE_OF_IT.removeprefix("-canary"))
        text = _NAMED.sub(_named(model, ending), text)
        for name in {canary.service_name, canary.target_name}:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}-canary(?![A-Za-z0-9])", _with(name, "-", ending), text)
        return text, replace(model, target=_with(model.target, "-", ending))

    return rewrite


def _named(model: Model, ending: str) -> Callable[[re.Match[str]], str]:
    """`{{ target }}-canary` stands for a Service: its name is written out, for the target's changes."""

    def written(match: re.Match[str]) -> str:
        return _with(getattr(model, match[1]), match[2], ending)

    return written


def _with(name: str, joint: str, ending: str) -> str:
    return f"{name}{joint}{ending}" if ending else name
