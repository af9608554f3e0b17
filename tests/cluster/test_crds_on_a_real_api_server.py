"""The generated CRDs on a real API server: it takes them, and takes and refuses objects as it should."""

import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from canary.api import strict
from canary.api.canary import parse_canary
from canary.api.crds import DEFINITIONS
from canary.api.meta import Condition
from canary.api.problems import InvalidResource
from canary.api.status import CanaryStatus, CheckStatus, Counted, Evidence, Phase, Verdict
from canary.cli.rehearse.fleets.read import problems_of_fleet
from canary.controller.problems import of_spec
from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster

MERGE_PATCH = "application/merge-patch+json"
ROOT = Path(__file__).parents[2]
PLACES = {each.model.__name__: (each.api_version, each.plural, each.group) for each in DEFINITIONS}
EXAMPLES: list[Json] = [
    document
    for file in sorted((ROOT / "tests" / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
]
NOW = datetime(2025, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


class Api:
    """Requests as they are, to see the server's answers whole."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def request(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        content = None if body is None else json.dumps(body)
        answer = await self.client.request(method, path, content=content, headers={"Content-Type": kind})
        answer.raise_for_status()
        document: Json = answer.json()
        return document


def kubectl(cluster: Cluster, *arguments: str) -> str:
    command = ["kubectl", *arguments]
    run = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def crds(running_cluster: Cluster) -> Cluster:
    """A cluster with the CRDs, applied as a user does."""
    for _, plural, _ in PLACES.values():
        kubectl(running_cluster, "apply", "-f", str(ROOT / "crds" / f"{plural}.yaml"))
    names = [f"crd/{plural}.{group}" for _, plural, group in PLACES.values()]
    kubectl(running_cluster, "wait", "--for=condition=Established", "--timeout=30s", *names)
    return running_cluster


@pytest.fixture
async def api(crds: Cluster, cluster: Cluster) -> AsyncIterator[Api]:
    context = ssl.create_default_context(cafile=cluster.certificate)
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    async with httpx.AsyncClient(base_url=addresses.API_URL, verify=context, headers=headers) as client:
        yield Api(client)


def collection(namespace: str, kind: str) -> str:
    version, plural, _ = PLACES[kind]
    return f"/apis/{version}/namespaces/{namespace}/{plural}"


def example(name: str) -> Json:
    (found,) = [each for each in EXAMPLES if each["metadata"]["name"] == name]
    return deepcopy(found)


def put(document: Json, path: str, value: object) -> Json:
    *parents, last = path.split(".")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if value is None:
        del here[last]
    else:
        here[int(last) if isinstance(here, list) else last] = value
    return document


async def test_the_api_server_has_nothing_to_say_against_the_schemas(api: Api) -> None:
    for _, plural, group in PLACES.values():
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}"
        conditions = (await api.request("GET", path))["status"]["conditions"]
        assert {each["type"]: each["status"] for each in conditions} == {
            "NamesAccepted": "True",
            "Established": "True",
        }


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda each: str(each["metadata"]["name"]))
async def test_every_example_is_accepted_and_nothing_of_it_is_dropped(api: Api, namespace: str, document: Json) -> None:
    path = collection(namespace, document["kind"])
    stored = await api.request("POST", f"{path}?fieldValidation=Strict", document)
    assert without_defaults(stored["spec"], document["spec"]) == document["spec"]


def without_defaults(stored: Any, sent: Any) -> Any:
    """What was stored, less what the API server filled in."""
    if isinstance(stored, dict) and isinstance(sent, dict):
        return {key: without_defaults(value, sent[key]) for key, value in stored.items() if key in sent}
    if isinstance(stored, list) and isinstance(sent, list) and len(stored) == len(sent):
        return [without_defaults(*pair) for pair in zip(stored, sent, strict=True)]
    return stored


REFUSED: list[tuple[str, str, object, tuple[str, ...]]] = [
    ("my-app", "spec", None, ("spec: Required value",)),
    ("my-app", "spec.targetRef", None, ("spec.targetRef: Required value",)),
    ("my-app", "spec.targetRef.kind", "Pod", ("spec.targetRef.kind", '"Deployment"')),
    ("my-app", "spec.provider", "linkerd2", ("spec.provider", '"linkerd"')),
    ("my-app", "spec.service", None, ("spec.service is missing", "set it, with the port")),
    ("my-app", "spec.service.port", 0, ("spec.service.port", "greater than or equal to 1")),
    ("my-app", "spec.service.port", 65_536, ("spec.service.port", "less than or equal to 65535")),
    ("my-app", "spec.analysis", None, ("spec.analysis is missing", "stepWeight")),
    ("my-app", "spec.analysis.interval", None, ("spec.analysis.interval: Required value",)),
    (
        "my-app",
        "spec.analysis.interval",
        "1min",
        ("spec.analysis.interval", "is not a duration of 720h at most; write a duration such as"),
    ),
    ("my-app", "spec.analysis.interval", "9999999h", ("spec.analysis.interval", "is not a duration of 720h at most")),
    ("my-app", "spec.analysis.interval", "721h", ("spec.analysis.interval", "is not a duration of 720h at most")),
    ("my-app", "spec.analysis.bake", "8760h1s", ("spec.analysis.bake", "is not a duration of 8760h at most")),
    ("my-app", "spec.analysis.webhooks.0.timeout", "25h", ("webhooks[0].timeout", "is not a duration of 24h at most")),
    ("my-app", "spec.analysis.webhooks.0.retries", 101, ("webhooks[0].retries", "less than or equal to 100")),
    ("my-app", "spec.analysis.threshold", 10_001, ("spec.analysis.threshold", "less than or equal to 10000")),
    ("my-app", "spec.progressDeadlineSeconds", 10**12, ("spec.progressDeadlineSeconds", "less than or equal to")),
    ("my-app", "spec.analysis.threshold", None, ("spec.analysis.threshold: Required value",)),
    ("my-app", "spec.analysis.stepWeight", None, ("spec.analysis.stepWeight is missing", "stepWeights")),
    ("my-app", "spec.analysis.stepWeight", 0, ("spec.analysis.stepWeight is missing", "stepWeights")),
    ("my-app", "spec.analysis.stepWeights", [5], ("spec.analysis", "exclude each other; keep one")),
    ("my-app", "spec.analysis.maxWeight", 110, ("spec.analysis.maxWeight", "less than or equal to 100")),
    ("shop", "spec.analysis.stepWeights", [10, 10], ("spec.analysis.stepWeights", "must grow")),
    ("shop", "spec.analysis.stepWeights", [20, 10], ("spec.analysis.stepWeights", "must grow")),
    ("shop", "spec.analysis.stepWeights", [10, 101], ("spec.analysis.stepWeights[1]", "equal to 100")),
    ("my-app", "spec.analysis.metrics.0.name", "latency", ("spec.analysis.metrics[0]", "set templateRef")),
    ("my-app", "spec.analysis.metrics.0.threshold", None, ("metrics[0]", "thresholdRange is missing")),
    ("my-app", "spec.analysis.metrics.0.noData", "Ignore", ("metrics[0].noData", '"Hold"')),
    (
        "my-app",
        "spec.analysis.metrics.0.thresholdRange",
        {"min": 2.5, "max": 1},
        ("metrics[0].thresholdRange", "at most max"),
    ),
    ("my-app", "spec.analysis.webhooks.0.url", "loadtester", ("webhooks[0]", "url is no address; write")),
    ("my-app", "spec.analysis.webhooks.0.url", "ftp://x/", ("webhooks[0]", "url is no address; write")),
    ("my-app", "spec.analysis.webhooks.0.type", "pre", ("webhooks[0].type", '"pre-rollout"')),
    ("shop", "spec.analysis.sessionAffinity.primaryCookieName", "shop-canary", ("sessionAffinity", "other")),
    ("shop", "spec.service.gatewayRefs", None, ("spec.service.gatewayRefs is missing", "name the gateway")),
    ("shop", "spec.service.mirror.0.backendRef.port", None, ("mirror[0].backendRef", "set the Service's port")),
    ("shop", "spec.service.match.0.uri", {"exact": "a", "prefix": "b"}, ("match[0].uri", "at most 1")),
    ("behind-nginx", "spec.ingressRef", None, ("spec.ingressRef is missing", "name the Ingress")),
    ("behind-skipper", "spec.ingressRef", None, ("spec.ingressRef is missing", "name the Ingress")),
    ("behind-apisix", "spec.routeRef", None, ("spec.routeRef is missing", "name the ApisixRoute")),
    ("on-knative", "spec.provider", "istio", ("spec.provider knative", "set both or neither")),
    ("my-app", "spec.provider", "knative", ("spec.provider knative", "set both or neither")),
    (
        "on-knative",
        "spec.autoscalerRef",
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "x"},
        ("spec.autoscalerRef", "take it out"),
    ),
    ("my-app", "spec.targetRef.kind", "StatefulSet", ("spec.service can't be used", "take it out")),
    ("my-app", "spec.targetRef.kind", "CronJob", ("spec.targetRef.kind", '"StatefulSet"')),
    ("ledger", "spec.autoscalerRef.primaryScalerReplicas.maxReplicas", 1, ("primaryScalerReplicas", "at most")),
    ("older", "spec.canaryAnalysis.stepWeight", None, ("spec.canaryAnalysis.stepWeight is missing",)),
    ("by-slack", "spec.address", None, ("spec.address is missing", "secretRef")),
    ("by-slack", "spec.type", "pager", ("spec.type", '"slack"')),
    ("error-rate", "spec.query", None, ("spec.query is missing; set it",)),
    ("error-rate", "spec.provider.type", "sql", ("spec.provider.type", '"prometheus"')),
    ("fleet-shop", "spec.waves", [], ("spec.waves is empty", "write one wave at least")),
    ("fleet-shop", "spec.waves.3.count", 2, ("the last of spec.waves has all members that are left", "add a wave")),
    ("fleet-shop", "spec.waves.1.percent", 5, ("percent does not go with count", "keep one of the two")),
    ("fleet-shop", "spec.waves.2.quorum", 101, ("spec.waves[2].quorum", "less than or equal to 100")),
    ("fleet-shop", "spec.waves.2.gates.0.url", "ftp://x", ("url is no address", "https://gates.example.com")),
    ("fleet-shop", "spec.waves.1.selector.matchExpressions.0.operator", "In", ("values go with the operators In",)),
    ("fleet-shop", "spec.onFailure", "panic", ("spec.onFailure", '"rollbackAll"')),
    ("fleet-shop", "spec.release", "", ("spec.release", "at least 1 char")),
    ("fleet-shop", "spec.memberDeadline", "9999h", ("spec.memberDeadline", "is not a duration of 8760h at most")),
]


@pytest.mark.parametrize(("name", "path", "value", "words"), REFUSED)
async def test_what_cant_work_is_refused_with_field_and_remedy(
    api: Api, namespace: str, name: str, path: str, value: object, words: tuple[str, ...]
) -> None:
    document = put(example(name), path, value)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await api.request("POST", collection(namespace, document["kind"]), document)
    answer = caught.value.response
    assert answer.status_code == 422
    for word in words:
        assert word in answer.json()["message"]
    assert refusals(document) != refusals(example(name))


def refusals(document: Json) -> list[str]:
    """What a rehearsal refuses of an object, without anything beside it."""
    found = list(strict.problems(document))
    if document["kind"] == "CanaryFleet":
        found += problems_of_fleet(document)
    if document["kind"] == "Canary":
        try:
            found += of_spec(parse_canary(document), "traefik")
        except InvalidResource as error:
            found += error.problems
    return [str(problem) for problem in found]


UNKNOWN = [
    ("my-app", "spec.analysis.treshold", 5),
    ("my-app", "spec.webhooks", []),
    ("my-app", "spec.analysis.metrics.0.inverval", "1m"),
    ("my-app", "spec.targetRef.namespace", "x"),
    ("my-app", "metadata.lables", {}),
    ("my-app", "metadata.annotations", {"on": True}),
    ("my-app", "metadata.name", "My-App"),
    ("my-app", "spec.service.port", "80"),
    ("my-app", "spec.service.port", 80.5),
    ("my-app", "spec.skipAnalysis", "yes"),
    ("my-app", "spec.analysis.metrics", {}),
    ("my-app", "apiVersion", "flagger.app/v1alpha3"),
    ("my-app", "kind", "canary"),
    ("error-rate", "spec.qeury", "up"),
    ("by-slack", "spec.adress", "x"),
]


@pytest.mark.parametrize(("name", "path", "value"), UNKNOWN)
async def test_what_is_not_known_is_refused_as_kubectl_refuses_it(
    api: Api, namespace: str, name: str, path: str, value: object
) -> None:
    """With strict validation, which kubectl asks for; a rehearsal names the same field."""
    document = put(example(name), path, value)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await api.request("POST", f"{collection(namespace, example(name)['kind'])}?fieldValidation=Strict", document)
    assert caught.value.response.status_code in (400, 422)
    (found,) = (each for each in strict.problems(document) if each.field.startswith(path.replace(".0", "[0]")))
    assert found.remedy


@pytest.mark.parametrize("number", [80, 80.0])
async def test_a_whole_number_is_one_however_it_is_written(api: Api, namespace: str, number: float) -> None:
    document = put(example("my-app"), "spec.service.port", number)
    await api.request("POST", f"{collection(namespace, 'Canary')}?fieldValidation=Strict", document)
    assert list(strict.problems(document)) == []


ACCEPTED: list[tuple[str, dict[str, object]]] = [
    ("my-app", {"spec.analysis.iterations": 0}),
    ("my-app", {"spec.analysis.iterations": 5}),
    ("my-app", {"spec.targetRef.kind": "StatefulSet", "spec.service": None, "spec.analysis.stepWeight": None}),
    ("my-app", {"spec.analysis.metrics": [], "spec.analysis.webhooks": []}),
    ("my-app", {"spec.analysis.webhooks.0.url": "HTTP://loadtester.test/"}),
    ("my-app", {"spec.analysis.threshold": 0}),
    ("my-app", {"spec.analysis.interval": "500ms"}),
    *(
        ("my-app", dict[str, object]({"spec.analysis.interval": text}))
        for text in ("720h", "+1.5h", ".5s", "1.s", "1h2m3s4ms5us6µs7μs8ns", "000000060s", "2592000000ms")
    ),
    ("my-app", {"spec.analysis.webhooks.0.timeout": "24h", "spec.analysis.webhooks.0.retries": 100}),
    ("my-app", {"spec.analysis.metrics.0": {"name": "errors", "templateRef": {"name": "errors"}}}),
    ("my-app", {"spec.analysis.stepWeight": 0, "spec.skipAnalysis": True}),
    ("my-app", {"spec.futureField": True}),
    ("by-secret", {"spec.address": "https://hooks.example.com/"}),
]


@pytest.mark.parametrize(("name", "changes"), ACCEPTED)
async def test_what_flagger_accepts_is_not_refused(
    api: Api, namespace: str, name: str, changes: dict[str, object]
) -> None:
    document = example(name)
    for path, value in changes.items():
        put(document, path, value)
    await api.request("POST", collection(namespace, document["kind"]), document)
    # What the server takes and drops, a rehearsal names all the same.
    assert [each.field for each in strict.problems(document)] == [each for each in changes if "future" in each]


async def test_nulls_are_absent_fields(api: Api, namespace: str) -> None:
    document = example("my-app")
    document["spec"]["analysis"] |= {"match": None, "alerts": None, "sessionAffinity": None}
    document["spec"]["service"] |= {"name": None, "gatewayRefs": None}
    stored = await api.request("POST", collection(namespace, "Canary"), document)
    assert stored["spec"] == example("my-app")["spec"]


async def test_the_whole_status_is_stored_and_read_back(api: Api, namespace: str) -> None:
    status = CanaryStatus(
        phase=Phase.PROGRESSING,
        failed_checks=1,
        canary_weight=10,
        iterations=2,
        tracked_configs={"configmap/settings": "5d1f"},
        last_applied_spec="7b6d5cc7",
        last_promoted_spec="6f9fcb9d",
        last_transition_time=NOW.replace(microsecond=0),
        session_affinity_cookie="a",
        primary_session_affinity_cookie="b",
        previous_session_affinity_cookie="c",
        conditions=(Condition(type="Promoted", status="Unknown", reason="Progressing", message="on its way"),),
        observed_generation=1,
        last_check_time=NOW,
        last_progress_time=NOW,
        traffic_removed_time=NOW,
        checks=(
            CheckStatus(
                name="request-duration",
                verdict=Verdict.FAIL,
                value=812.5,
                threshold="<= 500",
                query="histogram_quantile(0.99, x)",
                time=NOW,
                samples=12,
                message="812 ms, over 500 ms",
            ),
            CheckStatus(
                name="request-success-rate",
                verdict=Verdict.NO_DATA,
                time=NOW,
                evidence=Evidence(
                    bets=(0.25, -3.0, -812.125), canary=Counted(requests=12), promoted=Counted(requests=108.5, bad=1)
                ),
            ),
        ),
        reason="MetricFailed",
        message="request-duration is over its limit",
    )
    path = collection(namespace, "Canary")
    created = await api.request("POST", path, example("my-app"))
    patch = {"status": status.to_json()}
    await api.request("PATCH", f"{path}/my-app/status", patch, MERGE_PATCH)
    canary = parse_canary(await api.request("GET", f"{path}/my-app"))
    assert canary.status == status
    assert canary.metadata.generation == created["metadata"]["generation"]


async def test_a_status_with_nulls_as_flagger_writes_it_is_taken(api: Api, namespace: str) -> None:
    path = collection(namespace, "Canary")
    await api.request("POST", path, example("my-app"))
    status = {"phase": "", "failedChecks": 0, "canaryWeight": 0, "iterations": 0, "lastTransitionTime": None}
    await api.request("PATCH", f"{path}/my-app/status", {"status": status}, MERGE_PATCH)
    canary = parse_canary(await api.request("GET", f"{path}/my-app"))
    assert canary.status == CanaryStatus()


def test_kubectl_shows_the_columns_and_knows_the_short_names(crds: Cluster) -> None:
    kubectl(crds, "create", "namespace", "crd-columns")
    for name in ("my-app", "error-rate", "by-slack"):
        apply(crds, "crd-columns", example(name))
    subresource = ("patch", "canary", "my-app", "-n", "crd-columns", "--subresource=status", "--type=merge")
    kubectl(crds, *subresource, "-p", '{"status": {"phase": "Progressing", "canaryWeight": 20, "reason": "Step"}}')
    narrow = kubectl(crds, "get", "can", "-n", "crd-columns").split()
    assert narrow == ["NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME", "my-app", "Progressing", "20"]
    wide = kubectl(crds, "get", "canaries", "-n", "crd-columns", "-o", "wide")
    assert "Step" in wide
    assert "TARGET" in wide
    assert "prometheus" in kubectl(crds, "get", "mtpl", "-n", "crd-columns")
    assert "slack" in kubectl(crds, "get", "alp", "-n", "crd-columns")
    everything = kubectl(crds, "get", "all", "-n", "crd-columns")
    assert "canary.flagger.app/my-app" in everything
    kubectl(crds, "delete", "namespace", "crd-columns", "--wait=false")


def apply(cluster: Cluster, namespace: str, document: Json) -> None:
    command = ["kubectl", "apply", "-n", namespace, "-f", "-"]
    text = json.dumps(document)
    subprocess.run(command, env=cluster.environment, input=text, text=True, timeout=60, check=True)


def test_kubectl_explains_the_fields(crds: Cluster) -> None:
    words = kubectl(crds, "explain", "canary.spec.analysis.stepWeight")
    assert "Percent that is added at each step." in words
