"""docs/rehearse.md says what `canary rehearse` does."""

from pathlib import Path

import pytest

from canary.cli.main import main
from canary.cli.rehearse.builtin import STORIES
from canary.cli.rehearse.expectations import Expectation, Expectations
from canary.cli.rehearse.story import Behaviour, Happening, Outage, Saying, Story, Stretch

Out = pytest.CaptureFixture[str]

DOCS = Path(__file__).parents[3] / "docs"


def test_the_examples_of_the_documentation_hold(capsys: Out) -> None:
    assert main(["rehearse", "-f", str(DOCS / "examples/rehearsals")]) == 0
    assert capsys.readouterr().out.count("\nok ") + 1 == 2


def test_the_documentation_names_every_scenario_of_the_program() -> None:
    told = (DOCS / "rehearse.md").read_text()

    assert [story.name for story in STORIES if f"| `{story.name}` |" not in told] == []


def test_the_documentation_names_every_field() -> None:
    """Of scenarios and of expectations."""
    told = (DOCS / "rehearse.md").read_text()
    models = (Story, Behaviour, Stretch, Happening, Saying, Outage, Expectations, Expectation)
    names = {field.alias or name for model in models for name, field in model.model_fields.items()}

    assert [name for name in sorted(names) if f"`{name}`" not in told] == []
