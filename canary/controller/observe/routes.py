"""The kinds of object that divide traffic, as the cluster has them."""

from collections.abc import Iterable, Mapping

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import HTTP_ROUTE, TRAEFIK_SERVICE, Resource
from canary.routers.base import route_names

ROUTES: Mapping[str, Resource] = {resource.kind: resource for resource in (TRAEFIK_SERVICE, HTTP_ROUTE)}
"""The kinds of object that divide traffic, by name."""


def not_installed(canary: Canary, resource: Resource) -> Problem:
    """What is said of a kind of object that a provider needs and the API server doesn't serve."""
    return Problem(
        "spec.provider" if canary.spec.provider else "--mesh-provider",
        f"{resource.kind} of {resource.api_version} is not installed in this cluster",
        f"install the CustomResourceDefinition {resource.plural}.{resource.group} with the version {resource.version},"
        " or set another provider",
    )


def current_routes(canary: Canary, routes: Iterable[Resource]) -> set[tuple[str, str]]:
    """The routes of the spec as it is, by kind and name."""
    return {(each.kind, name) for each in routes for name in route_names(canary)}
