"""The files of tests on a real cluster by how long they take: lanes that share them begin with the longest.

So that the last lane does not end long after the others. A conftest takes over the hooks by importing them. xdist keeps
the order where it is told `--no-loadscope-reorder`; by itself it begins with the files of most tests.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

import pytest

SECONDS: Mapping[str, int] = {
    "cluster/test_matrix_on_a_real_api_server": 348,
    "cluster/test_deploy_pages": 281,
    "cluster/test_deploy_install": 247,
    "cluster/test_deploy_rights": 172,
    "cluster/test_hub": 170,
    "cluster/test_autoscalers": 161,
    "cluster/test_services_fields": 139,
    "cluster/test_knative": 127,
    "cluster/test_other_providers_on_a_real_api_server": 124,
    "cluster/test_command_line": 123,
    "cluster/test_job_metric": 119,
    "cluster/test_configuration": 110,
    "cluster/test_gates_killed": 80,
    "cluster/test_sandbox_background": 71,
    "cluster/test_sandbox_istio": 70,
    "cluster/test_foreign_objects": 69,
    "cluster/test_admission": 95,
    "cluster/test_v1beta2": 90,
    "cluster/test_gates": 60,
    "cluster/test_votes": 77,
    "cluster/test_fleet_members": 60,
    "cluster/test_fleet_rights": 30,
    "cluster/test_helm_waits": 50,
    "cluster/test_deploy_chart": 45,
    "cluster/test_kube_client": 42,
    "cluster/test_helm_releases": 34,
    "cluster/test_sandbox_contour": 32,
    "cluster/test_drafted": 30,
    "cluster/test_way_back": 29,
    "cluster/test_sandbox_failures": 25,
    "cluster/test_sandbox_pods": 25,
    "cluster/test_sandbox_gateway": 24,
    "cluster/test_upstream_schemas": 22,
    "cluster/test_sandbox_nginx": 19,
    "cluster/test_loadtester_callers": 18,
    "cluster/test_contour_quirks": 16,
    "cluster/test_builtin_queries": 12,
    "cluster/test_deploy_rules": 10,
    "cluster/test_vote_policy": 10,
    "cluster/test_waiting_for_health": 9,
    "cluster/test_crds_on_a_real_api_server": 8,
    "cluster/test_sandbox_cluster": 6,
    "cluster/test_sandbox_samples": 6,
    "cluster/test_sandbox_netns": 6,
    "cluster/test_route_limits": 4,
    "cluster/test_istio_objects": 2,
    "cluster/test_sandbox_places": 2,
    "cluster/test_services_names": 2,
    "cluster/test_istio_analyzer": 1,
    "e2e/test_taking_over_from_flagger": 440,
    "e2e/test_leaving": 405,
    "e2e/test_compared": 410,
    "e2e/test_killed": 467,
    "e2e/test_refused": 283,
    "e2e/test_targets_statefulset": 250,
    "e2e/test_data_plane": 213,
    "e2e/test_istio": 256,
    "e2e/test_contour": 196,
    "e2e/test_flaggers_contract": 167,
    "e2e/test_other_definitions": 176,
    "e2e/test_counted": 146,
    "e2e/test_conditions": 128,
    "e2e/test_outages": 147,
    "e2e/test_changes": 142,
    "e2e/test_baseline": 84,
    "e2e/test_gateway_api": 126,
    "e2e/test_traces": 103,
    "e2e/test_targets_daemonset": 109,
    "e2e/test_nginx": 98,
    "e2e/test_demo": 97,
    "e2e/test_compared_on_prometheus": 115,
    "e2e/test_taking_over": 94,
    "e2e/test_dashboards": 69,
    "e2e/test_bad_input": 118,
    "e2e/test_rehearsal_is_what_happens": 162,
    "e2e/test_bake": 71,
    "e2e/test_route_refs": 91,
    "e2e/test_targets_service": 69,
    "e2e/test_tls_route": 152,
    "e2e/test_article": 73,
    "e2e/test_replicas": 67,
    "e2e/test_two_controllers": 67,
    "e2e/test_backtest": 151,
    "e2e/test_sandbox_command": 47,
    "e2e/test_blue_green": 44,
    "e2e/test_ports": 41,
    "e2e/test_tcp_route": 36,
    "e2e/test_metrics_on_prometheus": 38,
    "e2e/test_signed_webhooks": 30,
    "e2e/test_steps": 39,
    "e2e/test_alerts": 17,
    "e2e/test_a_b": 31,
    "e2e/test_grpc_route": 35,
    "e2e/test_session_affinity": 26,
    "e2e/test_image": 19,
    "e2e/test_gateway_class": 14,
}
"""Roughly; what a run says of itself at its end is to be written here where it differs much. The unknown come first."""
UNKNOWN = 1_000_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files of each folder first."""
    folders = {folder: place for place, folder in enumerate(dict.fromkeys(item.path.parent for item in items))}
    items.sort(key=lambda item: (folders[item.path.parent], -SECONDS.get(_name(item.nodeid), UNKNOWN)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each file took, by its tests and what they set up."""
    reports = chain.from_iterable(terminalreporter.stats.values())
    seconds: Counter[str] = Counter()
    for report in reports:
        if isinstance(report, pytest.TestReport):
            seconds[_name(report.nodeid)] += round(report.duration)
    terminalreporter.section("seconds of each file")
    for name, taken in seconds.most_common():
        terminalreporter.line(f'    "{name}": {taken},')


def _name(nodeid: str) -> str:
    """The folder and the file of a test, such as `e2e/test_killed`."""
    return nodeid.partition("::")[0].removeprefix("tests/").removesuffix(".py")
