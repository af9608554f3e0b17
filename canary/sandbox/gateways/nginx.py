"""Traefik again, in place of ingress-nginx: it reads Ingresses of the class `nginx`, and that project's annotations.

Its metrics are Traefik's, such as `traefik_service_requests_total`. Their label `service` is
`NAMESPACE-INGRESS-SERVICE-PORT@kubernetesingressnginx` by the names of the primary's Ingress and its Service, and with
`-canary` behind the port where the canary Ingress got the request.
"""

from canary.kube.types import Json, Resource
from canary.sandbox import addresses
from canary.sandbox.gateway import Gateway
from canary.sandbox.gateways.traefik import program, scraping

_CLASS: Json = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}

NGINX = Gateway(
    name="nginx",
    namespace="ingress-nginx",
    host=addresses.NGINX,
    port=80,
    programs=(
        program(
            "nginx",
            addresses.NGINX,
            {"web": 80},
            ("kubernetesingressnginx",),
            f"--providers.kubernetesingressnginx.publishstatusaddress={addresses.NGINX}",
        ),
    ),
    objects=((Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False), _CLASS),),
    scraping=(scraping("nginx", addresses.NGINX),),
)
