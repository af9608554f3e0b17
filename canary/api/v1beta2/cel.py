"""The rules in CEL of v1beta1 that go with an object which v1beta2 has not, with the fields where v1beta2 has them.

Those of objects that are there as they were stand in the schema that is moved.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from canary.api.meta import JsonObject
from canary.api.v1beta2.checks import CHECKS, LISTS, Kind
from canary.api.v1beta2.words import field_in

_FIELD: Final = re.compile(r"has\(self((?:\.\w+)+)\)|\bself((?:\.\w+\b(?!\())+)")
_OLDER: Final = "canaryAnalysis"
_BOTH: Final = "has(self.url) != has(self.gate)"
"""Of a check the fields say which it asks, so that there is none that asks neither."""


def of_spec(rules: Mapping[str, list[JsonObject]]) -> list[JsonObject]:
    """The rules of a spec of v1beta2.

    Args:
        rules: those of v1beta1, by the path of the schema that they belong to.
    """
    whole = [each for each in rules["spec"] if _OLDER not in each["rule"]]
    return [
        *(_moved(each, "spec") for each in whole),
        *(_moved(each, "spec.analysis") for each in rules["spec.analysis"]),
    ]


def of_check(rules: Mapping[str, list[JsonObject]], kind: Kind, concerns: str) -> list[JsonObject]:
    """The rules of one check.

    Args:
        rules: as above.
        kind: which checks.
        concerns: in CEL, whether `self` is one of these.
    """
    here = f"spec.analysis.{LISTS[kind][0]}"
    left = (_without_threshold(each) for each in rules[f"{here}[]"] if each["rule"] != _BOTH)
    found = (_moved(each, f"{here}[0]", f"spec.{CHECKS}[0].") for each in left)
    return [{**each, "rule": f"!({concerns}) || ({each['rule']})"} for each in found]


def _without_threshold(rule: JsonObject) -> JsonObject:
    """The older form of a range is not there."""
    return {**rule, "rule": rule["rule"].replace("has(self.threshold)", "false")}


def _moved(rule: JsonObject, place: str, root: str = "spec.") -> JsonObject:
    def moved(found: re.Match[str]) -> str:
        path = field_in(f"{place}{found[1] or found[2]}").removeprefix(root)
        return _is_there(path.split(".")) if found[1] else f"self.{path}"

    return {**rule, "rule": _FIELD.sub(moved, rule["rule"])}


def _is_there(parts: Iterable[str]) -> str:
    """Whether a field is there, and what it is in."""
    so_far, found = "self", []
    for part in parts:
        so_far = f"{so_far}.{part}"
        found.append(f"has({so_far})")
    return found[0] if len(found) == 1 else f"({' && '.join(found)})"
