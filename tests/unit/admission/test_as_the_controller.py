"""What admission lets pass the controller never calls invalid, and what it refuses the controller can't work with.

The whole controller runs on an API server in memory, where all is well but the spec.
"""

import asyncio
import re
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from looptime import new_event_loop

from canary.admission.validate import validate
from canary.api import strict
from canary.controller import run
from canary.controller.options import Options
from canary.kube.types import CANARY, Json
from tests.unit.admission.conftest import review
from tests.unit.admission.follow import GONE, put
from tests.unit.controller.whole_controller import Cluster, connect

INVALID = "InvalidSpec"
OPTIONS = Options(mesh_provider="kubernetes", leader_election=False)
GOOD: Json = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
    "service": {"port": 80},
    "analysis": {
        "interval": "1m",
        "threshold": 5,
        "iterations": 10,
        "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
        "webhooks": [{"name": "load", "url": "http://x.test/"}],
    },
}
CHANGES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("provider", ("kubernetes", "nobody", "appmesh")),
    ("skipAnalysis", (True, False)),
    ("suspend", (True,)),
    ("progressDeadlineSeconds", (60, 0)),
    ("metricsServer", ("http://prometheus:9090", "prometheus")),
    ("service.port", (8080, 0, 70_000, "80")),
    ("service.targetPort", (8080, -1)),
    ("service.portName", ("http", "grpc")),
    ("service.timeout", ("15s", "soon")),
    ("service.hosts", (["app.example.com"],)),
    ("service.ports", ([{"name": "admin", "port": 81}], [{"name": "http", "port": 80}])),
    ("analysis.interval", ("1s", "100ms", GONE)),
    ("analysis.threshold", (0, -1, "five")),
    ("analysis.iterations", (0, 1, -1, 20_000, GONE)),
    ("analysis.stepWeight", (0, 10, 150)),
    ("analysis.stepWeights", ([], [5, 50], [50, 5], [0])),
    ("analysis.maxWeight", (0, 50, 120)),
    ("analysis.mirror", (True, False)),
    ("analysis.match", ([], [{"headers": {"x-canary": {"exact": "yes"}}}])),
    ("analysis.replicaRatio", (True, False)),
    ("analysis.bake", ("10m", "0s", "9000h")),
    ("analysis.sessionAffinity", ({"cookieName": "a"}, {"cookieName": "a", "primaryCookieName": "a"})),
    ("analysis.metrics[0].name", ("request-duration", "errors")),
    ("analysis.metrics[0].thresholdRange", ({"max": 1}, {"min": 2, "max": 1}, GONE)),
    ("analysis.metrics[0].threshold", (99,)),
    ("analysis.metrics[0].interval", ("1m", "0s", "soon", 5)),
    ("analysis.metrics[0].query", ("", "up", "{{ nobody }}")),
    ("analysis.metrics[0].compareTo", ("primary", "previous", "nobody")),
    ("analysis.metrics[0].noData", ("Hold", "Never")),
    ("analysis.webhooks[0].url", ("https://y.test/", "x", GONE)),
    ("analysis.webhooks[0].type", ("pre-rollout", "confirm-promotion", "never")),
    ("analysis.webhooks[0].timeout", ("5s", "0s", "25h")),
    ("analysis.webhooks[0].retries", (0, -1, 101, "two")),
    ("analysis.webhooks[0].gate", ({}, {"approval": {}}, {"approval": {"minApprovals": 0}})),
)


@st.composite
def specs(draw: st.DrawFn) -> Json:
    """A spec that works, with some fields of it changed for better or worse."""
    spec = deepcopy(GOOD)
    for path, values in draw(st.lists(st.sampled_from(CHANGES), max_size=3, unique_by=lambda each: each[0])):
        put(spec, path, draw(st.sampled_from(values)))
    return spec


def sound(raw: Json) -> bool:
    """Whether the schema takes it, so that it comes as far as a controller."""
    return not any(each.message != strict.UNKNOWN for each in strict.problems(raw))


def stalled(raw: Json) -> str:
    """What the controller calls invalid of it; empty where it works."""
    cluster = Cluster()

    async def rollout() -> None:
        cluster.put_app()
        cluster.put(CANARY, "app", spec=raw["spec"])
        task = asyncio.create_task(run.Controller(OPTIONS).run())
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    loop = new_event_loop()
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, cluster)
        try:
            loop.run_until_complete(rollout())
        finally:
            loop.close()
    condition = cluster.condition("Stalled")
    assert cluster.status(), "it was looked at"
    return str(condition["message"]) if condition.get("reason") == INVALID else ""


def raw_of(spec: Any) -> Json:
    return {
        "apiVersion": CANARY.api_version,
        "kind": "Canary",
        "metadata": {"name": "app", "namespace": "prod"},
        "spec": spec,
    }


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(specs())
def test_they_agree(spec: Json) -> None:
    raw = raw_of(spec)
    response = validate(review(raw, namespace="prod"), OPTIONS)["response"]
    told = response.get("status", {}).get("message", "")
    found = stalled(raw)
    if response["allowed"]:
        assert found == ""
    else:
        assert found or not sound(raw)
    if sound(raw):
        assert set(re.findall(r"spec\.[\w.\[\]]+(?=: )", found)) <= set(re.findall(r"spec\.[\w.\[\]]+(?=: )", told))
