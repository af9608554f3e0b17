"""The files of tests on a real cluster by how long they take: lanes that share them begin with the longest.

So that the last lane does not end long after the others. A conftest takes over the hooks by importing them. xdist keeps
the order where it is told `--no-loadscope-reorder`; by itself it begins with the files of most tests.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

import pytest

SECONDS: Mapping[str, int] = {
    "cluster/test_deploy_pages": 344,
    "cluster/test_hub_traffic": 300,
    "cluster/test_v1beta2": 294,
    "cluster/test_deploy_install": 210,
    "cluster/test_sandbox_istio": 164,
    "cluster/test_deploy_chart": 157,
    "cluster/test_admission": 150,
    "cluster/test_cluster_api": 150,
    "cluster/test_autoscalers": 149,
    "cluster/test_deploy_rights": 148,
    "cluster/test_job_metric": 146,
    "cluster/test_hub": 132,
    "cluster/test_votes": 130,
    "cluster/test_services_fields": 128,
    "cluster/test_sandbox_background": 121,
    "cluster/test_fleet_members": 113,
    "cluster/test_gates_killed": 112,
    "cluster/test_other_providers_on_a_real_api_server": 104,
    "cluster/test_sandbox_contour": 100,
    "cluster/test_knative": 98,
    "cluster/test_command_line": 96,
    "cluster/test_gates": 93,
    "cluster/test_drafted": 90,
    "cluster/test_way_back": 88,
    "cluster/test_configuration": 87,
    "cluster/test_matrix_on_a_real_api_server": 86,
    "cluster/test_fleet_rights": 83,
    "cluster/test_foreign_objects": 81,
    "cluster/test_contour_quirks": 71,
    "cluster/test_kube_client": 59,
    "cluster/test_sandbox_nginx": 53,
    "cluster/test_sandbox_gateway": 49,
    "cluster/test_helm_releases": 46,
    "cluster/test_upstream_schemas": 44,
    "cluster/test_traefik_quirks": 41,
    "cluster/test_helm_waits": 32,
    "cluster/test_builtin_queries": 32,
    "cluster/test_sandbox_failures": 29,
    "cluster/test_sandbox_pods": 27,
    "cluster/test_deployment_quirks": 23,
    "cluster/test_deploy_rules": 22,
    "cluster/test_waiting_for_health": 22,
    "cluster/test_vote_policy": 17,
    "cluster/test_sandbox_cluster": 12,
    "cluster/test_crds_on_a_real_api_server": 10,
    "cluster/test_sandbox_samples": 9,
    "cluster/test_route_limits": 8,
    "cluster/test_sandbox_netns": 5,
    "cluster/test_sandbox_places": 4,
    "cluster/test_loadtester_callers": 3,
    "cluster/test_istio_objects": 3,
    "cluster/test_services_names": 2,
    "cluster/test_istio_analyzer": 1,
    "e2e/test_fleet_over_whole_members": 459,
    "e2e/test_taking_over_from_flagger": 440,
    "e2e/test_leaving": 411,
    "e2e/test_data_plane": 250,
    "e2e/test_sandbox_clusters": 230,
    "e2e/test_refused": 229,
    "e2e/test_killed": 227,
    "e2e/test_changes": 214,
    "e2e/test_istio": 204,
    "e2e/test_flaggers_contract": 201,
    "e2e/test_compared": 198,
    "e2e/test_compared_on_prometheus": 177,
    "e2e/test_outages": 163,
    "e2e/test_gateway_api": 160,
    "e2e/test_targets_statefulset": 159,
    "e2e/test_tls_route": 152,
    "e2e/test_contour": 151,
    "e2e/test_backtest": 151,
    "e2e/test_demo": 149,
    "e2e/test_counted": 142,
    "e2e/test_conditions": 128,
    "e2e/test_rehearsal_is_what_happens": 121,
    "e2e/test_bake": 119,
    "e2e/test_bad_input": 114,
    "e2e/test_sandbox_command": 105,
    "e2e/test_route_refs": 104,
    "e2e/test_targets_service": 102,
    "e2e/test_targets_daemonset": 99,
    "e2e/test_taking_over": 95,
    "e2e/test_nginx": 88,
    "e2e/test_baseline": 84,
    "e2e/test_replicas": 79,
    "e2e/test_article": 78,
    "e2e/test_other_definitions": 74,
    "e2e/test_ports": 73,
    "e2e/test_dashboards": 71,
    "e2e/test_traces": 68,
    "e2e/test_tcp_route": 52,
    "e2e/test_steps": 52,
    "e2e/test_a_b": 49,
    "e2e/test_grpc_route": 49,
    "e2e/test_blue_green": 46,
    "e2e/test_metrics_on_prometheus": 40,
    "e2e/test_two_controllers": 39,
    "e2e/test_session_affinity": 38,
    "e2e/test_signed_webhooks": 36,
    "e2e/test_image": 26,
    "e2e/test_alerts": 25,
    "e2e/test_gateway_class": 16,
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
