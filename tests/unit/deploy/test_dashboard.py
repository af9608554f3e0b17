"""The Grafana dashboards, and the helper that reads their queries."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from deploy.grafana.queries import DASHBOARDS, UnknownVariableError, main, queries
from deploy.grafana.queries import dashboard as dashboard_of
from metrics.builtin import TRAFFIC, Requests
from metrics.templates import Model, render

Json = dict[str, Any]

TRAEFIK = {"traefik_service_requests_total", "traefik_service_request_duration_seconds_bucket"}
VARIABLES = {"namespace": "test", "name": "my-app", "service": "web", "ports": "(9898|http)", "job": "canary"}

MODEL = Model(
    name="my-app",
    namespace="test",
    target="my-app",
    service="web",
    ingress="web",
    route="web",
    interval="1m",
    ports="(9898|http)",
)
TRAFFIC_ROWS = {
    "Traffic through Traefik": (TRAFFIC["traefik"][0], TRAFFIC["gatewayapi"][0]),
    "Traffic through Contour": (TRAFFIC["gatewayapi"][1],),
    "Traffic through Istio's gateway": (TRAFFIC["gatewayapi"][2],),
    "Traffic as the application tells of it": (TRAFFIC["gatewayapi"][-1],),
}


@pytest.fixture(scope="module")
def dashboard() -> Json:
    """The one of one Canary."""
    return dashboard_of("canary.json")


@pytest.fixture(scope="module", params=DASHBOARDS)
def each(request: pytest.FixtureRequest) -> Json:
    """Every one of them."""
    return dashboard_of(str(request.param))


PANELS: dict[str, Callable[[Requests], str]] = {
    "Requests": lambda source: source.per_second,
    "Success rate": lambda source: source.success_rate,
    "Latency, 99th percentile": lambda source: source.milliseconds,
}


def board(*panels: Json, variables: tuple[Json, ...] = ()) -> Json:
    return {"templating": {"list": [*variables]}, "panels": [*panels]}


def panel(title: str, *exprs: str) -> Json:
    return {"title": title, "targets": [{"expr": expr} for expr in exprs]}


def test_variables_are_replaced_however_they_are_written() -> None:
    found = queries(board(panel("P", 'a{b="$x",c="${x}",d=~"${x:regex}"}', 'e{f=~"g$"}')), {"x": "1"})
    assert found == [("P", 'a{b="1",c="1",d=~"1"}'), ("P", 'e{f=~"g$"}')]


def test_a_variable_goes_before_a_shorter_one_that_it_begins_with() -> None:
    assert queries(board(panel("P", "$name $names")), {"name": "a", "names": "b"}) == [("P", "a b")]


def test_a_variable_without_a_value_is_an_error_that_names_it() -> None:
    with pytest.raises(UnknownVariableError, match=r"P asks for \$other"):
        queries(board(panel("P", "x{y='$other'}")), VARIABLES)


def test_grafanas_own_variables_have_values_that_may_be_replaced() -> None:
    asked = board(panel("P", "rate(x[$__rate_interval])"))
    assert queries(asked, {}) == [("P", "rate(x[1m])")]
    assert queries(asked, {"__rate_interval": "7s"}) == [("P", "rate(x[7s])")]


def test_panels_of_a_folded_row_are_read() -> None:
    assert queries(board({"title": "Row", "panels": [panel("P", "x")]}), {}) == [("P", "x")]


def test_queries_that_fill_variables_are_read_as_the_series_that_they_look_at() -> None:
    variables = (
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        {"name": "ns", "type": "query", "query": {"query": 'label_values(a{b="$x", c="d"}, ns)'}},
        {"name": "other", "type": "query", "query": {"query": "query_result(e)"}},
    )
    found = queries(board(variables=variables), {"x": "1"})
    assert found == [("$ns", 'a{b="1", c="d"}'), ("$other", "query_result(e)")]


def test_every_series_that_a_dashboard_shows_is_exported(
    each: Json, exported: frozenset[str], exported_by_hub: frozenset[str]
) -> None:
    found = queries(each, VARIABLES)
    shown = {name for _, query in found for name in re.findall(r"\b(?:flagger|canary|traefik|process)_\w+", query)}
    assert len(shown) > 5
    assert shown <= exported | exported_by_hub | TRAEFIK


def test_every_series_of_controller_and_hub_is_shown_somewhere(
    exported: frozenset[str], exported_by_hub: frozenset[str]
) -> None:
    shown = " ".join(query for name in DASHBOARDS for _, query in queries(dashboard_of(name), VARIABLES))
    every = exported | exported_by_hub
    numbers = {name for name in every if not name.endswith(("_sum", "_count")) and not name.startswith("process_")}
    # The limits of a check are in the status; the dashboards show what was measured, and the verdict. Nobody asks
    # admission but where it is installed.
    assert {name for name in numbers if name not in shown} <= {
        "canary_controller_admission_reviews_total",
        "canary_controller_check_value",
        "canary_controller_check_threshold",
    }


def test_dashboards_lead_to_each_other() -> None:
    boards = [dashboard_of(name) for name in DASHBOARDS]
    assert len({each["uid"] for each in boards}) == len({each["title"] for each in boards}) == len(boards)
    for each in boards:
        (link,) = each["links"]
        assert set(link["tags"]) <= set(each["tags"])
    (uid,) = {each["uid"] for each in boards if each["title"] == "Canaries: one of them"}
    assert f"/d/{uid}?var-namespace=" in json.dumps(dashboard_of("fleet.json"))


def test_its_queries_are_printed_for_whoever_tries_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet.json", "namespace=test"]) == 0
    assert "# Under way\ncount(max by (namespace, name)" in capsys.readouterr().out
    assert main(["namespace=test"]) == 2
    assert "fleet.json|canary.json|controller.json|releases.json NAME=VALUE" in capsys.readouterr().err


def asked(dashboard: Json, row: str) -> dict[str, list[str]]:
    """The queries of the panels on traffic of a row, by title: about the primary, and about the canary."""
    panels: list[Json] = dashboard["panels"]
    place = next(index for index, each in enumerate(panels) if each["title"] == row)
    held = panels[place]["panels"] or panels[place + 1 : place + 4]
    found: dict[str, list[str]] = {}
    for title, query in queries(board(*held), VARIABLES):
        found.setdefault(title, []).append(query)
    return found


@pytest.mark.parametrize("row", TRAFFIC_ROWS)
def test_traffic_is_shown_by_the_queries_that_canaries_are_judged_by(dashboard: Json, row: str) -> None:
    shown = asked(dashboard, row)
    primary = replace(MODEL, target="my-app-primary")
    for title, part in PANELS.items():
        templates = [part(source) for source in TRAFFIC_ROWS[row]]
        of_primary = "\nor\n".join(render(each.replace("-canary", "-primary"), primary) for each in templates)
        assert shown[title] == [of_primary, "\nor\n".join(render(each, MODEL) for each in templates)]


@pytest.mark.parametrize(
    "service",
    [
        "test-web-{}-9898@kubernetescrd",
        "test-web-{}-http@kubernetescrd",
        "test_web_wrr_1_test_web-{}_9898@kubernetescrd",
        "test-web-{}-http-9898@kubernetesgateway",
        "httproute-test-web-gw-gateway-traefik-ep-web-0-0123456789abcdef-svc-test-web-{}-1@kubernetesgateway",
    ],
)
@pytest.mark.parametrize("title", ["Requests", "Success rate", "Latency, 99th percentile"])
def test_traffic_is_told_apart_by_version_under_both_of_traefiks_providers(
    dashboard: Json, title: str, service: str
) -> None:
    """By the name of the Service, which need not be the target's."""
    primary, canary = asked(dashboard, "Traffic through Traefik")[title]
    for query, own, other in ((primary, "primary", "canary"), (canary, "canary", "primary")):
        matchers = [re.compile(pattern) for pattern in re.findall(r'service=~"([^"]+)"', query)]
        assert any(matcher.fullmatch(service.format(own)) for matcher in matchers)
        for neighbour in (service.format(other), service.format(f"canary-{own}"), "test-web-9898@kubernetescrd"):
            assert not any(matcher.fullmatch(neighbour) for matcher in matchers)


def test_counters_are_shown_as_increases_since_they_begin_anew_with_each_controller(dashboard: Json) -> None:
    shown = dict(queries(dashboard, VARIABLES | {"__range": "9h"}))
    for title in ("Promoted", "Rolled back"):
        assert "increase(" in shown[title]
        assert "[9h]" in shown[title]


def test_panels_have_ids_and_places_of_their_own(each: Json) -> None:
    panels = each["panels"]
    ids = [each["id"] for panel in panels for each in (panel, *panel.get("panels", ()))]
    assert len({*ids}) == len(ids)
    cells = [
        (column, line)
        for place in (each["gridPos"] for each in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "panels lie over each other"
    assert all(column < 24 for column, _ in cells)


def test_every_query_goes_to_the_data_source_that_the_reader_picks(each: Json) -> None:
    shown = [panel for panel in each["panels"] if panel["type"] != "row"]
    targets = [target for panel in shown for target in panel["targets"]]
    assert all(panel["description"] and panel["targets"] for panel in shown)
    assert {asked["datasource"]["uid"] for asked in (*shown, *targets)} == {"${datasource}"}
