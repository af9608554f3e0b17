"""An AlertProvider that can't work is refused with the field and the remedy, before anybody hangs on it."""

from typing import Any

import pytest

from canary.alerts.problems import of_provider
from canary.api import strict
from canary.api.alertprovider import parse_alert_provider


def raw(**spec: Any) -> dict[str, Any]:
    spec = {"type": "webhook", "address": "https://w.test/"} | spec
    metadata = {"name": "a", "namespace": "b"}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": metadata, "spec": spec}


def told(**spec: Any) -> list[str]:
    return [str(problem) for problem in of_provider(parse_alert_provider(raw(**spec)))]


PAGERDUTY = """
{"routing_key": "{{ secret.routingKey }}",
 "event_action": "{{ if eq severity "info" }}resolve{{ else }}trigger{{ end }}",
 "dedup_key": "{{ namespace }}/{{ name }}",
 "payload": {"summary": "{{ name }}.{{ namespace }}: {{ text }}", "source": "{{ cluster }}",
             "custom_details": {{ checks }}},
 "links": [{{ range $i, $l := links }}{{ if $i }},{{ end }}{"text": "{{ .name }}", "href": "{{ .url }}"}{{ end }}]}
"""


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"body": PAGERDUTY, "secretRef": {"name": "keys"}},
        {"body": PAGERDUTY, "address": "", "secretRef": {"name": "keys"}},
        {"body": "{{ text }}", "headers": {"Content-Type": ["text/plain"], "X-Title": ["Canary"]}},
        {"type": "slack", "proxy": "http://proxy:3128"},
        {"type": "apprise", "headers": {"X-A": ["b"]}},
    ],
)
def test_what_works_is_not_refused(spec: dict[str, Any]) -> None:
    assert told(**spec) == []
    assert [*strict.problems(raw(**spec))] == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"body": '{"a": "{{ txt }}"}'}, "spec.body: line 1, column 11: txt isn't defined; available are"),
        ({"body": '{"a": "{{ text }}'}, "spec.body: what it makes is no JSON"),
        # Also where only alerts of one kind make it so.
        ({"body": '{"a": 1{{ if eq severity "error" }},{{ end }}}'}, "spec.body: what it makes is no JSON"),
        ({"body": '{"a": "{{ (index checks 0).name }}"}'}, "spec.body: line 1, column 12: a list of 0 has no item 0"),
        ({"headers": {"Content-Type": ["text/html"]}}, "spec.headers.Content-Type: is a kind of text that"),
        ({"headers": {"X-A": ["b\nc"]}}, "spec.headers.X-A: the request can't be made: header X-A holds"),
        ({"headers": {"Content-Length": ["5"]}}, "spec.headers.Content-Length: the request can't be made: header"),
        ({"headers": {"X A": ["b"]}}, "spec.headers.X A: the request can't be made: a header's name"),
        ({"address": "hooks.test/SECRET"}, "spec.address: is no address; write one such as https://hooks.example"),
        ({"proxy": "proxy:3128"}, "spec.proxy: is no address; write one such as http://proxy.example.com:3128"),
    ],
)
def test_what_cant_work_is_refused(spec: dict[str, Any], words: str) -> None:
    (found,) = told(**spec)
    assert found.startswith(words)
    assert "SECRET" not in found


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"type": "slack", "body": "{}"}, "spec.body: is for a messenger of type webhook; set spec.type to webhook"),
        ({"type": "msteams", "headers": {"A": ["b"]}}, "spec.headers: are for messengers of type webhook and apprise"),
        ({"type": "pigeon"}, "spec.type: 'pigeon' is not known"),
        ({"body": "x" * 16_385}, "spec.body: has 16385 characters; write 16384 at most"),
    ],
)
def test_what_no_server_takes_is_refused_too(spec: dict[str, Any], words: str) -> None:
    assert words in " ".join(map(str, strict.problems(raw(**spec))))
