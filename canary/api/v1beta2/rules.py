"""What a spec of v1beta2 may not say, where v1beta1 would have no place for it.

All else the rules of v1beta1 say: of what a spec is in v1beta1, which whoever serves v1beta2 has at hand.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from canary.api.analysis import Metric, MetricCondition, Webhook
from canary.api.meta import JsonObject, Model
from canary.api.problems import Problem
from canary.api.v1beta2 import cel
from canary.api.v1beta2.checks import CHECKS, LISTS, Kind, kind_of
from canary.api.v1beta2.table import SPEC
from canary.api.validations import CANARY

_MODELS: Final[dict[Kind, type[Model]]] = {
    Kind.METRIC: Metric,
    Kind.CONDITION: MetricCondition,
    Kind.CALL: Webhook,
}
_WORDS: Final = {
    Kind.METRIC: "a metric",
    Kind.CONDITION: "an expression",
    Kind.CALL: "a webhook or a gate",
}


def fields_of(kind: Kind) -> frozenset[str]:
    """The fields that a check of that kind has in v1beta2."""
    pairs = dict(LISTS[kind][1])
    names = (field.alias or name for name, field in _MODELS[kind].model_fields.items())
    return frozenset(pairs.get(name, name).partition(".")[0] for name in names) - {"threshold"}


ALLOWED: Final = {kind: fields_of(kind) for kind in Kind}
ALL: Final = frozenset().union(*ALLOWED.values())


def _rule(rule: str, message: str) -> JsonObject:
    return {"rule": rule, "message": message}


def _has(*names: str) -> str:
    return " || ".join(f"has(self.{each})" for each in sorted(names))


_IS: Final = {
    Kind.CALL: "has(self.webhook) || has(self.gate)",
    Kind.CONDITION: "has(self.expression)",
    Kind.METRIC: "!(has(self.webhook) || has(self.gate) || has(self.expression))",
}
_NO_ROLLOUT: Final = "spec.rollout is missing; set it, with interval, failureThreshold and steps"
_NO_SERVICE: Final = "spec.service is missing; set it, with port"
_OF_THE_ANALYSIS: Final = (CHECKS, *(new for old, new in SPEC if old.startswith("analysis.") and "rollout" not in new))
"""Fields outside of `rollout` that belong to the analysis in v1beta1, which has to be whole there."""

_OF_THE_SERVICE: Final = tuple(new for old, new in SPEC if old.startswith("service."))
"""Fields outside of `service` that belong to it in v1beta1, which has to be whole there."""


def _any(fields: Iterable[str]) -> str:
    """Whether a spec has one of these fields, `name` or `traffic.name`."""
    alone = [f"has(self.{each})" for each in fields if "." not in each]
    inner = [f"has(self.{each})" for each in fields if "." in each]
    return " || ".join((*alone, f"(has(self.traffic) && ({' || '.join(inner)}))"))


SPEC_RULES: Final = [
    *cel.of_spec(CANARY),
    _rule("has(self.rollout) || (has(self.skipChecks) && self.skipChecks)", _NO_ROLLOUT),
    _rule(f"has(self.rollout) || !({_any(_OF_THE_ANALYSIS)})", f"{_NO_ROLLOUT}, beside checks, alerts and the like"),
    _rule(f"has(self.service) || !({_any(_OF_THE_SERVICE)})", f"{_NO_SERVICE}, beside what traffic says of routes"),
]
CHECK_RULES: Final = [
    *(rule for kind in (Kind.METRIC, Kind.CALL) for rule in cel.of_check(CANARY, kind, _IS[kind])),
    *(
        _rule(
            f"!({_IS[kind]}) || !({_has(*(ALL - ALLOWED[kind]))})",
            f"a check that asks {_WORDS[kind]} has these fields alone: {', '.join(sorted(ALLOWED[kind]))}",
        )
        for kind in Kind
    ),
    _rule("!(has(self.webhook) && has(self.gate))", "webhook and gate can't both answer; leave one of them"),
]
CHECKS_RULES: Final = [
    _rule("self.filter(each, has(each.expression)).size() <= 32", "there are more than 32 expressions; write fewer"),
]


def problems(spec: object) -> Iterator[Problem]:
    """The same of a spec in a file, with places."""
    if not isinstance(spec, dict):
        return
    judged, routed = (list(_told(spec, fields)) for fields in (_OF_THE_ANALYSIS, _OF_THE_SERVICE))
    if spec.get("rollout") is None and (judged or not spec.get("skipChecks")):
        remedy = "set it, with interval, failureThreshold and steps" + ("" if judged else "; or skipChecks: true")
        yield Problem("spec.rollout", "is missing", remedy)
    if spec.get("service") is None and routed:
        yield Problem("spec.service", "is missing", f"set it, with port, beside {routed[0]}")
    checks = spec.get(CHECKS)
    for index, check in enumerate(checks if isinstance(checks, list) else ()):
        yield from _of_check(f"spec.{CHECKS}[{index}]", check)


def _told(spec: JsonObject, fields: Iterable[str]) -> Iterator[str]:
    traffic = spec.get("traffic")
    inner = {f"traffic.{name}" for name in traffic} if isinstance(traffic, dict) else set()
    return (each for each in fields if each in spec or each in inner)


def _of_check(field: str, check: object) -> Iterator[Problem]:
    kind = kind_of(check)
    said = check if isinstance(check, dict) else {}
    for name in said:
        if name in ALL and name not in ALLOWED[kind]:
            message = f"does not go with {_WORDS[kind]}, which this check asks"
            yield Problem(f"{field}.{name}", message, "take it out, or write a check of its own")
    if "webhook" in said and "gate" in said:
        yield Problem(f"{field}.gate", "webhook and gate can't both answer", "leave one of them")
