"""Links are made of templates, are addresses whatever stands in them, and are refused where they can't be."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.alerts.alert import Alert, Link
from canary.alerts.problems import of_links
from canary.alerts.templates import why_no_link, with_links
from canary.api.analysis import Severity
from canary.api.canary import Canary, parse_canary

ALERT = Alert("shop", "prod", "x", Severity.WARN, cluster="eu 1", phase="Failed", kind="Deployment", target="shop-app")


def canary(**links: str) -> Canary:
    rules = [{"name": "a", "providerRef": {"name": "b"}, "links": links}]
    spec = {"targetRef": {"kind": "Deployment", "name": "shop"}, "analysis": {"threshold": 1, "alerts": rules}}
    return parse_canary({"metadata": {"name": "shop", "namespace": "prod"}, "spec": spec})


def test_a_link_knows_the_canary_the_cluster_and_what_happened() -> None:
    template = (
        "https://g/d?c={{ cluster }}&n={{ namespace }}/{{ name }}&t={{ kind }}.{{ target }}"
        "&s={{ severity }}-{{ phase }}"
    )

    found = with_links(ALERT, {"Dashboard": template}).links

    assert found == (Link("Dashboard", "https://g/d?c=eu%201&n=prod/shop&t=Deployment.shop-app&s=warn-Failed"),)


@given(st.text())
def test_no_value_leaves_its_place_in_a_link(cluster: str) -> None:
    (found,) = with_links(replace(ALERT, cluster=f"x{cluster}"), {"a": "https://g.test/d?c={{ cluster }}&z=1"}).links

    parts = urlsplit(found.url)
    assert (parts.netloc, parts.path, parts.fragment) == ("g.test", "/d", "")
    assert parse_qs(parts.query) == {"c": [f"x{cluster}"], "z": ["1"]}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("https://g/{{ nam }}", "nam isn't defined; available are cluster, kind, name, namespace, phase, severity"),
        ("https://g/{{ text }}", "text isn't defined"),
        ("g.test/{{ name }}", "no http:// or https:// address"),
        ("javascript:{{ name }}", "no http:// or https:// address"),
        ('https://{{ if eq name "x" }}g{{ end }}', "no http:// or https:// address"),
        ("https://g/{{ name", "this action isn't closed"),
        ("https://g/" + "x" * 3000, "more than 2000 characters"),
    ],
)
def test_what_makes_no_link_is_refused_with_its_field_and_never_sent(template: str, words: str) -> None:
    assert words in why_no_link(template)
    (problem,) = of_links(canary(Runbook=template))
    assert problem.field == "spec.analysis.alerts[0].links.Runbook"
    assert with_links(ALERT, {"Runbook": template}).links == ()


def test_what_makes_one_is_not_refused() -> None:
    assert [*of_links(canary(Runbook="https://wiki.test/{{ name }}"))] == []
