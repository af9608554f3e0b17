"""Objects of an application that runs, as an API server gives them."""

from typing import Any

Json = dict[str, Any]


def deployment(name: str = "shop", image: str = "shop:1", **spec: Any) -> Json:
    """A Deployment whose pods have the label app and a port."""
    pods = {"containers": [{"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "prod", "uid": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pods},
            **spec,
        },
    }


def service(name: str = "shop", *, app: str = "shop", ports: list[Json] | None = None, **spec: Any) -> Json:
    """A Service that selects by the label app."""
    wanted = ports or [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return made("v1", "Service", name, {"selector": {"app": app}, "ports": wanted, **spec})


def made(api_version: str, kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    """Any object in the namespace prod."""
    metadata = {"name": name, "namespace": "prod", **metadata}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def http_route(name: str = "edge", *backends: str) -> Json:
    """An HTTPRoute to Services."""
    refs = [{"name": each, "port": 80} for each in backends or ("shop",)]
    return made("gateway.networking.k8s.io/v1", "HTTPRoute", name, {"rules": [{"backendRefs": refs}]})


def ingress(name: str = "shop", *, service: str = "shop", class_name: str = "nginx", **annotations: str) -> Json:
    """An Ingress to a Service."""
    backend = {"service": {"name": service, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    spec = {"ingressClassName": class_name, "rules": [{"http": {"paths": paths}}]}
    return made("networking.k8s.io/v1", "Ingress", name, spec, annotations=annotations)
