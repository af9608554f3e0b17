"""Label selectors, as Kubernetes has them."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import Field

from canary.api.meta import Model, StringMap

MOST: Final = 64
"""Labels, conditions and values of one selector at most."""


class Operator(StrEnum):
    """What is asked of a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelCondition(Model):
    """A condition on one label."""

    key: str = Field(json_schema_extra={"minLength": 1, "maxLength": 317})
    """Name of the label."""
    operator: Operator
    """What is asked of it: In, NotIn, Exists or DoesNotExist."""
    values: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": MOST})
    """The values of In and NotIn."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for these labels."""
        return _HOLDS[self.operator](self, labels)


class LabelSelector(Model):
    """Which labels something has; all of it must hold."""

    match_labels: StringMap = Field(default_factory=dict, json_schema_extra={"maxProperties": MOST})
    """Labels with their values."""
    match_expressions: tuple[LabelCondition, ...] = Field(default=(), json_schema_extra={"maxItems": MOST})
    """Conditions on labels."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether something with these labels is meant; an empty selector means everything."""
        same = all(labels.get(key) == value for key, value in self.match_labels.items())
        return same and all(each.matches(labels) for each in self.match_expressions)


_HOLDS: Final[Mapping[Operator, Callable[[LabelCondition, Mapping[str, str]], bool]]] = {
    Operator.IN: lambda asked, labels: labels.get(asked.key) in asked.values,
    Operator.NOT_IN: lambda asked, labels: labels.get(asked.key) not in asked.values,
    Operator.EXISTS: lambda asked, labels: asked.key in labels,
    Operator.DOES_NOT_EXIST: lambda asked, labels: asked.key not in labels,
}
