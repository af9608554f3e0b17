"""What people who come from Flagger have in their specs and scripts: podinfo, its load test, its checks, and its words.

Each test plays a Canary as Flagger's own end-to-end tests have them, with shorter intervals, and looks at what scripts
look at: what `kubectl get` prints, what `kubectl wait` waits for, the events, and the objects around the Canary.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from canary.kube.types import DEPLOYMENT, HTTP_ROUTE, METRIC_TEMPLATE, SERVICE, TRAEFIK_SERVICE, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, ingress_route, weight_of, without_repeats
from canary.sandbox.scenario import LOADTESTER

NAME = "podinfo"
IMAGE = "ghcr.io/stefanprodan/podinfo"
OLD, GOOD, BAD = "6.0.0", "6.0.1", "6.0.2"
HPA = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
CONTROLLER = "contract"
CHECKS = [
    {"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 99}},
    {"name": "request-duration", "interval": "5s", "thresholdRange": {"max": 500}},
]
WAIT = "--timeout=90s"


def podinfo(namespace: str) -> Json:
    """The workload: two ports beside the one that is served, metrics on one of them, a Secret in its environment."""
    container: Json = {
        "name": "podinfod",
        "image": f"{IMAGE}:{OLD}",
        "ports": [
            {"name": "http", "containerPort": 9898, "protocol": "TCP"},
            {"name": "http-metrics", "containerPort": 9797, "protocol": "TCP"},
            {"name": "grpc", "containerPort": 9999, "protocol": "TCP"},
        ],
        "command": ["./podinfo", "--port=9898", "--port-metrics=9797", "--grpc-port=9999", "--level=info"],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": f"{NAME}-secret", "key": "value"}}}],
        "readinessProbe": {"httpGet": {"port": 9898, "path": "/readyz"}, "periodSeconds": 1},
    }
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "9797"}
    template = {"metadata": {"labels": {"app": NAME}, "annotations": scraped}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "somebody"},
            "annotations": {"app.kubernetes.io/instance": "one"},
        },
        "spec": {
            "minReadySeconds": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "selector": {"matchLabels": {"app": NAME}},
            "template": template,
        },
    }


def canary(namespace: str, provider: str, service: Json, analysis: Json, **spec: Any) -> Json:
    """A Canary of podinfo."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "provider": provider,
            "targetRef": target,
            "progressDeadlineSeconds": 60,
            "service": service,
            "analysis": {"interval": "3s", "threshold": 10, **analysis},
            **spec,
        },
    }


def gate() -> Json:
    """A gate that is always open."""
    return {"name": "gate", "type": "confirm-rollout", "url": f"{LOADTESTER}/gate/approve"}


def acceptance(name: str, command: str) -> Json:
    """An acceptance test, which is a line of shell to the load tester."""
    metadata = {"type": "bash", "cmd": f"{command} | grep token"}
    return {"name": name, "type": "pre-rollout", "url": f"{LOADTESTER}/", "timeout": "10s", "metadata": metadata}


def load(command: str) -> Json:
    """A load test, which has no type: it is asked for at every step, and runs beside."""
    metadata = {"type": "cmd", "cmd": command, "logCmdOutput": "true"}
    return {"name": "load-test", "url": f"{LOADTESTER}/", "timeout": "5s", "metadata": metadata}


class Stage:
    """A namespace with podinfo in it, and kubectl."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.namespace = rig.namespace

    @classmethod
    @asynccontextmanager
    async def set(cls, rig: Rig, provider: str) -> AsyncIterator["Stage"]:
        """Have podinfo, and a controller for its namespace with the flags that Flagger's manifests give theirs."""
        stage = cls(rig)
        secret = {"name": f"{NAME}-secret", "namespace": rig.namespace}
        await rig.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {"value": "secret"}})
        await rig.apply(podinfo(rig.namespace))
        flags = (f"-mesh-provider={provider}", "-include-label-prefix=app.kubernetes.io", "-log-level=info")
        own = (f"-namespace={rig.namespace}", "-enable-leader-election=false")
        await rig.start_controller(*flags, *own, name=CONTROLLER)
        try:
            yield stage
        finally:
            await rig.cluster.parts[CONTROLLER].stop()

    async def kubectl(self, *words: str) -> str:
        """What kubectl prints.

        Raises:
            AssertionError: it ends with another status than 0.
        """
        command = ("kubectl", "-n", self.namespace, *words)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, env=self.rig.cluster.environment, stdout=pipe, stderr=pipe
        )
        out, problem = await process.communicate()
        assert process.returncode == 0, f"{' '.join(command)}: {problem.decode()}"
        return out.decode()

    async def column(self, *accepted: str) -> None:
        """Wait until the column that scripts grep in says one of these."""

        async def row() -> list[str]:
            return (await self.kubectl("get", f"canary/{NAME}", "--no-headers")).split()

        await eventually(row, lambda words: words[1:2] in [[each] for each in accepted], within=90)

    async def initialised(self) -> None:
        """Wait as pipelines do until the primary serves."""
        await self.column("Initialized")
        await self.kubectl("wait", f"canary/{NAME}", "--for=condition=promoted", WAIT)

    async def rolled_out(self, version: str) -> None:
        """Set an image, and wait as pipelines do until it is promoted."""
        await self.kubectl("set", "image", f"deployment/{NAME}", f"podinfod={IMAGE}:{version}")
        await self.column("Progressing")
        await self.column("Succeeded")
        await self.kubectl("wait", f"canary/{NAME}", "--for=condition=promoted", WAIT)
        assert f"{IMAGE}:{version}" in await self.kubectl("describe", f"deployment/{NAME}-primary")

    async def told(self, *expected: str) -> None:
        """Hold the events against what dashboards and scripts look for, in this order."""

        async def missing() -> str | None:
            left = iter(await self.rig.events(NAME))
            return next((each for each in expected if each not in left), None)

        await eventually(missing, lambda first: first is None, within=10)

    def words(self, *lines: str) -> tuple[str, ...]:
        """Lines with the names of the Canary (`{it}`) and of its primary put in."""
        primary = f"{NAME}-primary.{self.namespace}"
        return tuple(line.format(it=f"{NAME}.{self.namespace}", primary=primary) for line in lines)


BEGUN = (
    "Initialization done! {it}",
    "Confirm-rollout check gate passed",
    "New revision detected! Scaling up {it}",
    "Starting canary analysis for {it}",
    "Pre-rollout check acceptance-test passed",
)
PROMOTED = (
    "Copying {it} template spec to {primary}",
    "Routing all traffic to primary",
    "Promotion completed! Scaling down {it}",
)


async def blue_green(stage: Stage, **spec: Any) -> None:
    """Behind a Service that was there before, at another port than the Canary's, with the same name for it."""
    service = f"{NAME}-svc"
    port = {"name": "http", "port": 9898, "protocol": "TCP", "targetPort": "http"}
    await stage.rig.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service, "namespace": stage.namespace},
            "spec": {"type": "ClusterIP", "selector": {"app": NAME}, "ports": [port]},
        }
    )
    beside = f"{service}-canary.{stage.namespace}"
    hooks = [
        gate(),
        acceptance("acceptance-test", f"curl -sd 'test' http://{beside}/token"),
        load(f"hey -z 2m -q 10 -c 2 http://{beside}/"),
    ]
    analysis = {"iterations": 3, "metrics": CHECKS, "webhooks": hooks}
    about = {"port": 80, "targetPort": 9898, "name": service, "portDiscovery": True}
    await stage.rig.apply(canary(stage.namespace, "kubernetes", about, analysis, **spec))
    await stage.initialised()


async def test_blue_green_behind_services_alone(site: Rig) -> None:
    async with Stage.set(site, "kubernetes") as stage:
        await blue_green(stage)
        service = await site.client.get(SERVICE, stage.namespace, f"{NAME}-svc")
        assert service["spec"]["selector"] == {"app": f"{NAME}-primary"}
        annotations = service["metadata"]["annotations"]
        assert annotations["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"
        assert annotations["helm.toolkit.fluxcd.io/driftDetection"] == "disabled"
        ports = {each["port"] for each in service["spec"]["ports"]}
        assert ports >= {80, 9898}, "who called the Service at its own port still can"
        metadata = (await site.deployment(f"{NAME}-primary"))["metadata"]
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "somebody"
        assert metadata["annotations"]["app.kubernetes.io/instance"] == "one"

        await stage.rolled_out(GOOD)
        steps = [f"Advance {{it}} canary iteration {number}/3" for number in (1, 2, 3)]
        await stage.told(*stage.words(*BEGUN, *steps, *PROMOTED))


async def test_the_primary_gets_its_autoscaler(site: Rig) -> None:
    async with Stage.set(site, "kubernetes") as stage:
        target = {"type": "Utilization", "averageUtilization": 99}
        scaler = {
            "apiVersion": HPA.api_version,
            "kind": HPA.kind,
            "metadata": {"name": NAME, "namespace": stage.namespace},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
                "minReplicas": 2,
                "maxReplicas": 4,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            },
        }
        await site.client.apply(HPA, scaler, field_manager="kubectl")
        await blue_green(stage, autoscalerRef={"apiVersion": HPA.api_version, "kind": HPA.kind, "name": NAME})
        copied = await site.client.get(HPA, stage.namespace, f"{NAME}-primary")
        assert copied["spec"]["scaleTargetRef"]["name"] == f"{NAME}-primary"
        assert (copied["spec"]["minReplicas"], copied["spec"]["maxReplicas"]) == (2, 4)

        path = "/spec/metrics/0/resource/target/averageUtilization"
        await stage.kubectl(
            "patch", "hpa", NAME, "--type=json", f'-p=[{{"op": "replace", "path": "{path}", "value": 50}}]'
        )
        await stage.rolled_out(GOOD)
        for name in (NAME, f"{NAME}-primary"):
            found = await stage.kubectl(
                "get", "hpa", name, "-o", "jsonpath={.spec.metrics[0].resource.target.averageUtilization}"
            )
            assert found == "50"


async def test_weights_by_traefik(site: Rig) -> None:
    async with Stage.set(site, "traefik") as stage, site.recording(TRAEFIK_SERVICE, NAME) as route:
        host = f"app.{stage.namespace}"
        await site.apply(ingress_route(NAME, stage.namespace, host, 80))
        hooks = [
            gate(),
            acceptance("acceptance-test", f"curl -sd 'test' http://{NAME}-canary.{stage.namespace}/token"),
            acceptance("gateway-test", f"curl -sd 'test' -H 'Host: {host}' http://{addresses.GATEWAY}/token"),
            load(f"hey -z 2m -q 5 -c 2 -host {host} http://{addresses.GATEWAY}"),
        ]
        checks = [{"name": "request-success-rate", "threshold": 99, "interval": "5s"}]
        checks += [{"name": "request-duration", "threshold": 500, "interval": "5s"}]
        analysis = {"threshold": 15, "maxWeight": 60, "stepWeight": 20, "metrics": checks, "webhooks": hooks}
        apex = {"labels": {"test": "label"}, "annotations": {"test": "annotation"}}
        await site.apply(canary(stage.namespace, "traefik", {"port": 80, "targetPort": 9898, "apex": apex}, analysis))
        await stage.initialised()
        assert (await site.client.get(SERVICE, stage.namespace, NAME))["spec"]["selector"]["app"] == f"{NAME}-primary"
        assert route.last["metadata"]["labels"]["test"] == "label"
        assert route.last["metadata"]["annotations"]["test"] == "annotation"

        await stage.rolled_out(GOOD)
        assert without_repeats([weight_of(moment.value or {}) for moment in route.moments]) == [0, 20, 40, 60, 0]
        steps = [f"Advance {{it}} canary weight {weight}" for weight in (20, 40, 60)]
        await stage.told(*stage.words(*BEGUN, "Pre-rollout check gateway-test passed", *steps, *PROMOTED))


def template(name: str, namespace: str, query: str) -> Json:
    """A MetricTemplate; its queries are about what a gateway counts of the canary's Service."""
    provider = {"type": "prometheus", "address": addresses.PROMETHEUS_URL}
    return {
        "apiVersion": METRIC_TEMPLATE.api_version,
        "kind": METRIC_TEMPLATE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"provider": provider, "query": query},
    }


OF_CANARY = 'service=~"(.+-svc-)?{{ namespace }}-{{ service }}-canary-.+@kubernetesgateway"'
ERROR_RATE = (
    f'100 - 100 * sum(rate(traefik_service_requests_total{{{OF_CANARY}, code!~"5.*"}}[{{{{ interval }}}}]))'
    f" / sum(rate(traefik_service_requests_total{{{OF_CANARY}}}[{{{{ interval }}}}]))"
)
LATENCY = (
    "histogram_quantile(0.99, sum by (le)"
    f" (rate(traefik_service_request_duration_seconds_bucket{{{OF_CANARY}}}[{{{{ interval }}}}])))"
)


async def test_weights_by_a_gateway_and_a_version_that_is_taken_back(site: Rig) -> None:
    """By queries of one's own, and with a load test that the spec changes to requests that fail."""
    async with Stage.set(site, "gatewayapi:v1") as stage, site.recording(HTTP_ROUTE, NAME) as route:
        host = f"www.{stage.namespace}"
        await site.apply(template("error-rate", stage.namespace, ERROR_RATE))
        await site.apply(template("latency", stage.namespace, LATENCY))
        checks = [
            {"name": name, "templateRef": {"name": name}, "thresholdRange": {"max": most}, "interval": "5s"}
            for name, most in (("error-rate", 1), ("latency", 0.5))
        ]
        gateway = {"name": "traefik", "namespace": "gateway"}
        service = {"port": 9898, "portName": "http", "hosts": [host], "gatewayRefs": [gateway]}

        def made(threshold: int, path: str) -> Json:
            metadata = {
                "cmd": f"hey -z 2m -q 10 -c 2 -host {host} http://{addresses.GATEWAY}{path}",
                "logCmdOutput": "true",
            }
            hook = {
                "name": "load-test",
                "type": "rollout",
                "url": f"{LOADTESTER}/",
                "timeout": "5s",
                "metadata": metadata,
            }
            analysis = {
                "threshold": threshold,
                "maxWeight": 50,
                "stepWeight": 25,
                "metrics": checks,
                "webhooks": [hook],
            }
            return canary(stage.namespace, "gatewayapi:v1", service, analysis)

        await site.apply(made(15, ""))
        await stage.initialised()
        await stage.rolled_out(GOOD)
        assert without_repeats([weight_of(moment.value or {}) for moment in route.moments]) == [0, 25, 50, 0]

        await site.apply(made(3, "/status/500"))
        await stage.kubectl("set", "image", f"deployment/{NAME}", f"podinfod={IMAGE}:{BAD}")
        await stage.column("Failed")
        await stage.kubectl("wait", f"canary/{NAME}", "--for=condition=promoted=false", WAIT)
        assert weight_of(route.last) == 0
        end = ("Rolling back {it} failed checks threshold reached 3", "Canary failed! Scaling down {it}")
        await stage.told(*stage.words("Advance {it} canary weight 25", *PROMOTED, *end))

        await stage.kubectl("delete", "canary", NAME, "--timeout=60s")
        # The target runs what nobody has promoted, in a pod that may have gone by then.
        assert (await site.client.get(DEPLOYMENT, stage.namespace, f"{NAME}-primary"))["spec"]["replicas"] == 1
        assert weight_of(route.last) == 0
