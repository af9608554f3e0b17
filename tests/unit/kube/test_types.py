import pytest

from canary.kube.types import (
    CANARY,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RESOURCES,
    Resource,
    UnknownResourceError,
    resource_of,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (POD.path(), "/api/v1/pods"),
        (POD.path("test"), "/api/v1/namespaces/test/pods"),
        (POD.path("test", "a", "binding"), "/api/v1/namespaces/test/pods/a/binding"),
        (DEPLOYMENT.path("test", "a", "scale"), "/apis/apps/v1/namespaces/test/deployments/a/scale"),
        (CANARY.path("test", "a", "status"), "/apis/flagger.app/v1beta1/namespaces/test/canaries/a/status"),
        (NAMESPACE.path(None, "test"), "/api/v1/namespaces/test"),
        (NAMESPACE.path("ignored", "test"), "/api/v1/namespaces/test"),
    ],
)
def test_paths_are_those_of_the_api(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_an_object_leads_back_to_its_resource(resource: Resource) -> None:
    assert resource_of({"apiVersion": resource.api_version, "kind": resource.kind}) is resource


@pytest.mark.parametrize("obj", [{}, {"apiVersion": "v1", "kind": "Deployment"}])
def test_an_unknown_kind_is_named(obj: dict[str, str]) -> None:
    with pytest.raises(UnknownResourceError, match="unknown resource"):
        resource_of(obj)
