"""What the page on metric servers says is so."""

import re
from pathlib import Path

import pytest
import yaml

from canary.api.metrictemplate import JOB, PROVIDER_TYPES, parse_metric_template
from canary.controller.ask.job_templates import problems
from metrics.access import oauth2
from metrics.access.sigv4 import ACCESS_KEY, SECRET_KEY, SESSION
from metrics.providers import PROVIDERS
from metrics.templates import check
from outbound import access


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs/metric-servers.md").read_text()


def test_every_provider_is_in_the_table_and_in_the_crd(page: str) -> None:
    rows = re.findall(r"^\| (`[a-z]+`(?:, `[a-z]+`)*) \|", page.partition("## ")[0], re.MULTILINE)
    assert sorted(re.findall(r"`([a-z]+)`", " ".join(rows))) == sorted((*PROVIDERS, JOB)) == sorted(PROVIDER_TYPES)


def test_every_key_of_a_secret_is_told(page: str) -> None:
    keys = {key for provider in PROVIDERS.values() for key in provider.credentials}
    keys |= {*oauth2.KEYS, access.AUTHORITY, access.CERTIFICATE, access.KEY, access.PROXY, "header.NAME"}
    assert sorted(key for key in keys | {ACCESS_KEY, SECRET_KEY, SESSION} if f"`{key}`" not in page) == []


def test_the_examples_can_be_asked(page: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for document in yaml.safe_load_all("\n---\n".join(blocks)):
        template = parse_metric_template(document)
        if template.spec.provider.type == JOB:
            assert list(problems(template)) == []
            continue
        assert template.spec.provider.type in PROVIDERS
        check(template.spec.query)
