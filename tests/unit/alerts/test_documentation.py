"""What the page on alerts says is so."""

import re
from pathlib import Path

import yaml

from canary.alerts.problems import of_provider
from canary.alerts.registry import MESSENGERS
from canary.alerts.templates import LINK_NAMES, NAMES
from canary.api import strict
from canary.api.alertprovider import parse_alert_provider

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


def names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_the_page_lists_what_templates_may_call() -> None:
    table = PAGE.partition("| name | what it is |")[2].partition("\n\n")[0]
    assert set().union(*(names(row.split("|")[1]) for row in table.splitlines()[2:])) == NAMES
    (links,) = re.findall(r"Links are templates of addresses, which may call (.*?)\. ", PAGE.replace("\n", " "))
    assert names(links) == LINK_NAMES


def test_the_page_lists_every_messenger() -> None:
    table = PAGE.partition("| `type` of an AlertProvider |")[2].partition("\n\n")[0]
    assert set().union(*(names(row.split("|")[1]) for row in table.splitlines()[2:])) == set(MESSENGERS)


def test_the_providers_on_the_page_and_of_the_examples_can_be_used() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    examples = (ROOT / "tests" / "examples").glob("alert-*.yaml")
    found = [each for file in examples for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    found += [each for each in blocks if "spec" in each]
    providers = [each for each in found if each.get("kind", "AlertProvider") == "AlertProvider"]
    assert len(providers) > 10
    for each in providers:
        whole = {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "x"}, **each}
        assert [*of_provider(parse_alert_provider(whole)), *strict.problems(whole)] == []
