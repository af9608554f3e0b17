"""What an API server with our CRDs refuses of a written object, with the field and the remedy."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from canary.api import strict
from canary.api.crds import DEFINITIONS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop", "namespace": "prod"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {
            "interval": "1m",
            "threshold": 5,
            "stepWeight": 10,
            "metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}],
        },
    },
}
OUT = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """The good Canary with one field changed."""
    made = deepcopy(GOOD)
    *parents, last = path.split(".")
    here: Any = made
    for part in parents:
        here = here[int(part)] if part.isdecimal() else here.setdefault(part, {})
    if isinstance(here, list):
        here[int(last)] = value
    elif value is OUT:
        del here[last]
    else:
        here[last] = value
    return made


def told(raw: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in strict.problems(raw)]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.stem))
def test_what_servers_take_is_not_refused(file: Path) -> None:
    for raw in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if strict.is_ours(raw):
            assert told(raw) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "apiVersion",
            "flagger.app/v1alpha3",
            "apiVersion: no server knows flagger.app/v1alpha3; write flagger.app",
        ),
        ("kind", "canary", "kind: flagger.app has no kind canary; did you mean Canary?"),
        ("spec.analysis.treshold", 5, "spec.analysis.treshold: unknown field; did you mean threshold?"),
        ("spec.analysis.stepweight", 5, "spec.analysis.stepweight: unknown field; did you mean stepWeight?"),
        ("spec.analysis.failureLimit", 2, "spec.analysis.failureLimit: unknown field; did you mean threshold?"),
        ("spec.webhooks", [], "spec.webhooks: unknown field; move it under spec.analysis"),
        (
            "spec.analysis.metrics.0.inverval",
            "1m",
            "spec.analysis.metrics[0].inverval: unknown field; did you mean in",
        ),
        (
            "spec.targetRef.zzz",
            1,
            "spec.targetRef.zzz: unknown field; take it out, or write one of apiVersion, kind",
        ),
        ("metadata.lables", {}, "metadata.lables: unknown field; did you mean labels?"),
        ("spec.service.port", "80", "spec.service.port: '80' is a string; write a whole number, without quotes"),
        ("spec.service.port", True, "spec.service.port: True is a boolean; write a whole number, without quotes"),
        ("spec.service.port", 80.5, "spec.service.port: 80.5 is a number; write a whole number, without quotes"),
        ("spec.service.targetPort", 8.5, "spec.service.targetPort: 8.5 is neither a number nor a name; write a number"),
        ("spec.skipAnalysis", "yes", "spec.skipAnalysis: 'yes' is a string; write true or false, without quotes"),
        ("spec.analysis.metrics", {}, "spec.analysis.metrics: {} is a map; write a list"),
        ("spec.analysis", [], "spec.analysis: [] is a list; write a map of fields"),
        ("metadata.annotations", {"on": True}, "metadata.annotations.on: True is a boolean; write a string, in quotes"),
        ("metadata.name", "Shop", "metadata.name: 'Shop' is not written as it must be; write it by"),
        ("spec.targetRef.name", OUT, "spec.targetRef.name: is missing; set spec.targetRef.name"),
        ("spec.analysis.interval", OUT, "spec.analysis.interval: is missing; set spec.analysis.interval"),
        ("spec.analysis", OUT, "spec.analysis: is missing; set it, with interval, threshold and stepWeight; or skip"),
        (
            "spec.targetRef.kind",
            "Pod",
            "spec.targetRef.kind: 'Pod' is not known; write one of DaemonSet, Deployment",
        ),
        ("spec.analysis.maxWeight", 101, "spec.analysis.maxWeight: 101 is too much; write 100 or less"),
        ("spec.analysis.maxWeight", -1, "spec.analysis.maxWeight: -1 is too little; write 0 or more"),
        ("spec.analysis.stepWeights", [1] * 101, "spec.analysis.stepWeights: has 101 entries; write 100 at most"),
        ("spec.configRefs", [{"kind": "Secret", "name": ""}], "spec.configRefs[0].name: is empty; set spec.configRefs"),
    ],
)
def test_what_is_refused_is_named(path: str, value: object, words: str) -> None:
    assert any(each.startswith(words) for each in told(changed(path, value))), told(changed(path, value))


def test_an_alert_provider_says_where_to() -> None:
    raw = {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider", "metadata": {"name": "chat"}}
    assert told({**raw, "spec": {"type": "slack"}}) == [
        "spec.address: is missing; set it, or secretRef with a Secret that has the key address"
    ]
    assert told({**raw, "spec": {"type": "slack", "secretRef": {"name": "hook"}}}) == []


def test_what_may_be_absent_may_be_null() -> None:
    for path in ("spec.provider", "spec.analysis.metrics", "metadata.labels", "spec.analysis.stepWeights"):
        assert told(changed(path, None)) == []
    assert told(changed("spec.analysis.interval", None))


def test_what_a_cluster_has_added_is_of_no_account() -> None:
    made = changed("metadata.managedFields", [{"manager": "kubectl"}]) | {"status": {"phase": "Succeeded", "x": 1}}
    assert told(made) == []


def test_every_kind_is_known() -> None:
    for definition in DEFINITIONS:
        kind = definition.model.__name__
        found = told({"apiVersion": definition.api_version, "kind": kind, "metadata": {"name": "a"}, "spec": {"x": 1}})
        assert any(each.startswith("spec.x: unknown field") for each in found)


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, [None], {"a": {"b": [1]}}, 1e400, True])
@pytest.mark.parametrize("path", ["spec", "metadata", "spec.targetRef", "spec.analysis", "spec.analysis.metrics.0"])
def test_anything_can_be_looked_at(path: str, value: object) -> None:
    """What people may write in place of a map ends in words."""
    assert all(words for words in told(changed(path, value)))
