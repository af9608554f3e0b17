"""How much a number or a duration of a spec may be: the limits that the CRDs have too, read from the models' fields.

An API server without the CRDs of this release takes more, and so does `canary rehearse`; what a rollout reckons with
(sums of times, counts of steps) must never be more than can be reckoned with.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Final, NamedTuple

from pydantic import WithJsonSchema
from pydantic.fields import FieldInfo

from canary.api.canary import Canary
from canary.api.durations import duration_text, parse_duration
from canary.api.meta import JsonObject, Model
from canary.api.problems import Problem

LONGEST: Final = "x-crd-longest"
"""The word for a duration's limit in a field's `json_schema_extra`."""


class _Limits(NamedTuple):
    """Of a number: its least and its most; of a duration: the longest."""

    least: int | None
    most: int | None
    longest: str


def problems(canary: Canary, _provider: str) -> Iterator[Problem]:
    """Numbers and durations of a spec that are out of bounds; those of a skipped analysis are of no account."""
    analyses = frozenset({"analysis", "canary_analysis"}) if canary.skip_analysis else frozenset[str]()
    yield from _in(canary.spec, "spec", analyses)


def of_model(value: Model, path: str) -> Iterator[Problem]:
    """Numbers and durations of any model that are out of bounds, those of a part of a spec that is at a path."""
    yield from _in(value, path)


def _in(value: object, path: str, skipped: frozenset[str] = frozenset()) -> Iterator[Problem]:
    match value:
        case Model():
            for name, (alias, limits) in _fields(type(value)).items():
                inner, where = getattr(value, name), f"{path}.{alias}"
                # What is absent has rules of its own.
                if name in value.model_fields_set and name not in skipped and inner is not None:
                    yield from _in(inner, where) if limits is None else _beyond(limits, where, inner)
        case tuple():
            for index, inner in enumerate(value):
                yield from _in(inner, f"{path}[{index}]")


def _beyond(limits: _Limits, field: str, value: object) -> Iterator[Problem]:
    if isinstance(value, timedelta):
        if value < timedelta(0):
            yield Problem(field, f"{duration_text(value)} is less than no time", "write 0s or more")
        if limits.longest and value > parse_duration(limits.longest):
            message = f"{duration_text(value)} is longer than it can be"
            yield Problem(field, message, f"write {limits.longest} or less")
    elif isinstance(value, int):
        if limits.least is not None and value < limits.least:
            yield Problem(field, f"{value} is too little", f"write {limits.least} or more")
        if limits.most is not None and value > limits.most:
            yield Problem(field, f"{value} is too much", f"write {limits.most} or less")


@cache
def _fields(model: type[Model]) -> dict[str, tuple[str, _Limits | None]]:
    return {name: (field.alias or name, _limits(field)) for name, field in model.model_fields.items()}


def _limits(field: FieldInfo) -> _Limits | None:
    said: JsonObject = {}
    for each in field.metadata:
        if isinstance(each, WithJsonSchema) and each.json_schema is not None:
            said |= each.json_schema
    if isinstance(field.json_schema_extra, dict):
        said |= field.json_schema_extra
    limits = _Limits(said.get("minimum"), said.get("maximum"), said.get(LONGEST, ""))
    return limits if limits != _Limits(None, None, "") else None
