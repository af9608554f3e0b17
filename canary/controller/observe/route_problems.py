"""What keeps the Services and routes of a Canary from being made, as the cluster has it."""

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.kube.types import Resource


def not_installed(canary: Canary, resource: Resource) -> Problem:
    """What is said of a kind of object that a provider needs and the API server doesn't serve."""
    return Problem(
        "spec.provider" if canary.spec.provider else "--mesh-provider",
        f"{resource.kind} of {resource.api_version} is not installed in this cluster",
        f"install the CustomResourceDefinition {resource.plural}.{resource.group} with the version {resource.version},"
        " or set another provider",
    )
