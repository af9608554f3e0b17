"""A traffic provider that nobody can use any more is refused with the way out."""

import pytest

from canary.api.canary import parse_canary
from canary.controller.problems import of_spec


@pytest.mark.parametrize(
    ("provider", "remedy"),
    [
        ("appmesh", "AWS App Mesh has ended; move to the Gateway API"),
        ("appmesh:v1beta2", "AWS App Mesh has ended; move to the Gateway API"),
        ("osm", "Open Service Mesh is archived; move to another mesh"),
        ("ossm", "write one of "),
    ],
)
def test_the_remedy_names_where_to_go(provider: str, remedy: str) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}
    spec = {"provider": provider, "targetRef": target, "service": {"port": 80}, "analysis": {"iterations": 3}}
    (problem,) = of_spec(parse_canary({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec}), "traefik")
    assert (problem.field, problem.message) == ("spec.provider", f"traffic provider {provider} is not supported")
    assert problem.remedy.startswith(remedy)
