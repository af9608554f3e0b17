"""What users have made, in namespace `prod`, for the providers that start from it, and how specs name it."""

from canary.kube.types import Json

INGRESS: Json = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "app", "namespace": "prod"},
    "spec": {"rules": [{"http": {"paths": [{"path": "/", "backend": {"service": {"name": "app"}}}]}}]},
}
ROUTE: Json = {
    "apiVersion": "route.openshift.io/v1",
    "kind": "Route",
    "metadata": {"name": "app", "namespace": "prod"},
    "spec": {"to": {"kind": "Service", "name": "app", "weight": 100}},
}
RULE: Json = {"name": "all", "match": {"paths": ["/*"]}, "backends": [{"serviceName": "app"}]}
APISIX_ROUTE: Json = {
    "apiVersion": "apisix.apache.org/v2",
    "kind": "ApisixRoute",
    "metadata": {"name": "web", "namespace": "prod"},
    "spec": {"http": [RULE]},
}
HTTP_ROUTE: Json = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "web", "namespace": "prod"},
    "spec": {
        "rules": [{"backendRefs": [{"name": "app", "port": 80}, {"name": "app-canary", "port": 80, "weight": 0}]}]
    },
}
USERS = (APISIX_ROUTE, HTTP_ROUTE, INGRESS, ROUTE)
STARTS: dict[str, Json] = {
    "apisix": {"routeRef": {"name": "web"}},
    **{each: {"ingressRef": {"kind": "Ingress", "name": "app"}} for each in ("alb", "nginx", "skipper")},
    "routeRefs": {"routeRefs": [{"apiVersion": HTTP_ROUTE["apiVersion"], "kind": "HTTPRoute", "name": "web"}]},
    "openshift": {"routeRef": {"kind": "Route", "name": "app"}},
}
