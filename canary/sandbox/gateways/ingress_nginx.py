"""ingress-nginx itself, with Debian's nginx: see `ingress_nginx_files` for what of it is not as in its own image.

It looks once a second which pods and which weights there are, so that it follows changes by as much later.
"""

from canary.kube.types import POD, Json, Resource
from canary.sandbox import addresses
from canary.sandbox.gateway import Gateway, Program

CLASS = "ingress-nginx"
"""The class of the Ingresses that it serves; those of the class `nginx` are Traefik's here."""
_NAMESPACE = "ingress-nginx"
_CONTROLLER = "canary-sandbox/ingress-nginx"
_HOST = addresses.INGRESS_NGINX
_POD = "ingress-nginx-0"
# It listens at 0.0.0.0, so that nobody else in this network may have the ports at any address.
_HTTP_PORT = 8090
_METRICS_PORT = 10254
_PORTS = {
    "http": _HTTP_PORT,
    "https": 8490,
    "status": 10246,
    "default-server": 8181,
    "profiler": 10245,
    "stream": 10247,
    "healthz": _METRICS_PORT,
}


def _words() -> tuple[str, ...]:
    return (
        "--kubeconfig={kubeconfig}",
        f"--ingress-class={CLASS}",
        f"--controller-class={_CONTROLLER}",
        *(f"--{name}-port={port}" for name, port in _PORTS.items()),
        f"--healthz-host={_HOST}",
        f"--publish-status-address={_HOST}",
        "--enable-metrics=true",
        "--disable-leader-election=true",
        "--disable-full-test=true",
        "--shutdown-grace-period=0",
        "--post-shutdown-grace-period=0",
    )


def _objects() -> tuple[tuple[Resource, Json], ...]:
    """Its class, and the pod that it takes itself for."""
    resource = Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)
    about = {"name": _POD, "namespace": _NAMESPACE, "labels": {"app": "ingress-nginx"}}
    # Of a node that does not exist, so that nobody starts it.
    spec = {"nodeName": "nowhere", "containers": [{"name": "controller", "image": "none"}]}
    return (
        (resource, {"metadata": {"name": CLASS}, "spec": {"controller": _CONTROLLER}}),
        (POD, {"metadata": about, "spec": spec}),
    )


INGRESS_NGINX = Gateway(
    name="ingress-nginx",
    namespace=_NAMESPACE,
    host=_HOST,
    port=_HTTP_PORT,
    programs=(
        Program(
            "ingress-nginx",
            "ingress-nginx",
            _words(),
            f"http://{_HOST}:{_METRICS_PORT}/healthz",
            {
                "POD_NAME": _POD,
                "POD_NAMESPACE": _NAMESPACE,
                "NGINX_BINARY": "{folder}/program",
                "LD_LIBRARY_PATH": "{folder}/libraries",
            },
            before=(("{python}", "-m", "canary.sandbox.gateways.ingress_nginx_files", "{program}", "{folder}"),),
            places={
                "/etc/nginx": "{folder}/nginx",
                "/etc/ingress-controller": "{folder}/controller",
                "/tmp/nginx": "{folder}/temporary",  # noqa: S108 - where it looks
                "/var/lib/nginx": "{folder}/bodies",
                "/var/log/nginx": "{folder}/logs",
            },
        ),
    ),
    objects=_objects(),
    scraping=({"job_name": "ingress-nginx", "static_configs": [{"targets": [f"{_HOST}:{_METRICS_PORT}"]}]},),
)
"""An Ingress of the class `ingress-nginx` is served."""
