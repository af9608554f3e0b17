"""How values are compared that no counts stand behind, in Kayenta's words."""

from enum import StrEnum

from pydantic import Field, FiniteFloat

from canary.api.meta import Model, Percent


class Direction(StrEnum):
    """Which change of a value is bad."""

    INCREASE = "increase"
    DECREASE = "decrease"
    EITHER = "either"


class NaNStrategy(StrEnum):
    """What becomes of a time without a value."""

    REMOVE = "remove"
    REPLACE = "replace"


class Measure(StrEnum):
    """How the size of a difference is measured."""

    MEAN_RATIO = "meanRatio"
    CLES = "cles"


class EffectSize(Model):
    """How large a difference must be to count; any that is significant does where nothing is said."""

    measure: Measure = Measure.MEAN_RATIO
    """The canary's mean over the other's, or how likely a value of the canary's is higher; meanRatio where absent."""
    allowed_increase: FiniteFloat | None = None
    """From here on an increase counts, such as 1.1."""
    allowed_decrease: FiniteFloat | None = None
    """From here down a decrease counts, such as 0.9."""
    critical_increase: FiniteFloat | None = None
    """From here on an increase of a critical metric fails the version."""
    critical_decrease: FiniteFloat | None = None
    """From here down a decrease of a critical metric fails the version."""


TOGETHER = "metrics"
"""The group of metrics that name none."""


class MannWhitney(Model):
    """How values are compared, in Kayenta's words."""

    direction: Direction = Direction.EITHER
    """Which change is bad; either where absent."""
    nan_strategy: NaNStrategy = NaNStrategy.REMOVE
    """Whether times without a value are left out or count as 0; remove where absent."""
    effect_size: EffectSize = Field(default_factory=EffectSize)
    """How large a difference must be."""
    groups: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 16})
    """Groups in whose scores it counts; that of all that name none where absent."""


class Scores(Model):
    """What the scores of metrics that are compared by mannWhitney mean together."""

    passing: Percent = Field(default=95, alias="pass")
    """The least score of the last look with which a version is promoted; 95 where absent."""
    marginal: Percent = 75
    """The least score of the looks before with which the rollout goes on; 75 where absent."""
    weights: dict[str, Percent] = Field(default_factory=dict)
    """Percent of the score by group; those without share what is left of 100."""
