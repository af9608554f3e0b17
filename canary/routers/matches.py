"""From the spec's conditions on requests to those of an HTTPRoute."""

from collections.abc import Iterable, Iterator, Mapping

from canary.api.canary import Canary
from canary.api.istio import AnalysisMatch, HTTPMatch, StringMatch
from canary.api.problems import Problem
from canary.kube.types import Json
from canary.routers.base import chosen, spec_path

_ANY_PATH = {"type": "PathPrefix", "value": "/"}
_PATHS = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}
_VALUES = {"exact": "Exact", "regex": "RegularExpression"}
_METHODS = {"exact": "Exact"}
_REMEDY_VALUE = "write exact or regex"


def service_matches(canary: Canary) -> list[Json]:
    """The route's conditions: the spec's, or any path. Each names its path, as the API server would otherwise."""
    return [_service_match(match) for match in canary.spec.service.match] or [{"path": dict(_ANY_PATH)}]


def analysis_matches(canary: Canary, conditions: Iterable[AnalysisMatch] | None = None) -> list[Json]:
    """The conditions on requests that reach the canary for themselves: any of the spec's, within the route's own.

    Where both ask for the same header or parameter, the analysis has its way.

    Args:
        canary: the Canary.
        conditions: its own; those of an A/B test where absent.
    """
    return [
        {
            **route,
            **_merged(route, "headers", _conditions(match.headers), fold=True),
            **_merged(route, "queryParams", _conditions(match.query_params), fold=False),
        }
        for match in (canary.analysis.match if conditions is None else conditions)
        for route in service_matches(canary)
    ]


def whole(expression: str) -> str:
    """An expression for the whole string, as the spec's are.

    What it is for by itself is the gateway's to say: Envoy takes it for the whole, Traefik and nginx for any part.
    """
    return f"^(?:{expression})$"


def problems(canary: Canary, who: str = "the Gateway API") -> tuple[Problem, ...]:
    """The conditions that an HTTPRoute has no words for, or a route of somebody else who knows the same ones."""
    found: list[Problem] = []
    for index, match in enumerate(canary.spec.service.match):
        found += _service_problems(match, spec_path(canary, f"service.match[{index}]"), who)
    for path, condition in chosen(canary):
        found += _common_problems(condition, path, who)
        if not condition.headers and not condition.query_params:
            found.append(Problem(path, "says nothing about headers or queryParams", "write one of them"))
    return tuple(found)


def _service_match(match: HTTPMatch) -> Json:
    result: Json = {"path": _condition(match.uri, _PATHS) if match.uri else dict(_ANY_PATH)}
    if match.method is not None:
        result["method"] = match.method.exact
    if headers := _conditions(match.headers):
        result["headers"] = headers
    if params := _conditions(match.query_params):
        result["queryParams"] = params
    return result


def _conditions(conditions: Mapping[str, StringMatch]) -> list[Json]:
    return [{"name": name, **_condition(match, _VALUES)} for name, match in sorted(conditions.items())]


def _condition(match: StringMatch, types: Mapping[str, str]) -> Json:
    kind = _kind(match)
    value: str = getattr(match, kind)
    return {"type": types[kind], "value": whole(value) if kind == "regex" else value}


def _kind(match: StringMatch) -> str:
    """Which of its four forms a condition has; where several are set, the same one as always."""
    return next((kind for kind in ("regex", "exact", "prefix", "suffix") if getattr(match, kind)), "")


def _merged(route: Json, field: str, conditions: list[Json], *, fold: bool) -> Json:
    """Conditions of both, by name; names of headers are the same in any case."""
    by_name = {
        condition["name"].lower() if fold else condition["name"]: condition
        for condition in [*route.get(field, []), *conditions]
    }
    return {field: [by_name[name] for name in sorted(by_name)]} if by_name else {}


def _service_problems(match: HTTPMatch, path: str, who: str) -> Iterator[Problem]:
    yield from _common_problems(match, path, who)
    if match.uri is not None:
        yield from _form_problem(match.uri, f"{path}.uri", _PATHS, "write exact, prefix or regex", who)
    if match.method is not None:
        yield from _form_problem(match.method, f"{path}.method", _METHODS, "write exact", who)
    unspeakable = {
        "name": match.name,
        "ignoreUriCase": match.ignore_uri_case,
        "scheme": match.scheme,
        "authority": match.authority,
        "port": match.port,
        "gateways": match.gateways,
        "sourceNamespace": match.source_namespace,
        "withoutHeaders": match.without_headers,
    }
    for field, value in unspeakable.items():
        if value:
            yield Problem(f"{path}.{field}", f"{who} has no such condition", "take it out")


def _common_problems(match: AnalysisMatch, path: str, who: str) -> Iterator[Problem]:
    for field, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
        for name, condition in conditions.items():
            yield from _form_problem(condition, f"{path}.{field}.{name}", _VALUES, _REMEDY_VALUE, who)
    if match.source_labels:
        yield Problem(f"{path}.sourceLabels", f"{who} has no such condition", "take it out")


def _form_problem(match: StringMatch, path: str, types: Mapping[str, str], remedy: str, who: str) -> Iterator[Problem]:
    kind = _kind(match)
    if kind not in types:
        why = f"{who} can't match by {kind} here" if kind else "is empty"
        yield Problem(path, why, remedy)
