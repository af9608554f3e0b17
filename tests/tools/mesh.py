"""Istio's mesh in a test's namespace: Deployments with an Envoy before their program, and a client with one of its own.

Nothing is injected and no packets are redirected: a pod's Envoy listens where the program would, at 9898, and the
program behind it at 19898 of the same address; a client's Envoy listens at an address of its own.
"""

import copy
import json
import zlib

from canary.kube.types import Json
from canary.sandbox import binaries, envoys

_PORT = 9898
_BEHIND = 19898


def joined(deployment: Json) -> Json:
    """A Deployment of the sample web service as a member of the mesh.

    Its pods' label `app` is taken for the workload's name, also where a controller has given its copy another one.
    """
    member = copy.deepcopy(deployment)
    template = member["spec"]["template"]
    metrics = {"scrape": "true", "port": str(envoys.ADMIN_PORT), "path": "/stats/prometheus"}
    template["metadata"]["annotations"] = {f"prometheus.io/{key}": value for key, value in metrics.items()}
    [program] = template["spec"]["containers"]
    program["args"] = [*program.get("args", []), f"--port={_BEHIND}"]
    program["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": _BEHIND}, "periodSeconds": 1}
    template["spec"]["containers"].append(_proxy())
    return member


def _proxy() -> Json:
    program = binaries.ensure(("envoy",))["envoy"]
    bootstrap = envoys.bootstrap(
        envoys.Proxy(
            "sidecar",
            ip="$(POD_IP)",
            name="$(POD_NAME)",
            namespace="$(POD_NAMESPACE)",
            workload="$(APP)",
            labels={"app": "$(APP)"},
        )
    )
    return {
        "name": "istio-proxy",
        "image": f"process://{program}",
        "command": [str(program)],
        "args": ["--config-yaml", json.dumps(bootstrap), *envoys.ALONE],
        "env": [{"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": envoys.ADMIN_PORT}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 6}}},
    }


def members(namespace: str) -> Json:
    """The Sidecar by which every Envoy of a namespace listens for its program, and for nobody else."""
    port = {"number": _PORT, "protocol": "HTTP", "name": "http"}
    ingress = {"port": port, "captureMode": "NONE", "defaultEndpoint": f"0.0.0.0:{_BEHIND}"}
    return _sidecar("default", namespace, {"ingress": [ingress], "egress": [{"hosts": ["~/*"]}]})


def client_address(namespace: str) -> str:
    """Where the client's Envoy of a namespace listens."""
    number = zlib.crc32(namespace.encode())
    return f"10.86.{number % 250}.{number // 250 % 250 + 2}"


def client(namespace: str, port: int) -> tuple[Json, Json]:
    """A Deployment that is nothing but an Envoy, and its Sidecar: a client asks it for what Services have at a port.

    By their names, such as `app.test.svc.cluster.local`, in the header `Host`.
    """
    labels = {"app": "client"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_proxy()]}}
    deployment: Json = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "client", "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    listener = {"number": port, "protocol": "HTTP", "name": "http"}
    egress = {"port": listener, "bind": client_address(namespace), "captureMode": "NONE", "hosts": ["./*"]}
    return deployment, _sidecar("client", namespace, {"workloadSelector": {"labels": labels}, "egress": [egress]})


def _sidecar(name: str, namespace: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": metadata, "spec": spec}
