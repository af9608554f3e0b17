"""A report as JSON and YAML: names in the spec's style, times in RFC 3339, durations as the spec writes them."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from canary.api.durations import format_duration
from canary.api.meta import format_time
from canary.cli.backtest.report import Report


def to_json(report: Report) -> str:
    """The report as one JSON object, and a newline."""
    return json.dumps(tree(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_yaml(report: Report) -> str:
    """The report as one YAML document."""
    text: str = yaml.safe_dump(tree(report), sort_keys=False, allow_unicode=True, width=120)
    return text


def tree(report: Report) -> dict[str, Any]:
    """The report as maps, lists, strings and numbers."""
    return {"share": report.share, **_tree(report)}


def _tree(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {to_camel(field.name): _tree(getattr(value, field.name)) for field in fields(value)}
    match value:
        case Enum():
            return value.value
        case datetime():
            return format_time(value)
        case timedelta():
            return format_duration(value)
        case float():
            # Neither infinity nor NaN is JSON.
            return value if math.isfinite(value) else None
        case Mapping():
            return {f"{name:g}" if isinstance(name, float) else str(name): _tree(each) for name, each in value.items()}
        case tuple() | list():
            return [_tree(each) for each in value]
    return value
