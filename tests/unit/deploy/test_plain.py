"""The installation as one plain YAML; `tests/cluster` holds it equal to what kustomize makes, and applies it."""

import argparse
from typing import Any

import pytest
import yaml

from canary.api.crds import DEFINITIONS
from canary.cli import run_command
from deploy.plain import OF_THE_CLUSTER, UnreadableError, _transformed, folders, main, objects, within
from deploy.rights import families

Json = dict[str, Any]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Json]:
    assert main(arguments) == 0
    return list(yaml.load_all(capsys.readouterr().out, yaml.CSafeLoader))


def args(made: list[Json]) -> list[str]:
    (deployment,) = (each for each in made if each["kind"] == "Deployment")
    found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_there_is_one_for_each_traffic_provider() -> None:
    assert set(folders()) == set(families())


@pytest.mark.parametrize("provider", sorted(folders()))
def test_it_has_the_definitions_the_rights_and_the_flag_of_its_provider(
    provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = printed(capsys, provider)
    assert made == objects(folders()[provider])
    keys = [(each["kind"], each["metadata"]["name"]) for each in made]
    assert len(set(keys)) == len(keys)
    assert sum(kind == "CustomResourceDefinition" for kind, _ in keys) == len(DEFINITIONS)
    assert keys.index(("Namespace", "canary-system")) < keys.index(("Deployment", "canary-controller"))
    assert args(made)[-1] == f"--mesh-provider={families()[provider][0].names[0]}"
    places = {each["metadata"].get("namespace") for each in made if each["kind"] not in OF_THE_CLUSTER}
    assert places == {"canary-system"}


def test_within_a_namespace_nothing_is_of_the_cluster_and_the_rights_are_the_same_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, made = printed(capsys, "traefik"), printed(capsys, "traefik", "--within", "shop")
    assert not OF_THE_CLUSTER & {each["kind"] for each in made}
    assert {each["metadata"]["namespace"] for each in made} == {"shop"}
    assert {each["namespace"] for obj in made for each in obj.get("subjects", ())} == {"shop"}
    assert args(made)[-1] == "--namespace=shop"
    roles = {each["metadata"]["name"]: each["rules"] for each in made if each["kind"] == "Role"}
    (wide,) = (each["rules"] for each in whole if each["kind"] == "ClusterRole")
    assert roles["canary-controller-canaries"] == wide
    assert set(roles) == {"canary-controller", "canary-controller-canaries"}
    bound = {each["metadata"]["name"]: each["roleRef"] for each in made if each["kind"] == "RoleBinding"}
    assert {name: (ref["kind"], ref["name"]) for name, ref in bound.items()} == {name: ("Role", name) for name in roles}


def test_what_is_left_outside_is_untouched_by_the_way_within() -> None:
    made = objects(folders()["traefik"])
    before = yaml.safe_dump(made)
    within("shop", made)
    assert yaml.safe_dump(made) == before


@pytest.mark.parametrize(
    ("kustomization", "why"),
    [
        ({"nameSuffix": "-b"}, "nameSuffix is not read here"),
        (
            {"patches": [{"target": {"kind": "X", "name": "x"}, "patch": "[{op: remove, path: /a}]"}]},
            "the operation remove /a is not read here",
        ),
    ],
)
def test_what_would_be_passed_over_is_refused(kustomization: Json, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        _transformed(kustomization, folders()["traefik"], [{"kind": "X", "metadata": {"name": "x"}, "a": []}])


def test_its_flags_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    run_command.add(parser.add_subparsers())
    # The kubelet fills in what the field of the pod is that the variable takes.
    given = [each.replace("$(POD_NAMESPACE)", "shop") for each in args(printed(capsys, "traefik", "--within", "shop"))]
    assert parser.parse_args(given).namespace == "shop"
