"""What templates of messages and links may call, and how they are written out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from canary.alerts.alert import Alert, Body, Destination, Field, Link
from canary.alerts.forms import AsFormData, AsJson, AsLink, AsWords
from canary.api.addresses import is_web_address
from canary.api.analysis import Severity
from canary.api.meta import format_time
from canary.api.status import CheckStatus, Verdict
from metrics.gotemplate import Plain, TemplateError, Value, evaluate, parse

FACTS: Final = frozenset(
    {"name", "namespace", "kind", "target", "cluster", "severity", "phase", "text", "fields", "links", "checks"}
)
"""What the template of a message may call, and what is sent where there is none."""

NAMES: Final = FACTS | {"channel", "username", "secret"}

LINK_NAMES: Final = frozenset({"name", "namespace", "kind", "target", "cluster", "severity", "phase"})
"""What the template of a link may call."""

JSON, FORM, WORDS = "application/json", "application/x-www-form-urlencoded", "text/plain"

_FORMS: Final[Mapping[str, type[Plain]]] = {JSON: AsJson, FORM: AsFormData, WORDS: AsWords}

_LONGEST_LINK = 2000
"""Characters of a link at most: what browsers and messengers take."""

_ALL = "{{ . }}"


class UnusableTemplateError(ValueError):
    """A template can't be used; its text says why, and is followed by nothing."""


def facts(alert: Alert) -> dict[str, Value]:
    """Everything about an alert, as templates see it."""
    return {
        "name": alert.name,
        "namespace": alert.namespace,
        "kind": alert.kind,
        "target": alert.target,
        "cluster": alert.cluster,
        "severity": alert.severity.value,
        "phase": alert.phase,
        "text": alert.text,
        "fields": tuple({"name": each.name, "value": each.value} for each in alert.fields),
        "links": tuple({"name": each.name, "url": each.url} for each in alert.links),
        "checks": tuple(map(_check, alert.checks)),
    }


def _check(check: CheckStatus) -> Value:
    return {
        "name": check.name,
        "verdict": check.verdict.value,
        "value": check.value,
        "threshold": check.threshold,
        "samples": check.samples,
        "since": format_time(check.since) if check.since is not None else "",
        "query": check.query,
        "message": check.message,
    }


# --- Messages ------------------------------------------------------------------------------------------------


def kind_of(content_type: str) -> str | None:
    """The form that a body of this type has; None where values could not be written into one safely."""
    kind = content_type.partition(";")[0].strip().lower() or JSON
    return JSON if re.fullmatch(r"application/([-.\w]+\+)?json", kind) else kind if kind in _FORMS else None


def body(alert: Alert, to: Destination) -> Body:
    """Write a message out.

    Raises:
        UnusableTemplateError: the template can't be read, lacks something, or makes no JSON where it should.
    """
    content_type = next((value for name, value in to.headers if name.lower() == "content-type"), JSON)
    kind = kind_of(content_type)
    if kind is None:
        msg = f"no template is written as that; write Content-Type {JSON}, {FORM} or {WORDS}"
        raise UnusableTemplateError(msg)
    known = facts(alert)
    names = {**known, "channel": to.channel, "username": to.username, "secret": to.secrets}
    try:
        text = evaluate(parse(to.body or _ALL, NAMES), names, dot=known, form=_FORMS[kind]())
    except TemplateError as error:
        raise UnusableTemplateError(str(error)) from None
    return _read(text) if kind == JSON else text


def _read(text: str) -> Body:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise UnusableTemplateError(f"what it makes is no JSON{where}") from None
    if not isinstance(found, dict | list):
        msg = "what it makes is neither an object nor a list of JSON"
        raise UnusableTemplateError(msg)
    return found


def _no_number(name: str) -> object:
    msg = f"JSON has no {name}"
    raise ValueError(msg)


class _AnySecret(dict[str, str]):
    """Has every key: what a Secret holds is known only when it is read."""

    def __missing__(self, key: str) -> str:
        return "secret"

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: object = None) -> str:
        return self[key]


def why_unusable(to: Destination) -> str:
    """Why a template can't be used, empty where it can: it is tried with alerts of each kind."""
    for alert in _samples():
        try:
            body(alert, replace(to, secrets=_AnySecret()))
        except UnusableTemplateError as error:
            return str(error)
    return ""


def _samples() -> Iterator[Alert]:
    bare = Alert("app", "default", "New revision detected.", Severity.INFO, kind="Deployment", target="app")
    yield bare
    failed = CheckStatus(name="errors", verdict=Verdict.FAIL, value=93.2, threshold=">= 99", samples=2, message="low")
    unknown = CheckStatus(name="latency", verdict=Verdict.UNAVAILABLE, message='"no" answer\\')
    full = replace(
        bare,
        fields=(Field("Cluster", "production"), Field("errors", "Fail"), Field("latency", "Unavailable")),
        links=(Link("Runbook", "https://example.com/a?b=c"),),
        cluster="production",
        phase="Progressing",
        checks=(failed, unknown),
    )
    yield from (replace(full, severity=each) for each in Severity)


# --- Links ---------------------------------------------------------------------------------------------------


def with_links(alert: Alert, links: Mapping[str, str]) -> Alert:
    """The alert with links made of templates, by the words to be clicked."""
    return replace(alert, links=tuple(_links(alert, links)))


def _links(alert: Alert, links: Mapping[str, str]) -> Iterator[Link]:
    """The links that can be made; what can't was refused already, where it was written."""
    for name, template in links.items():
        try:
            url = _address(template, alert)
        except TemplateError:
            continue
        if is_web_address(url) and len(url) <= _LONGEST_LINK:
            yield Link(name, url)


def _address(template: str, alert: Alert) -> str:
    known = {name: value for name, value in facts(alert).items() if name in LINK_NAMES}
    return evaluate(parse(template, LINK_NAMES), known, dot=known, form=AsLink())


def why_no_link(template: str) -> str:
    """Why no link can be made of a template; empty where one can."""
    sample = Alert("app", "default", "", Severity.INFO, (), (), "production", "Progressing", "Deployment", "app")
    try:
        url = _address(template, sample)
    except TemplateError as error:
        return str(error)
    if not is_web_address(url):
        return "it makes no http:// or https:// address"
    return f"it makes an address of more than {_LONGEST_LINK} characters" if len(url) > _LONGEST_LINK else ""
