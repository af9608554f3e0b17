"""A webhook is sent what its template says, and no value in it becomes more than a value."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.alerts.alert import Alert, Body, Destination, Field, Link, Misconfigured, Request
from canary.alerts.registry import request
from canary.alerts.templates import FACTS, facts
from canary.api.analysis import Severity
from canary.api.status import CheckStatus, Verdict

CHECK = CheckStatus(name="errors", verdict=Verdict.FAIL, value=93.2, threshold=">= 99", samples=512, query="q")
ALERT = Alert(
    "podinfo",
    "test",
    'Rolling back: "errors" \\ 5',
    Severity.ERROR,
    (Field("Cluster", "prod"), Field("errors", "Fail 93.2")),
    (Link("Runbook", "https://wiki.test/"),),
    "prod",
    "Failed",
    "Deployment",
    "podinfo",
    (CHECK,),
)


def made(body: str, alert: Alert = ALERT, **fields: Any) -> Body | Misconfigured:
    to = Destination("webhook", "https://a.test/", body=body, channel="c", username="u", **fields)
    found = request(alert, to)
    return found.body if isinstance(found, Request) else found


def headers(content_type: str) -> dict[str, Any]:
    return {"headers": (("Content-Type", content_type),)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"text": "{{ text }}"}', {"text": ALERT.text}),
        ('{"text": {{ text }}}', {"text": ALERT.text}),
        ('{"a": "{{ name }}.{{ namespace }} on {{ cluster }}"}', {"a": "podinfo.test on prod"}),
        ('{"a": "{{ .name }}", "b": "{{ $.kind }}/{{ .target }}"}', {"a": "podinfo", "b": "Deployment/podinfo"}),
        ('{"a": "{{ if eq severity "error" }}critical{{ else }}{{ severity }}{{ end }}"}', {"a": "critical"}),
        ('[{{ range $i, $f := fields }}{{ if $i }},{{ end }}"{{ $f.name }}={{ .value }}"{{ end }}]', "fields"),
        ('{"n": {{ (index checks 0).value }}, "s": {{ (index checks 0).samples }}}', {"n": 93.2, "s": 512}),
        ('{"since": {{ (index checks 0).since }}}', {"since": ""}),
        ('{"checks": {{ checks }}}', {"checks": [facts(ALERT)["checks"][0]]}),  # type: ignore[index]
        ('{"a": "{{ links }}"}', {"a": '[{"name": "Runbook", "url": "https://wiki.test/"}]'}),
        ('{"to": "{{ channel }}", "by": "{{ username }}", "p": "{{ phase }}"}', {"to": "c", "by": "u", "p": "Failed"}),
        ('{"a": "\\{{ if text }}"{{ text }}{{ end }}"}', {"a": f'"{ALERT.text}'}),
        ('{"a\\\\": "{{ name }}", "b": "\\"{{ name }}\\""}', {"a\\": "podinfo", "b": '"podinfo"'}),
    ],
)
def test_a_template_says_what_is_sent(body: str, expected: object) -> None:
    assert made(body) == (["Cluster=prod", "errors=Fail 93.2"] if expected == "fields" else expected)


def test_without_a_template_everything_is_sent() -> None:
    found = made("")

    assert isinstance(found, dict)
    assert found.keys() == FACTS
    assert found["links"] == [{"name": "Runbook", "url": "https://wiki.test/"}]


def test_keys_of_the_secret_come_by_their_names() -> None:
    assert made('{"k": "{{ secret.key }}{{ index secret "a-b" }}"}', secrets={"key": "x", "a-b": '"y'}) == {"k": 'x"y'}


NASTY = st.text(st.sampled_from(list('",:{}[]\\u002 \n\x00aé1e-\ud800')) | st.characters(), max_size=12)
PLACES = (
    '{"a": "{{ text }}", "safe": true}',
    '{"a": {{ text }}, "safe": true}',
    '{"a": "x{{ text }}{{ text }}", "safe": true}',
    '{"a": "{{ fields }}", "safe": true}',
    '{"a": {{ fields }}, "safe": true}',
    '{"a": {{ if text }}{{ text }}{{ else }}""{{ end }}, "safe": true}',
    '{"a": "{{ range fields }}{{ .name }}: {{ .value }}\\n{{ end }}", "safe": true}',
    '{"a": "{{ printf "%q %s" text text }}", "safe": true}',
    '{"a": "{{ text }}\\\\{{ text }}", "safe": true}',
    '{"{{ text }}a": 1, "safe": true}',
)


@given(NASTY, st.sampled_from(PLACES))
def test_no_value_breaks_out_of_json(text: str, body: str) -> None:
    """What is sent has the fields that the template has, and the value is what was given."""
    alert = replace(ALERT, text=text, fields=(Field(text, text),))
    found = made(body, alert)

    assert isinstance(found, dict)
    (key, value), (safe, true) = found.items()
    assert (safe, true) == ("safe", True)
    assert text.encode(errors="replace").decode() in str(value) + key or "fields" in body or "%q" in body
    assert isinstance(value, str | list | int)


@given(NASTY)
def test_no_value_breaks_out_of_a_form(text: str) -> None:
    found = made("to=ops&text={{ text }}&last=1", replace(ALERT, text=text), **headers(FORM))

    fields = parse_qs(str(found), keep_blank_values=True)
    assert fields == {"to": ["ops"], "text": [text.encode(errors="replace").decode()], "last": ["1"]}


FORM = "application/x-www-form-urlencoded"


def test_plain_text_is_what_it_is() -> None:
    found = made("{{ name }}: {{ text }} {{ (index checks 0).message }}", **headers("text/plain; charset=utf-8"))

    assert found == f"podinfo: {ALERT.text} "


@pytest.mark.parametrize("kind", ["application/vnd.pagerduty+json;version=2", "application/json", "Application/JSON"])
def test_every_kind_of_json_is_json(kind: str) -> None:
    assert made('{"a": "{{ text }}"}', **headers(kind)) == {"a": ALERT.text}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{{ nam }}", "spec.body: line 1, column 4: nam isn't defined; available are channel, checks, cluster"),
        ('{"a": "{{ text }}"', "spec.body: what it makes is no JSON (line 1, column "),
        ('{"a": {{ text }}{{ text }}}', "no JSON"),
        ('"{{ text }}"', "neither an object nor a list"),
        ('{"a": NaN}', "no JSON"),
        ('{"a": "\\{{ text }}"}', "line 1, column 12: a backslash stands right before this value"),
        ('{"k": "{{ secret.key }}"}', "no entry for 'key'; there are none"),
        ("[" * 5000 + "]" * 5000, "no JSON"),
        (
            '{"a": "{{ range fields }}{{ range fields }}{{ range fields }}{{ . }}{{ end }}{{ end }}{{ end }}"}',
            "makes more",
        ),
    ],
)
def test_a_template_that_makes_nothing_usable_is_told(body: str, words: str) -> None:
    many = tuple(Field(str(each), "x") for each in range(30))
    found = made(body, replace(ALERT, fields=many))

    assert isinstance(found, Misconfigured)
    assert words in found.reason


def test_a_kind_of_text_into_which_values_cant_be_written_safely_is_refused() -> None:
    found = made("<a>{{ text }}</a>", **headers("application/xml"))

    assert isinstance(found, Misconfigured)
    assert "write Content-Type application/json" in found.reason


def test_what_is_sent_is_json_on_the_wire() -> None:
    found = request(ALERT, Destination("webhook", "https://a.test/", token="T"))

    assert isinstance(found, Request)
    assert json.loads(json.dumps(found.body)) == found.body
    assert found.token == "T"
