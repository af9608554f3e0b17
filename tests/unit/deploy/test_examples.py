"""What README and the pages show can be taken as it stands: examples, commands, links."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api.status import CheckStatus
from canary.cli.main import main

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page, those inside lists too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def documents(path: Path) -> list[Any]:
    return [each for block in blocks(path.read_text(), "yaml") for each in yaml.safe_load_all(block)]


def readmes_canary() -> Json:
    (found,) = (each for each in documents(PAGES[0]) if isinstance(each, dict) and each.get("kind") == "Canary")
    return found


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_example_in_yaml_is_yaml(page: Path) -> None:
    assert all(each is not None for each in documents(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {slug(each) for each in headings}, link


def test_a_rehearsal_takes_the_canary_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "canary.yaml"
    path.write_text(yaml.safe_dump(readmes_canary()))
    assert main(["rehearse", "-f", str(path)]) == 0, capsys.readouterr()


def test_a_backtest_takes_the_canary_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it does not get is an answer from a Prometheus that isn't there."""
    path = tmp_path / "canary.yaml"
    path.write_text(yaml.safe_dump(readmes_canary()))
    assert main(["backtest", "-f", str(path), "--prometheus", "http://127.0.0.1:1", "--timeout", "5"]) == 2
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_the_verdict_of_the_readme_is_one() -> None:
    (verdicts,) = (each for each in documents(PAGES[0]) if isinstance(each, list))
    for each in verdicts:
        assert CheckStatus.model_validate(each).to_json().items() >= each.items()


@pytest.mark.parametrize("page", ["README.md", "docs/install.md"])
def test_the_images_that_one_is_told_to_build_are_those_of_the_manifests(page: str) -> None:
    text = (ROOT / page).read_text()
    built = re.findall(r"^docker build --file (\S+) --tag (\S+) \.$", text, re.MULTILINE)
    assert built
    used = set()
    for path in (ROOT / "deploy/kustomize").glob("*/kustomization.yaml"):
        used |= {f"{each['name']}:{each['newTag']}" for each in yaml.safe_load(path.read_text()).get("images", [])}
    assert all((ROOT / file).exists() for file, _ in built)
    assert {tag for _, tag in built} <= used
    loaded = re.findall(r"kind load docker-image ([^`\n]+)", text)
    assert {name for names in loaded for name in names.split()} == {tag for _, tag in built}


def test_every_folder_that_one_is_told_to_apply_is_a_kustomization() -> None:
    for page in PAGES:
        folders = re.findall(r"kubectl (?:apply|delete) -k (\S*\w)", page.read_text())
        assert all((ROOT / folder / "kustomization.yaml").exists() for folder in folders if folder != ".")
