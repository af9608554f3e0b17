"""The queries of a Grafana dashboard, as its panels send them.

So that a dashboard can be tried without Grafana: by a test, or by hand against the Prometheus that it shall show, with
`python -m deploy.grafana.queries canary.json namespace=test name=my-app`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]
"""A dashboard, or a part of one, as Grafana exports it."""

FOLDER = Path(__file__).parent
DASHBOARDS = ("fleet.json", "canary.json", "controller.json", "releases.json")
"""The dashboards beside this file: of all Canaries, of one, of the controller itself, and of releases over clusters."""

BUILT_IN: Mapping[str, str] = MappingProxyType({"__rate_interval": "1m", "__interval": "15s", "__range": "1h"})
"""Variables that Grafana itself works out from the time range and the data source."""

_VARIABLE = re.compile(r"\$(?:(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>\w+)(?::\w+)?\})")
"""Not `$1`, which PromQL's own label_replace has."""
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+),\s*\w+\)")


class UnknownVariableError(LookupError):
    """A query has a variable that was given no value."""


def dashboard(name: str) -> Json:
    """A dashboard of ours, by the name of its file."""
    document: Json = json.loads((FOLDER / name).read_text())
    return document


def queries(dashboard: Json, variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Every PromQL query of a dashboard, those that fill its variables among them.

    Args:
        dashboard: the dashboard.
        variables: the value of each of its variables, and of Grafana's own where they shall differ from `BUILT_IN`.

    Returns:
        The title of the panel, or `$NAME` for a variable, and the query.

    Raises:
        UnknownVariableError: a query has a variable without a value; the message names both.
    """
    values = {**BUILT_IN, **variables}
    found = [*_of_variables(dashboard), *_of_panels(dashboard)]
    return [(title, _filled(title, query, values)) for title, query in found]


def _of_variables(dashboard: Json) -> Iterator[tuple[str, str]]:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            text = variable["query"]["query"]
            match = _LABEL_VALUES.fullmatch(text)
            yield f"${variable['name']}", match["series"] if match else text


def _of_panels(holder: Json) -> Iterator[tuple[str, str]]:
    for panel in holder.get("panels", []):
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
        yield from _of_panels(panel)  # a row that is folded up holds its panels


def _filled(title: str, query: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["plain"] or match["braced"]
        if name not in values:
            message = f"{title} asks for ${name}, which has no value"
            raise UnknownVariableError(message)
        return values[name]

    return _VARIABLE.sub(value, query)


def main(arguments: Sequence[str]) -> int:
    """Print the queries of a dashboard beside this file, with variables given as NAME=VALUE."""
    if not arguments or arguments[0] not in DASHBOARDS:
        print(f"usage: python -m deploy.grafana.queries {'|'.join(DASHBOARDS)} NAME=VALUE...", file=sys.stderr)  # noqa: T201
        return 2
    given = dict(argument.split("=", 1) for argument in arguments[1:])
    for title, query in queries(dashboard(arguments[0]), given):
        print(f"# {title}\n{query}")  # noqa: T201 - command line
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
