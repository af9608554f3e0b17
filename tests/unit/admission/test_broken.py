"""A corpus of specs that can't work, `broken.json`: each is refused by its field, and its remedy leads to one that can.

An entry is an example (`of`) with some fields changed (`set`, where null takes one out), the field that is at fault,
and, where a remedy takes a person's knowledge, such as the name of a Secret, what they `follow` it with.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.admission.conftest import example, refused
from tests.unit.admission.follow import GONE, followed, put

Entry = dict[str, Any]
BROKEN: list[Entry] = json.loads(Path(__file__).with_name("broken.json").read_text(encoding="utf-8"))
FURTHEST = 12
"""Remedies that may have to be followed one after the other."""


def broken(entry: Entry) -> Entry:
    raw = example(entry["of"])
    for path, value in entry["set"].items():
        put(raw, path, GONE if value is None else value)
    return raw


def name_of(entry: Entry) -> str:
    return f"{entry['of']}-{'-'.join(entry['set'])}"


@pytest.mark.parametrize("entry", BROKEN, ids=name_of)
def test_it_is_refused_by_its_field_with_a_remedy(entry: Entry) -> None:
    found = refused(broken(entry))
    what, _, remedy = found[entry["field"]].partition("; ")
    assert what
    assert remedy


@pytest.mark.parametrize("entry", BROKEN, ids=name_of)
def test_its_remedy_leads_to_what_is_accepted(entry: Entry) -> None:
    raw = broken(entry)
    if "follow" in entry:
        for path, value in entry["follow"].items():
            put(raw, path, value)
        assert refused(raw) == {}
        return
    reached, seen = [raw], [raw]
    for _ in range(FURTHEST):
        if any(not refused(each) for each in reached):
            return
        field_and_words = [next(iter(refused(each).items())) for each in reached]
        ways = zip(field_and_words, reached, strict=True)
        found = [way for (field, words), each in ways for way in followed(field, words.partition("; ")[2], each)]
        reached = [each for at, each in enumerate(found) if each not in seen and each not in found[:at]][:60]
        seen += reached
    pytest.fail(f"no remedy leads anywhere: {refused(raw)}")


def test_the_corpus_is_large_and_says_everything_once() -> None:
    assert len(BROKEN) >= 200
    assert len({json.dumps(each["set"] | {"of": each["of"]}, sort_keys=True) for each in BROKEN}) == len(BROKEN)
