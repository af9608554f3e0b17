"""Prometheus: the real one, finding pods by annotation as most installations do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from canary.kube.types import Json
from canary.sandbox import envoys
from canary.sandbox.addresses import Site

_META = "__meta_kubernetes_pod"
_ANNOTATION = f"{_META}_annotation_prometheus_io"


@dataclass(frozen=True, slots=True)
class Scraping:
    """What is scraped how often.

    Attributes:
        interval: between two scrapes of a target, as Prometheus writes durations.
        targets: further targets: from job name to `host:port`s.
    """

    interval: str = "1s"
    targets: Mapping[str, Sequence[str]] | None = None


def _pods() -> list[Json]:
    return [
        {"source_labels": [f"{_ANNOTATION}_scrape"], "action": "keep", "regex": "true"},
        {"source_labels": [f"{_META}_phase"], "action": "drop", "regex": "Pending|Succeeded|Failed|Completed"},
        {"source_labels": [f"{_ANNOTATION}_path"], "target_label": "__metrics_path__", "regex": "(.+)"},
        {
            "source_labels": [f"{_META}_ip", f"{_ANNOTATION}_port"],
            "target_label": "__address__",
            "regex": "(.+);([0-9]+)",
            "replacement": "$1:$2",
        },
        {"action": "labelmap", "regex": f"{_META}_label_(.+)"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "kubernetes_namespace"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{_META}_name"], "target_label": "kubernetes_pod_name"},
        {"source_labels": [f"{_META}_name"], "target_label": "pod"},
    ]


def configuration(scraping: Scraping, jobs: Sequence[Json], kubeconfig: Path) -> Json:
    """Prometheus's configuration.

    Args:
        scraping: what is scraped how often.
        jobs: further jobs, as Prometheus has them in its `scrape_configs`.
        kubeconfig: its way to the API server.
    """
    given = scraping.targets or {}
    static = [{"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in given.items()]
    discovered = {
        "job_name": "kubernetes-pods",
        "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
        "relabel_configs": _pods(),
        "metric_relabel_configs": list(envoys.RENAMED),
    }
    timing = {"scrape_interval": scraping.interval, "scrape_timeout": scraping.interval}
    return {
        "global": {**timing, "evaluation_interval": scraping.interval},
        "scrape_configs": [*jobs, *static, discovered],
    }


def write_configuration(path: Path, scraping: Scraping, jobs: Sequence[Json], kubeconfig: Path) -> None:
    """Write it as a file; JSON is YAML too."""
    path.write_text(json.dumps(configuration(scraping, jobs, kubeconfig), indent=1))


def command(program: Path, *, config: Path, data: Path, site: Site) -> list[str]:
    """The command line of Prometheus."""
    return [
        str(program),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={site.prometheus}:9090",
        "--log.level=warn",
    ]
