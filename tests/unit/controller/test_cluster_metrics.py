"""Metrics that the Kubernetes API of the cluster tells, asked as the controller."""

from typing import Any, cast

import pytest

from canary.api.canary import parse_canary
from canary.api.meta import JsonObject
from canary.api.status import CheckStatus, Verdict
from canary.controller.ask.asker import Asker
from canary.controller.ask.builds import Builds
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, KubeError, NotFound, ServerError, Throttled, Unreachable
from canary.rollout.facts import MetricQuestion
from canary.rollout.verdicts import check_of
from metrics.reading import Reading
from outbound.connections import Connections, Manner
from tests.unit.metrics.known import KNOWN, NOW

CANARY = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop", "namespace": "shop", "uid": "1"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {
            "interval": "1m",
            "threshold": 5,
            "metrics": [{"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 5}}],
        },
    },
}


class Api:
    """The API server's end of the client: what it was asked, and its answer."""

    def __init__(self, answer: JsonObject | KubeError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def page(self, path: str, query: dict[str, str], **_: Any) -> JsonObject:
        self.asked.append((path, query))
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


class Templates:
    def __init__(self, kind: str, query: str) -> None:
        self.template = {
            "metadata": {"name": "errors", "namespace": "shop"},
            "spec": {"provider": {"type": kind}, "query": query},
        }

    def get(self, resource: object, namespace: str, name: str) -> JsonObject | None:
        return self.template if name == "errors" else None


async def answered(kind: str, query: str, api: Api, *, anywhere: bool = True) -> CheckStatus:
    client, caches = cast("KubeClient", api), cast("Caches", Templates(kind, query))
    canary = parse_canary(CANARY)
    nobody = Manner(total=1, per_host=1, largest=1)
    async with Connections(nobody) as outside:
        asker = Asker(
            client,
            caches,
            Options(cross_namespace_refs=anywhere),
            outside,
            outside,
            lambda: NOW,
            Builds(client, outside),
        )
        answer = await asker(canary, MetricQuestion("look", 0))
    assert isinstance(answer, Reading)
    return check_of(canary.analysis.metrics[0], answer)


@pytest.mark.parametrize(
    ("kind", "query", "path", "parameters"),
    [
        (
            "externalmetrics",
            "{{ namespace }}/errors?labelSelector=app%3Dshop",
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/errors",
            {"labelSelector": "app=shop"},
        ),
        (
            "keptn",
            "keptnmetric/{{ namespace }}/errors",
            "/apis/metrics.keptn.sh/v1beta1/namespaces/shop/keptnmetrics/errors",
            {},
        ),
    ],
)
async def test_the_cluster_is_asked_as_the_controller(
    kind: str, query: str, path: str, parameters: dict[str, str]
) -> None:
    api = Api(cast("JsonObject", KNOWN[kind].answer([4.0])))
    found = await answered(kind, query, api)
    assert (found.verdict, found.value, api.asked) == (Verdict.PASS, 4.0, [(path, parameters)])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Forbidden("GET", "/x", "may not list errors"), "HTTP 403: may not list errors"),
        (NotFound("GET", "/x", "no such metric"), "HTTP 404: no such metric"),
        (Throttled("GET", "/x", "too many", 7.0), "HTTP 429 (it asks to be left alone for 7 s): too many"),
        (ServerError("GET", "/x", "down", 503), "HTTP 503: down"),
        (Unreachable("GET", "/x", "no answer within 10 s"), "no answer within 10 s"),
    ],
)
async def test_what_the_api_refuses_is_no_failure_of_the_canary(error: KubeError, told: str) -> None:
    found = await answered("externalmetrics", "shop/errors", Api(error))
    assert found.verdict is Verdict.UNAVAILABLE
    assert told in found.message


@pytest.mark.parametrize("query", ["errors", "other/errors"])
async def test_other_namespaces_are_asked_about_only_where_templates_of_others_may_be_named(query: str) -> None:
    api = Api(cast("JsonObject", KNOWN["externalmetrics"].answer([4.0])))
    found = await answered("externalmetrics", query, api, anywhere=False)
    assert (found.verdict, api.asked) == (Verdict.UNAVAILABLE, [])
    assert "references to other namespaces are switched off" in found.message
    assert (await answered("externalmetrics", "shop/errors", api, anywhere=False)).verdict is Verdict.PASS
