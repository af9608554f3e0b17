"""Rollouts and AnalysisTemplates, as they are written for Argo Rollouts."""

from pathlib import Path
from typing import Any

import yaml

from canary.cli.convert.files import Converted, converted

Json = dict[str, Any]

TEMPLATE = {
    "metadata": {"labels": {"app": "shop"}},
    "spec": {"containers": [{"name": "web", "image": "shop:1", "ports": [{"name": "http", "containerPort": 8080}]}]},
}
STEPS = [{"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {"duration": 600}}]
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "shop", "namespace": "prod"},
    "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}


def rollout(strategy: Json | None = None, **spec: Any) -> Json:
    """A Rollout; of a weighted strategy with two steps where none is given."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": TEMPLATE,
            "strategy": strategy or weighted(),
            **spec,
        },
    }


def weighted(**canary: Any) -> Json:
    """A strategy of steps, behind a route of the Gateway API."""
    routing = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "edge", "namespace": "prod"}}}
    services = {"stableService": "shop", "canaryService": "shop-canary"}
    return {"canary": {**services, "trafficRouting": routing, "steps": STEPS, **canary}}


def template(*metrics: Json, name: str = "checks", kind: str = "AnalysisTemplate", **spec: Any) -> Json:
    """An AnalysisTemplate of these metrics."""
    metadata = {"name": name} | ({"namespace": "prod"} if kind == "AnalysisTemplate" else {})
    made = {"metrics": [*metrics], **spec}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": made}


def metric(name: str = "errors", **fields: Any) -> Json:
    """A metric that is asked of Prometheus."""
    asked = {"prometheus": {"address": "http://prometheus:9090", "query": "sum(rate(errors[1m]))"}}
    return {"name": name, "successCondition": "result[0] <= 0.05", "provider": asked, **fields}


def named(*names: str, **more: Any) -> Json:
    """An analysis by templates of these names."""
    return {"templates": [{"templateName": each} for each in names], **more}


def written(folder: Path, *objects: Json) -> str:
    """A file that holds these objects."""
    path = folder / "rollout.yaml"
    path.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    return str(path)


def of(folder: Path, *objects: Json) -> Converted:
    """What a file of these objects comes to."""
    return converted([written(folder, *objects)])
