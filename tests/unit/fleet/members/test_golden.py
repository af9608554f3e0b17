"""The golden files are the specification of every source: which member comes of which objects, or why it is none."""

from pathlib import Path

import pytest
import yaml

from canary.fleet.members.registry import SOURCES, members, secrets_of
from canary.kube.types import Json
from tests.unit.fleet.members.shapes import as_served, told

GOLDEN = sorted(Path(__file__).parent.glob("golden/*/*.yaml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_member_is_as_written(path: Path) -> None:
    case: Json = yaml.safe_load(path.read_text())
    objects = [as_served(each) for each in case["objects"]]

    found = members(objects)

    assert {name: told(each) for name, each in found.items()} == case["expected"], case["rule"]
    assert {each.source for each in found.values()} == {path.parent.name}
    assert sorted(f"{each.namespace}/{each.name}" for each in secrets_of(objects)) == case["secrets"]


def test_every_source_has_golden_files() -> None:
    assert {path.parent.name for path in GOLDEN} == {*SOURCES}
