"""What every resource has in common: the model's settings, metadata, references, conditions, times."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

JsonObject = dict[str, Any]
"""A JSON object as the API server sends it."""

GROUP = "flagger.app"
API_VERSION = "flagger.app/v1beta1"

FLEET_GROUP = "fleet.canary.dev"
FLEET_API_VERSION = "fleet.canary.dev/v1alpha1"

INT32 = 2**31 - 1
"""The most that Kubernetes and its kin keep in most of their numbers."""

StringMap = dict[str, str]

Percent = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 100})]
"""Percent, 0 to 100; the API server and the rules say so, a model takes any number."""


class Model(BaseModel):
    """A frozen value with snake_case attributes for the CRD's camelCase fields; ignores unknown ones."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
    )

    def to_json(self) -> JsonObject:
        """The JSON object with what was set, nothing that is merely a default."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)

    def replace(self, **changes: Any) -> Self:
        """A copy with some attributes changed; values are taken as they are.

        Raises:
            TypeError: the model has no such attribute.
        """
        kind = type(self)
        if unknown := changes.keys() - kind.model_fields.keys():
            msg = f"{kind.__name__} has no {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        # As unpickling makes it, which takes a third of the time of model_copy: a decision makes dozens of copies.
        made = kind.__new__(kind)
        made.__setstate__(
            {
                "__dict__": {**self.__dict__, **changes},
                "__pydantic_fields_set__": self.model_fields_set | changes.keys(),
                "__pydantic_extra__": None,
                "__pydantic_private__": None,
            }
        )
        return made


def utc(value: datetime) -> datetime:
    """The same instant in UTC; a time without zone is taken as UTC.

    Raises:
        OverflowError: in UTC it is no more in the years 1 to 9999.
    """
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_time(value: datetime) -> str:
    """RFC 3339 in whole seconds, as `metav1.Time` writes it: `2025-01-31T12:00:00Z`."""
    return _format(value, "seconds")


def format_micro_time(value: datetime) -> str:
    """RFC 3339 in microseconds, as `metav1.MicroTime` writes it: `2025-01-31T12:00:00.000000Z`."""
    return _format(value, "microseconds")


def _format(value: datetime, precision: str) -> str:
    # Not by strftime: it writes the year 1, which is Go's word for no time at all, without zeros in front.
    return f"{utc(value).replace(tzinfo=None).isoformat(timespec=precision)}Z"


LAST_YEAR = 9000
"""What comes after it is no time: a span that is added to one must not go beyond the last that Python knows."""


def _as_utc(value: object) -> object:
    """Read the common notations here: twice as fast, and a time without zone becomes UTC."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(read, datetime) and read.year > LAST_YEAR:
            raise ValueError(value)
        return utc(read) if isinstance(read, datetime) else read
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("time", "{value} is no time", {"value": repr(value)}) from error


_DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, BeforeValidator(_as_utc), PlainSerializer(format_time, when_used="json"), _DATE_TIME]
"""An instant in UTC, written in whole seconds."""

MicroTime = Annotated[
    datetime, BeforeValidator(_as_utc), PlainSerializer(format_micro_time, when_used="json"), _DATE_TIME
]
"""An instant in UTC, written in microseconds."""


Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": INT32})]
"""A number of things, as the APIs that it is passed on to keep it."""


class Metadata(Model):
    """The part of Kubernetes' object metadata that is used here."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    finalizers: tuple[str, ...] = ()
    labels: StringMap = Field(default_factory=dict)
    annotations: StringMap = Field(default_factory=dict)


class Resource(Model):
    """A namespaced object of this group."""

    api_version: str = API_VERSION
    kind: str = ""
    metadata: Metadata

    @property
    def name(self) -> str:
        """Name of the object."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Namespace of the object."""
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observed condition of an object."""

    type: str
    """Type of this condition, such as Promoted."""
    status: str = ConditionStatus.UNKNOWN
    """True, False or Unknown."""
    last_update_time: Time | None = None
    """When this condition was last written."""
    last_transition_time: Time | None = None
    """When the status of this condition last changed."""
    reason: str = ""
    """Why, in one CamelCase word."""
    message: str = ""
    """Why, in words."""

    def to_json(self) -> JsonObject:
        """The JSON object of the condition, defaults included."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class LocalReference(Model):
    """A reference to an object in the same namespace."""

    api_version: str = ""
    """API version of the object, such as apps/v1."""
    kind: str = ""
    """Kind of the object."""
    name: str
    """Name of the object."""


class NamespacedName(Model):
    """A reference by name, to an object of a kind that the field itself tells."""

    name: str
    """Name of the object."""
    namespace: str = ""
    """Namespace of the object; the Canary's own where absent."""


class SecretReference(Model):
    """A reference to a Secret in the same namespace."""

    name: str
    """Name of the Secret."""
