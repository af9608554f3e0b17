import pytest

from canary.kube.types import (
    CANARY,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    RESOURCES,
    Resource,
    UnknownResourceError,
    resource_of,
)


def test_a_resource_has_the_name_that_its_definition_and_kubectl_know_it_by() -> None:
    assert (CANARY.full_name, POD.full_name) == ("canaries.flagger.app", "pods")


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/../../secrets/b", "/api/v1/namespaces/n/configmaps/a%2F..%2F..%2Fsecrets%2Fb"),
        ("a?watch=true", "/api/v1/namespaces/n/configmaps/a%3Fwatch%3Dtrue"),
        ("a%2fb", "/api/v1/namespaces/n/configmaps/a%252fb"),
        ("a.b-c", "/api/v1/namespaces/n/configmaps/a.b-c"),
    ],
)
def test_a_name_is_one_part_of_a_path_whatever_is_in_it(name: str, expected: str) -> None:
    assert CONFIG_MAP.path("n", name) == expected
    assert CONFIG_MAP.path(name).count("/") == 5


@pytest.mark.parametrize(("namespace", "name"), [("n", ""), ("", "a")])
def test_no_path_of_an_object_is_that_of_a_collection(namespace: str, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        CONFIG_MAP.path(namespace, name)
