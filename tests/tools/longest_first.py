"""The files of tests on a real cluster by how long they take: lanes that share them begin with the longest.

So that the last lane does not end long after the others. A conftest takes over the hooks by importing them. xdist keeps
the order where it is told `--no-loadscope-reorder`; by itself it begins with the files of most tests.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import chain

import pytest

SECONDS: Mapping[str, int] = {
    "cluster/test_matrix_on_a_real_api_server": 322,
    "cluster/test_deploy_pages": 70,
    "cluster/test_deploy_install": 160,
    "cluster/test_deploy_rights": 142,
    "cluster/test_hub": 132,
    "cluster/test_hub_traffic": 300,
    "cluster/test_autoscalers": 194,
    "cluster/test_services_fields": 152,
    "cluster/test_knative": 156,
    "cluster/test_other_providers_on_a_real_api_server": 210,
    "cluster/test_command_line": 272,
    "cluster/test_job_metric": 146,
    "cluster/test_configuration": 168,
    "cluster/test_gates_killed": 90,
    "cluster/test_sandbox_background": 94,
    "cluster/test_sandbox_istio": 80,
    "cluster/test_foreign_objects": 113,
    "cluster/test_admission": 298,
    "cluster/test_v1beta2": 294,
    "cluster/test_gates": 121,
    "cluster/test_votes": 88,
    "cluster/test_fleet_members": 113,
    "cluster/test_cluster_api": 150,
    "cluster/test_fleet_rights": 83,
    "cluster/test_helm_waits": 29,
    "cluster/test_deploy_chart": 286,
    "cluster/test_kube_client": 60,
    "cluster/test_helm_releases": 43,
    "cluster/test_sandbox_contour": 78,
    "cluster/test_drafted": 114,
    "cluster/test_way_back": 82,
    "cluster/test_sandbox_failures": 26,
    "cluster/test_sandbox_pods": 26,
    "cluster/test_sandbox_gateway": 40,
    "cluster/test_upstream_schemas": 77,
    "cluster/test_sandbox_nginx": 48,
    "cluster/test_loadtester_callers": 4,
    "cluster/test_contour_quirks": 43,
    "cluster/test_builtin_queries": 39,
    "cluster/test_deploy_rules": 18,
    "cluster/test_vote_policy": 38,
    "cluster/test_waiting_for_health": 38,
    "cluster/test_crds_on_a_real_api_server": 17,
    "cluster/test_sandbox_cluster": 6,
    "cluster/test_sandbox_samples": 7,
    "cluster/test_sandbox_netns": 9,
    "cluster/test_route_limits": 9,
    "cluster/test_istio_objects": 12,
    "cluster/test_sandbox_places": 3,
    "cluster/test_services_names": 9,
    "cluster/test_istio_analyzer": 3,
    "e2e/test_taking_over_from_flagger": 440,
    "e2e/test_leaving": 516,
    "e2e/test_compared": 215,
    "e2e/test_killed": 491,
    "e2e/test_fleet_over_whole_members": 459,
    "e2e/test_refused": 426,
    "e2e/test_targets_statefulset": 214,
    "e2e/test_data_plane": 239,
    "e2e/test_istio": 240,
    "e2e/test_sandbox_clusters": 230,
    "e2e/test_contour": 166,
    "e2e/test_flaggers_contract": 178,
    "e2e/test_other_definitions": 179,
    "e2e/test_counted": 201,
    "e2e/test_conditions": 128,
    "e2e/test_outages": 165,
    "e2e/test_changes": 206,
    "e2e/test_baseline": 84,
    "e2e/test_gateway_api": 182,
    "e2e/test_traces": 113,
    "e2e/test_targets_daemonset": 127,
    "e2e/test_nginx": 102,
    "e2e/test_demo": 96,
    "e2e/test_compared_on_prometheus": 81,
    "e2e/test_taking_over": 114,
    "e2e/test_dashboards": 135,
    "e2e/test_bad_input": 106,
    "e2e/test_rehearsal_is_what_happens": 97,
    "e2e/test_bake": 68,
    "e2e/test_route_refs": 100,
    "e2e/test_targets_service": 115,
    "e2e/test_tls_route": 152,
    "e2e/test_article": 79,
    "e2e/test_replicas": 92,
    "e2e/test_two_controllers": 76,
    "e2e/test_backtest": 151,
    "e2e/test_sandbox_command": 77,
    "e2e/test_blue_green": 66,
    "e2e/test_ports": 83,
    "e2e/test_tcp_route": 53,
    "e2e/test_metrics_on_prometheus": 37,
    "e2e/test_signed_webhooks": 32,
    "e2e/test_steps": 68,
    "e2e/test_alerts": 33,
    "e2e/test_a_b": 46,
    "e2e/test_grpc_route": 61,
    "e2e/test_session_affinity": 35,
    "e2e/test_image": 24,
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
