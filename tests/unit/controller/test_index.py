"""Which Canaries an object concerns."""

from hypothesis import given
from hypothesis import strategies as st

from canary.controller.observe.index import Index, Ref, ref_to
from canary.kube.types import DEPLOYMENT, SERVICE, Resource

REFS = st.frozensets(st.sampled_from([Ref("", "Service", "n", name) for name in "abc"]), max_size=3)


def test_kinds_of_one_name_in_two_groups_never_meet() -> None:
    knative = Resource("serving.knative.dev", "v1", "services", "Service")
    index = Index()
    index.put("n/a", [ref_to(SERVICE, "n", "app")])
    index.put("n/b", [ref_to(knative, "n", "app")])

    assert index.concerned(ref_to(SERVICE, "n", "app")) == {"n/a"}
    assert index.concerned(ref_to(knative, "n", "app")) == {"n/b"}


def test_versions_of_one_kind_are_the_same_objects() -> None:
    assert ref_to(DEPLOYMENT, "n", "a") == ref_to(Resource("apps", "v2", "deployments", "Deployment"), "n", "a")


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["put", "add", "drop"]), REFS), max_size=12))
def test_an_object_concerns_those_that_look_at_it(steps: list[tuple[str, str, frozenset[Ref]]]) -> None:
    index, looks = Index(), dict[str, frozenset[Ref]]()
    for key, how, refs in steps:
        match how:
            case "put":
                index.put(key, refs)
                looks[key] = refs
            case "add":
                index.add(key, refs)
                looks[key] = looks.get(key, frozenset()) | refs
            case _:
                index.drop(key)
                looks.pop(key, None)

    for ref in [Ref("", "Service", "n", name) for name in "abc"]:
        concerned = {key for key, refs in looks.items() if ref in refs}
        assert index.concerned(ref) == concerned
        assert index.names(ref) == bool(concerned)
