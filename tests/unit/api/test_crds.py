import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api.canary import Canary
from canary.api.crds import DEFINITIONS, Definition, custom_resource_definition, main, root_schema, schema_at
from canary.api.meta import Model
from canary.api.schema import field_types, model_schema

FLAGGER: dict[str, Any] = json.loads((Path(__file__).parent / "flagger-fields.json").read_text(encoding="utf-8"))
CRDS = {definition.model.__name__: definition for definition in DEFINITIONS}
FLAGGERS_KIND = pytest.mark.parametrize("kind", sorted(FLAGGER))
EVERY_KIND = pytest.mark.parametrize("kind", sorted(CRDS))
FRACTIONS = {"threshold", "min", "max"}
"""The numbers that Flagger takes fractions for; it reads every other number into a Go integer."""


def versions(kind: str) -> dict[str, Any]:
    (version,) = custom_resource_definition(CRDS[kind])["spec"]["versions"]
    return dict(version)


@FLAGGERS_KIND
def test_every_field_of_flagger_is_there_with_a_compatible_type(kind: str) -> None:
    ours = field_types(root_schema(CRDS[kind]))
    theirs: dict[str, str] = FLAGGER[kind]["types"]
    differing = {path: (ours.get(path), type_) for path, type_ in theirs.items() if ours.get(path) != type_}
    whole_numbers = {
        path: pair
        for path, pair in differing.items()
        if pair == ("integer", "number") and (path == "spec.analysis.threshold" or path.split(".")[-1] not in FRACTIONS)
    }
    assert differing == whole_numbers


@FLAGGERS_KIND
def test_every_word_of_flaggers_enums_is_accepted(kind: str) -> None:
    schema = root_schema(CRDS[kind])
    for path, words in FLAGGER[kind]["enums"].items():
        assert set(words) <= set(schema_at(schema, path).get("enum", words)), path


@FLAGGERS_KIND
def test_flaggers_printer_columns_come_first(kind: str) -> None:
    columns = versions(kind)["additionalPrinterColumns"]
    theirs = FLAGGER[kind]["columns"]
    assert columns[: len(theirs)] == theirs
    assert all(column.get("priority") for column in columns[len(theirs) :])


@EVERY_KIND
def test_printer_columns_print_fields_that_exist(kind: str) -> None:
    fields = field_types(root_schema(CRDS[kind]))
    assert {column["jsonPath"].removeprefix(".") for column in versions(kind)["additionalPrinterColumns"]} <= set(
        fields
    )


def test_an_existing_flagger_installation_is_upgraded_in_place() -> None:
    theirs = [each for each in DEFINITIONS if each.model.__name__ in FLAGGER]
    assert {custom_resource_definition(each)["metadata"]["name"] for each in theirs} == {
        "canaries.flagger.app",
        "metrictemplates.flagger.app",
        "alertproviders.flagger.app",
    }
    for each in theirs:
        spec = custom_resource_definition(each)["spec"]
        assert spec["names"]["categories"] == ["all"]
        assert spec["scope"] == "Namespaced"
        assert [version["name"] for version in spec["versions"]] == ["v1beta1"]
        assert spec["versions"][0]["subresources"] == {"status": {}}


def test_a_fleet_is_of_a_group_of_our_own() -> None:
    """Flagger has no such kind."""
    made = custom_resource_definition(CRDS["CanaryFleet"])
    assert made["metadata"]["name"] == "canaryfleets.fleet.canary.dev"
    assert (made["spec"]["group"], made["spec"]["scope"]) == ("fleet.canary.dev", "Namespaced")
    (version,) = made["spec"]["versions"]
    assert (version["name"], version["subresources"]) == ("v1alpha1", {"status": {}})
    columns = [each["name"] for each in version["additionalPrinterColumns"] if not each.get("priority")]
    assert columns == ["Status", "Release", "Passed", "Wave", "Started"]


def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema and all the schemas in it."""
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[name] for name in ("items", "additionalProperties") if isinstance(schema.get(name), dict)]
    return [schema, *(part for each in inner for part in parts(each))]


@EVERY_KIND
def test_schemas_are_structural(kind: str) -> None:
    for part in parts(root_schema(CRDS[kind])):
        assert not {"$ref", "$defs", "anyOf", "allOf", "title", "nullable"} & set(part)
        assert "type" in part or part.get("x-kubernetes-int-or-string") is True
        assert not [name for name in part if name.startswith("x-crd-")]
        assert not {"properties", "additionalProperties"} <= set(part)


@EVERY_KIND
def test_every_field_has_a_description(kind: str) -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, inner in schema.get("properties", {}).items():
            where = f"{path}.{name}"
            found += [] if inner.get("description") or where == ".metadata" else [where]
            found += undescribed(inner, where)
        return found + (undescribed(schema["items"], f"{path}[]") if "items" in schema else [])

    assert undescribed(root_schema(CRDS[kind]), "") == []


def test_only_flaggers_own_defaults_are_written_into_objects() -> None:
    """Any other default would be written into objects that come from Git, and fight with it."""
    found: dict[str, object] = {}
    for schema in map(root_schema, DEFINITIONS):
        for path in field_types(schema):
            if ".*" not in path:
                part = schema_at(schema, path)
                found |= {path: part["default"]} if "default" in part else {}
    older = found.pop("spec.canaryAnalysis.sessionAffinity.maxAge")
    assert older == 86_400
    assert found == {
        "spec.analysis.sessionAffinity.maxAge": 86_400,
        "spec.service.gatewayRefs[].group": "gateway.networking.k8s.io",
        "spec.service.gatewayRefs[].kind": "Gateway",
        "spec.service.mirror[].backendRef.group": "",
        "spec.service.mirror[].backendRef.kind": "Service",
    }


@EVERY_KIND
def test_every_cel_rule_names_a_field_and_a_remedy(kind: str) -> None:
    fields = {path.split(".")[-1].removesuffix("[]") for path in field_types(root_schema(CRDS[kind]))}
    fields.add("is not a duration")  # at the field itself, which the API server names
    rules = [rule for part in parts(root_schema(CRDS[kind])) for rule in part.get("x-kubernetes-validations", [])]
    for rule in rules:
        what, _, remedy = rule["message"].partition("; ")
        assert remedy, rule
        assert any(field in what for field in fields), rule


def test_a_crd_is_small_enough_for_kubectl_apply() -> None:
    """Kubectl keeps the whole object in an annotation, which holds 256 KiB at most."""
    for definition in DEFINITIONS:
        assert len(json.dumps(custom_resource_definition(definition))) < 200 * 1024


def test_the_files_in_the_repository_are_what_the_models_make(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_the_check_shows_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path)]) == 0
    assert main(["--folder", str(tmp_path), "--check"]) == 0
    file = tmp_path / "canaries.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("plural: canaries", "plural: canary"), encoding="utf-8")
    (tmp_path / "alertproviders.yaml").unlink()
    capsys.readouterr()
    assert main(["--folder", str(tmp_path), "--check"]) == 1
    shown = capsys.readouterr().out
    assert "-    plural: canary\n" in shown
    assert "+    plural: canaries\n" in shown
    assert "+    plural: alertproviders\n" in shown


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.plural)
def test_the_files_are_plain_yaml(definition: Definition, tmp_path: Path) -> None:
    main(["--folder", str(tmp_path)])
    text = (tmp_path / definition.file_name).read_text(encoding="utf-8")
    assert yaml.safe_load(text) == custom_resource_definition(definition)
    assert "&id" not in text


class Impossible(Model):
    either: int | str


class Unsayable(Model):
    value: complex


@pytest.mark.parametrize("model", [Impossible, Unsayable])
def test_a_type_that_no_structural_schema_can_say_is_an_error(model: type[Model]) -> None:
    with pytest.raises(TypeError, match="structural schema"):
        model_schema(model)


def test_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        schema_at(model_schema(Canary), "spec.nothing")
