"""What gateways have in common that configure an Envoy: how the spec's conditions and retries are said to it."""

import re
from collections.abc import Collection, Iterator

from canary.api.istio import AnalysisMatch, HTTPMatch, Retries, StringMatch
from canary.api.problems import Problem

FORMS = ("regex", "exact", "prefix", "suffix")
PATHS = ("regex", "exact", "prefix")

_STATUS_CODES = "retriable-status-codes"
_RETRY_ON = (
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    _STATUS_CODES,
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
)


def form_of(match: StringMatch) -> str:
    """Which of its four forms a condition has; where several are set, the same one as always."""
    return next((form for form in FORMS if getattr(match, form)), "")


def value_of(match: StringMatch) -> str:
    """The value of that form."""
    return str(getattr(match, form_of(match), ""))


def whole(match: StringMatch) -> tuple[str, str]:
    """The condition as `exact` or as `regex`, an expression for the whole of a value, with what stands behind it."""
    form, value = form_of(match), value_of(match)
    if form == "prefix":
        return "regex", f"{re.escape(value)}.*"
    return ("regex", f".*{re.escape(value)}") if form == "suffix" else (form, value)


def named(match: AnalysisMatch) -> Iterator[tuple[str, str, StringMatch]]:
    """The conditions on headers and on parameters: the field, the name, the condition."""
    for field, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
        for name, condition in sorted(conditions.items()):
            yield field, name, condition


def pseudo_headers(match: HTTPMatch) -> dict[str, StringMatch]:
    """The conditions on what Envoy knows as headers of its own."""
    found = {":authority": match.authority, ":method": match.method}
    return {name: condition for name, condition in found.items() if condition is not None}


def asked_again(retries: Retries) -> tuple[list[str], list[int]]:
    """After what a request is repeated, and after which status codes."""
    reasons = [each for each in map(str.strip, retries.retry_on.split(",")) if each]
    codes = [int(each) for each in reasons if each.isdigit()]
    words = [each for each in reasons if not each.isdigit()]
    return [*words, *([_STATUS_CODES] if codes and _STATUS_CODES not in words else [])], codes


def match_problems(match: HTTPMatch, path: str, who: str) -> Iterator[Problem]:
    """The conditions of `service.match` that can't be said to Envoy."""
    yield from named_problems(match, path, who)
    if match.uri is not None:
        yield from form_problem(match.uri, f"{path}.uri", PATHS, who)
        value = value_of(match.uri) if form_of(match.uri) else ""
        if value and not value.startswith("/"):
            yield Problem(f"{path}.uri", f"{value!r} doesn't begin with /", f"write /{value}")
    for name, condition in (("method", match.method), ("authority", match.authority)):
        if condition is not None:
            yield from form_problem(condition, f"{path}.{name}", FORMS, who)
    unspeakable = {
        "name": match.name,
        "ignoreUriCase": match.ignore_uri_case,
        "scheme": match.scheme,
        "port": match.port,
        "gateways": match.gateways,
        "sourceNamespace": match.source_namespace,
        "withoutHeaders": match.without_headers,
    }
    for field, wanted in unspeakable.items():
        if wanted:
            yield Problem(f"{path}.{field}", f"{who} has no such condition", "take it out")


def named_problems(match: AnalysisMatch, path: str, who: str) -> Iterator[Problem]:
    """The conditions on headers, parameters and callers that can't be said to Envoy."""
    for field, name, condition in named(match):
        yield from form_problem(condition, f"{path}.{field}.{name}", FORMS, who)
    if match.source_labels:
        yield Problem(f"{path}.sourceLabels", f"{who} has no such condition", "take it out")


def form_problem(match: StringMatch, path: str, known: Collection[str], who: str) -> Iterator[Problem]:
    """A form that a condition can't have there."""
    form = form_of(match)
    if form not in known:
        why = f"{who} can't match by {form} here" if form else "is empty"
        yield Problem(path, why, f"write one of {', '.join(known)}")


def retry_problems(retries: Retries, path: str) -> Iterator[Problem]:
    """Reasons to repeat a request that Envoy doesn't know."""
    words, codes = asked_again(retries)
    wrong = [
        *(each for each in words if each not in _RETRY_ON),
        *(str(each) for each in codes if not 100 <= each < 600),
    ]
    for reason in wrong:
        remedy = f"write status codes, or some of {', '.join(_RETRY_ON)}"
        yield Problem(f"{path}.retryOn", f"{reason} is nothing that Envoy asks again for", remedy)
