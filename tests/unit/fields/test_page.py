"""The tool that makes `docs/fields.md` finds what is missing from it."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "fields.py"
SCHEMA = {
    "properties": {
        "metadata": {"type": "object", "description": "Any object's."},
        "spec": {
            "description": "What is wanted.",
            "properties": {
                "size": {"type": "integer", "description": "How large."},
                "names": {"type": "array", "items": {"type": "string"}, "description": "Which | whose."},
                "parts": {
                    "type": "array",
                    "items": {"properties": {"name": {"type": "string", "description": "Which one."}}},
                },
            },
        },
    }
}


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("fields_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_fields_are_those_with_a_value_of_their_own(tool: ModuleType) -> None:
    found = tool.fields("Thing", SCHEMA)
    assert [field.name for field in found] == ["Thing.spec.size", "Thing.spec.names", "Thing.spec.parts[].name"]
    assert [field.says for field in found] == ["How large.", "Which | whose.", "Which one."]


def test_the_older_name_of_the_analysis_is_one_field_for_as_long_as_it_is_the_same(tool: ModuleType) -> None:
    (size,) = tool.fields("Canary", {"properties": {"spec": {"properties": {"size": {"description": ""}}}}})
    both = {"analysis": {"description": "", "properties": {"size": {"description": ""}}}}
    both["canaryAnalysis"] = {"description": "Older.", "properties": {"size": {"description": ""}}}
    found = tool.fields("Canary", {"properties": {"spec": {"properties": both}}})
    assert size.path == "spec.size"
    assert [field.path for field in found] == ["spec.analysis.size", "spec.canaryAnalysis"]
    both["canaryAnalysis"]["properties"] = {"length": {"description": ""}}
    with pytest.raises(ValueError, match="different fields"):
        tool.fields("Canary", {"properties": {"spec": {"properties": both}}})


def test_a_field_without_a_test_and_a_test_without_a_field_are_told(tool: ModuleType) -> None:
    known = [tool.Field("Canary", "spec.suspend", ""), tool.Field("AlertProvider", "spec.type", "")]
    shown = [tool.Shown("spec.suspend", "a.py::test_a"), tool.Shown("spec.hosts", "b.py::test_b")]
    assert tool.wrong(known, shown) == [
        "AlertProvider.spec.type: no test shows what it does",
        "spec.hosts: there is no such field, but b.py::test_b is marked with it",
    ]


def test_a_field_that_is_refused_everywhere_it_makes_no_difference_is_shown_by_nothing(tool: ModuleType) -> None:
    known = [tool.Field("Canary", "spec.suspend", "")]
    assert tool.wrong(known, [tool.Shown("spec.suspend", "a.py::test_a", refused_by="traefik")]) != []


def test_every_traffic_provider_has_its_say(tool: ModuleType) -> None:
    known = [tool.Field("Canary", "spec.service.hosts", "")]
    others = tool.providers() - {"gatewayapi", tool.IN_PLACE}
    shown = [tool.Shown("spec.service.hosts", "a.py::test_a", by="gatewayapi")]
    shown += [tool.Shown("spec.service.hosts", "a.py::test_b", refused_by=each) for each in others]
    assert tool.wrong(known, shown) == ["spec.service.hosts: no test shows that in place honours or refuses it"]


def test_a_row_names_who_honours_the_field_and_who_refuses_it(tool: ModuleType) -> None:
    known = [tool.Field("Canary", "spec.hosts", "Which | whose.")]
    shown = [
        tool.Shown("spec.hosts", "tests/x.py::test_no", refused_by="traefik"),
        tool.Shown("spec.hosts", "tests/x.py::test_no", refused_by="kubernetes"),
        tool.Shown("spec.hosts", "tests/x.py::test_yes", by="gatewayapi"),
    ]
    row = tool.render(known, shown).splitlines()[-1]
    assert row == (
        "| `spec.hosts` | Which \\| whose. | gatewayapi: `x.py::test_yes`<br>"
        "refused by kubernetes, traefik: `x.py::test_no` |"
    )
