"""The rules in CEL of a schema, judged as an API server does it, by the library of the CEL project."""

from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from canary.api.meta import JsonObject

RULES = "x-kubernetes-validations"

_URL = "(isURL({0}) && url({0}).getScheme() in ['http', 'https'])"
_OF_KUBERNETES = {
    _URL.format("self.url"): "is_http",
    _URL.format("self.webhook.url"): "is_http",
    "self.isSorted()": "is_sorted",
    "self.members.map(each, each.share).sum()": "all_shares",
}
"""What Kubernetes adds to CEL, with the variables that stand for it here."""


def rules_of(schema: JsonObject, path: str = "") -> Iterator[tuple[str, str]]:
    """Every rule of a schema: where it stands, and what it says."""
    yield from ((path, each["message"]) for each in schema.get(RULES, ()))
    for name, inner in schema.get("properties", {}).items():
        yield from rules_of(inner, f"{path}.{name}" if path else name)
    for name, end in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(name), dict):
            yield from rules_of(schema[name], f"{path}{end}")


def refused(schema: JsonObject, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The rules that a value does not meet; one that can't be judged is met by nothing, as in an API server."""
    for each in schema.get(RULES, ()):
        if not _is_met(each["rule"], value):
            yield path, each["message"]
    if isinstance(value, dict):
        further = schema.get("additionalProperties")
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name)
            if known is not None:
                yield from refused(known, inner, f"{path}.{name}" if path else name)
            elif isinstance(further, dict):
                yield from refused(further, inner, f"{path}.*")
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield from refused(schema["items"], inner, f"{path}[]")


def _is_met(rule: str, value: Any) -> bool:
    told = {"self": value, "is_http": _is_http(value), "is_sorted": _is_sorted(value), "all_shares": _all_shares(value)}
    return _compiled(rule).eval(data=told).value() is True


def _all_shares(value: Any) -> int:
    members = value.get("members") if isinstance(value, dict) else None
    shares = [each.get("share") for each in members if isinstance(each, dict)] if isinstance(members, list) else []
    return sum(each for each in shares if isinstance(each, int))


def _is_sorted(value: Any) -> bool:
    whole = isinstance(value, list) and all(isinstance(each, int) for each in value)
    return whole and list(value) == sorted(value)


def _is_http(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    webhook = value.get("webhook")
    parts = urlsplit(str(value.get("url") or (webhook.get("url") if isinstance(webhook, dict) else "")))
    return parts.scheme in ("http", "https")


@cache
def _compiled(rule: str) -> Any:
    from cel_expr_python import cel  # noqa: PLC0415 - an extra

    for kubernetes, ours in _OF_KUBERNETES.items():
        rule = rule.replace(kubernetes, ours)
    boolean = dict.fromkeys(("is_http", "is_sorted"), cel.Type.BOOL)
    return cel.NewEnv(variables={"self": cel.Type.DYN, "all_shares": cel.Type.INT, **boolean}).compile(rule)
