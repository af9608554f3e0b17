"""Where the API server is told whom to trust: the objects that name this server, and what is written of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from canary.kube.types import Json, Resource, items, mapping

VALIDATING: Final = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
MUTATING: Final = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of object that says whom to trust.

    Args:
        resource: its kind.
        trusting: what is written of such an object so that it trusts these certificates (PEM in base 64); None where it
            does already, or names nobody to trust.
        name: its name; empty where it has the name that all that belongs to admission has.
    """

    resource: Resource
    trusting: Callable[[Json, str], Json | None]
    name: str = ""


def in_webhooks(obj: Json, bundle: str) -> Json | None:
    """What is written of a configuration of webhooks; what is ours of each, as what is left out would go."""
    webhooks = items(obj.get("webhooks"))
    if all(mapping(each.get("clientConfig")).get("caBundle") == bundle for each in webhooks):
        return None
    return {"webhooks": [{"name": each.get("name"), "clientConfig": {"caBundle": bundle}} for each in webhooks]}


def in_conversion(obj: Json, bundle: str) -> Json | None:
    """What is written of a definition of resources whose versions this server converts."""
    conversion = mapping(mapping(obj.get("spec")).get("conversion"))
    client = mapping(mapping(conversion.get("webhook")).get("clientConfig"))
    if not client or client.get("caBundle") == bundle:
        return None
    return {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}}


PLACES: Final = (Place(VALIDATING, in_webhooks), Place(MUTATING, in_webhooks))
"""Those of admission; the rights to read and patch each by its name are made of this."""

CONVERTING: Final = (Place(DEFINITIONS, in_conversion, "canaries.flagger.app"),)
"""That of v1beta2, where it is served; its rights are made of this."""
