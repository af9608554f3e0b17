"""v1beta1 and v1beta2 say the same: what goes there and back is what it was.

`CANARY_SPECS=10000` tries as many by chance as the contract speaks of.
"""

import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from canary.api import strict
from canary.api.canary import Canary
from canary.api.crds import DEFINITIONS, root_schema
from canary.api.v1beta2 import convert
from canary.api.v1beta2.convert import to_v1beta1, to_v1beta2
from canary.api.v1beta2.schema import v1beta2_schema
from tests.unit.api.specs_of_a_schema import spoilt, values

Raw = dict[str, Any]

TESTS = Path(__file__).parents[2]
FLAGGERS: list[Raw] = json.loads((Path(__file__).parent / "flagger-documents.json").read_text("utf-8"))
OLD = root_schema(next(each for each in DEFINITIONS if each.model is Canary))["properties"]["spec"]
NEW = v1beta2_schema({"properties": {"spec": OLD}})["properties"]["spec"]

CALLS = ("retries", "disableTLS", "metadata", "headers", "secretRef")

by_chance = settings(
    max_examples=int(os.environ.get("CANARY_SPECS", "500")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def with_one_answer(spec: Raw) -> Raw:
    """A spec whose webhooks have an address or a gate, which no schema can say."""
    for name in ("analysis", "canaryAnalysis"):
        for hook in spec.get(name, {}).get("webhooks", ()):
            for each in ("url", *CALLS) if "gate" in hook else ():
                hook.pop(each, None)
            if "gate" not in hook:
                hook["url"] = "http://asked.test"
    return spec


olds, news = values(OLD, "spec").map(with_one_answer), values(NEW, "spec")
notes_by_chance = st.dictionaries(
    st.sampled_from(["team", "flagger.app/v1beta1-spec", "flagger.app/v1beta2-spec", *convert.NOTES]),
    st.sampled_from(["", "null", "metric", "call metric call", '{"errors": null}', '{"of": "", "spec": {}}', "{"]),
    min_size=1,
)


def canary(spec: object, version: str = "v1beta1", **metadata: object) -> Raw:
    return {
        "apiVersion": f"flagger.app/{version}",
        "kind": "Canary",
        "metadata": {"name": "shop", "uid": "6b1f", **metadata},
        "spec": spec,
        "status": {"phase": "Progressing", "unknown": [1]},
        "unknown": {"spec": 1},
    }


def written() -> Iterator[tuple[str, Raw]]:
    """Every Canary that there is in Flagger's documents and end-to-end tests, and in our examples and documents."""
    for each in FLAGGERS:
        yield f"{each['page']} {each['number']}", canary(each["spec"])
    for file in sorted([*(TESTS / "examples").glob("*.yaml"), *TESTS.glob("unit/**/golden/**/*.yaml")]):
        for raw in yaml.safe_load_all(file.read_text("utf-8")):
            if isinstance(raw, dict) and raw.get("kind") == "Canary":
                yield str(file.relative_to(TESTS)), raw


WRITTEN = dict(written())


@pytest.mark.parametrize("raw", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_people_have_written_goes_there_and_back_and_is_allowed_in_both(raw: Raw) -> None:
    before = deepcopy(raw)
    made = to_v1beta2(raw)
    assert to_v1beta1(made) == before == raw
    assert "flagger.app/v1beta1-spec" not in notes(made), "all of it has a place"
    if not wrong(raw):
        assert not wrong(made)


@by_chance
@given(olds)
def test_what_v1beta1_allows_is_the_same_after_both_ways_and_allowed_in_v1beta2(spec: Raw) -> None:
    raw = canary(spec)
    made = to_v1beta2(raw)
    assert to_v1beta1(made) == raw
    if not wrong(raw):
        assert not wrong(made)


@by_chance
@given(news)
def test_what_v1beta2_allows_is_the_same_after_both_ways_and_allowed_in_v1beta1(spec: Raw) -> None:
    raw = canary(spec, "v1beta2")
    made = to_v1beta1(raw)
    assert to_v1beta2(made) == raw
    if not wrong(raw):
        assert not wrong(made)
        assert "flagger.app/v1beta2-spec" not in notes(made), "all of it has a place"


@by_chance
@given(spoilt(olds) | st.just({}))
@example(None)
@example([])
@example({"analysis": None, "canaryAnalysis": {}, "checks": 1, "rollout": {"ramp": {}}})
def test_whatever_is_written_in_v1beta1_is_the_same_after_both_ways(spec: object) -> None:
    raw = canary(spec)
    assert to_v1beta1(to_v1beta2(raw)) == raw


@by_chance
@given(spoilt(news) | st.just({}))
def test_whatever_is_written_in_v1beta2_is_the_same_after_both_ways(spec: object) -> None:
    raw = canary(spec, "v1beta2")
    assert to_v1beta2(to_v1beta1(raw)) == raw


@by_chance
@given(spoilt(olds) | spoilt(news), notes_by_chance, st.sampled_from(["v1beta1", "v1beta2"]))
def test_whatever_annotations_say_the_spec_is_the_same_and_those_of_others_stay(spec: Raw, said: Raw, at: str) -> None:
    """Of our own those stay that are of use; what no longer fits its spec goes."""
    there, back = (to_v1beta2, to_v1beta1) if at == "v1beta1" else (to_v1beta1, to_v1beta2)
    raw = canary(spec, at, annotations=said)
    again = back(there(raw))
    assert again["spec"] == raw["spec"]
    stale = "flagger.app/v1beta2-spec" if at == "v1beta1" else "flagger.app/v1beta1-spec"
    assert {name: value for name, value in notes(again).items() if name != stale} == {
        name: value for name, value in said.items() if name != stale
    }
    assert there(again) == there(raw)


METRIC = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
OLDER = {"name": "request-duration", "threshold": 500}
HOOK = {"name": "smoke", "type": "pre-rollout", "url": "http://smoke.test", "timeout": "1m"}


def judged(**analysis: object) -> Raw:
    return canary({"targetRef": {"name": "shop"}, "analysis": {"interval": "1m", "threshold": 2, **analysis}})


def test_checks_of_all_kinds_are_one_list_whose_order_outlives_edits_in_v1beta1() -> None:
    made = to_v1beta2(judged(metrics=[METRIC], webhooks=[HOOK]))
    assert made["spec"]["checks"] == [
        {"name": "request-success-rate", "range": {"min": 99}},
        {"name": "smoke", "when": "pre-rollout", "timeout": "1m", "webhook": {"url": "http://smoke.test"}},
    ]
    made["spec"]["checks"].reverse()
    stored = to_v1beta1(made)
    assert stored["spec"]["analysis"]["metrics"] == [METRIC]
    assert notes(stored) == {convert.ORDER: "call metric"}
    stored["spec"]["analysis"]["metrics"][0] = {**METRIC, "interval": "5m"}
    stored["spec"]["analysis"]["metrics"].append(OLDER)
    assert [each["name"] for each in to_v1beta2(stored)["spec"]["checks"]] == ["smoke", METRIC["name"], OLDER["name"]]


def test_the_older_threshold_is_a_range_and_stays_what_it_was_where_its_number_is_edited() -> None:
    """So that a file in Git that says `threshold` goes on saying the same."""
    made = to_v1beta2(judged(metrics=[OLDER, {"name": "request-success-rate", "threshold": 99}]))
    ranges = [each["range"] for each in made["spec"]["checks"]]
    assert ranges == [{"max": 500}, {"min": 99}]
    made["spec"]["checks"][0]["range"] = {"max": 400}
    assert to_v1beta1(made)["spec"]["analysis"]["metrics"][0] == {**OLDER, "threshold": 400}
    made["spec"]["checks"][0]["range"] = {"min": 1, "max": 400}
    assert to_v1beta1(made)["spec"]["analysis"]["metrics"][0]["thresholdRange"] == {"min": 1, "max": 400}


def test_the_older_name_of_the_analysis_stays_whatever_is_edited() -> None:
    raw = judged(stepWeight=10)
    raw["spec"]["canaryAnalysis"] = raw["spec"].pop("analysis")
    made = to_v1beta2(raw)
    made["spec"]["rollout"]["ramp"]["by"] = 20
    assert to_v1beta1(made)["spec"] == {
        "targetRef": {"name": "shop"},
        "canaryAnalysis": {"interval": "1m", "threshold": 2, "stepWeight": 20},
    }


def test_what_has_no_place_is_kept_until_somebody_edits_the_spec() -> None:
    """What is kept by itself would undo the edit."""
    raw = judged(metrics=[METRIC], webhooks=[])
    made = to_v1beta2(raw)
    assert list(notes(made)) == ["flagger.app/v1beta1-spec"]
    assert to_v1beta1(made) == raw
    made["spec"]["suspend"] = True
    stored = to_v1beta1(made)
    assert stored["spec"] == {**judged(metrics=[METRIC])["spec"], "suspend": True}
    assert not notes(stored)


def notes(raw: Raw) -> Raw:
    return dict(raw["metadata"].get("annotations", {}))


def wrong(raw: Raw) -> list[str]:
    """What a server refuses of the spec, or prunes."""
    return [str(each) for each in strict.problems(raw) if each.field.startswith("spec")]
