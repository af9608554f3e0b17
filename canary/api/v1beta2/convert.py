"""From v1beta1 to v1beta2 and back, whatever an object holds, so that there and back is what it was.

What the other version says in another way, an annotation remembers by what it is about, so that it outlives edits: the
order of checks, the older name of the analysis, the older `threshold`. What has no place in the other version at all,
one more annotation holds, for as long as nobody edits the spec beside it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from canary.api import meta
from canary.api.meta import JsonObject
from canary.api.v1beta2 import table
from canary.api.v1beta2.checks import CHECKS, LISTS, Kind, backward, forward, joined, order_of, parted, thresholds
from canary.api.v1beta2.moving import moved

ORDER: Final = f"{meta.GROUP}/v1beta2-order"
"""In v1beta1: the kinds of checks, in the order in which they stand in v1beta2."""

THRESHOLDS: Final = f"{meta.GROUP}/v1beta1-thresholds"
"""In v1beta2: the metrics that have the older `threshold` in v1beta1."""

OLDER_ANALYSIS: Final = f"{meta.GROUP}/v1beta1-canary-analysis"
"""In v1beta2: empty where the analysis has its older name in v1beta1; else what stands there beside analysis."""

Notes = Mapping[str, str]
"""Annotations by which what the other version says in another way is remembered."""


class Way(NamedTuple):
    """One way between the two versions.

    Args:
        to: the version that it leads to.
        spec: makes the spec of it, and notes for the way back, of a spec and notes of the way there.
        kept: the annotation that holds what would have been lost on the way there.
        keeps: the annotation that holds what would be lost on this way.
    """

    to: str
    spec: Callable[[JsonObject, Notes], tuple[JsonObject, Notes]]
    kept: str
    keeps: str


def is_canary(raw: JsonObject, version: str) -> bool:
    """Whether an object says that it is a Canary of a version, such as `flagger.app/v1beta2`."""
    return raw.get("kind") == "Canary" and raw.get("apiVersion") == version


def to_v1beta2(canary: JsonObject) -> JsonObject:
    """A Canary of v1beta1 in v1beta2; the object is not changed."""
    return _converted(canary, _UP, _DOWN)


def to_v1beta1(canary: JsonObject) -> JsonObject:
    """A Canary of v1beta2 in v1beta1; the object is not changed."""
    return _converted(canary, _DOWN, _UP)


def as_stored(raw: JsonObject) -> JsonObject:
    """An object as the API server keeps it: a Canary of v1beta2 in v1beta1, any other as it is."""
    return to_v1beta1(raw) if is_canary(raw, table.API_VERSION) else raw


def _converted(canary: JsonObject, way: Way, back: Way) -> JsonObject:
    spec, annotations = canary.get("spec"), _annotations(canary)
    if not isinstance(spec, dict):
        return {**canary, "apiVersion": way.to}
    ours = (*NOTES, way.keeps)
    notes = {name: annotations[name] for name in ours if name in annotations}
    found = _kept(annotations.get(way.kept), spec)
    made, told = found or way.spec(spec, notes)
    if found is None and back.spec(made, told) != (spec, notes):
        kept = {"of": _digest(made), "spec": spec, "notes": notes}
        told = {**told, way.keeps: json.dumps(kept, default=str)}
    others = _without(annotations, *ours, way.kept)
    return _annotated({**canary, "apiVersion": way.to, "spec": made}, {**others, **told})


def _up(spec: JsonObject, notes: Notes) -> tuple[JsonObject, Notes]:
    made, told = dict(spec), dict[str, str]()
    if "canaryAnalysis" in made:
        older = made.pop("canaryAnalysis")
        beside = made.get("analysis") is not None
        told[OLDER_ANALYSIS] = json.dumps(older) if beside else ""
        made["analysis"] = made["analysis"] if beside else older
    analysis = made.get("analysis")
    if isinstance(analysis, dict) and CHECKS not in made:
        lists = {kind: analysis[name] for kind, (name, _) in LISTS.items() if name in analysis}
        if lists and all(isinstance(each, list) for each in lists.values()):
            made[CHECKS] = joined(lists, _text(notes.get(ORDER)).split())
            made["analysis"] = _without(analysis, *(LISTS[kind][0] for kind in lists))
            if not made["analysis"]:
                del made["analysis"]
            if older_ones := dict(thresholds(lists.get(Kind.METRIC, ()))):
                told[THRESHOLDS] = json.dumps(older_ones, sort_keys=True)
    return moved(made, forward(table.SPEC)), told


def _down(spec: JsonObject, notes: Notes) -> tuple[JsonObject, Notes]:
    made, told = moved(spec, backward(table.SPEC)), dict[str, str]()
    analysis, checks = made.get("analysis", {}), made.get(CHECKS)
    if isinstance(checks, list) and isinstance(analysis, dict):
        lists = parted(checks, _object(notes.get(THRESHOLDS)))
        named = {LISTS[kind][0]: each for kind, each in lists.items()}
        if not named.keys() & analysis.keys():
            made = {**_without(made, CHECKS), "analysis": {**analysis, **named}}
            if order := order_of(checks):
                told[ORDER] = " ".join(order)
    older = notes.get(OLDER_ANALYSIS)
    if older is not None and "canaryAnalysis" not in made:
        if not older and "analysis" in made:
            made["canaryAnalysis"] = made.pop("analysis")
        elif older:
            made["canaryAnalysis"] = _read(older)
    return made, told


NOTES: Final = (ORDER, THRESHOLDS, OLDER_ANALYSIS)
_OLD_SPEC: Final = f"{meta.GROUP}/v1beta1-spec"
_NEW_SPEC: Final = f"{meta.GROUP}/v1beta2-spec"
_UP: Final = Way(table.API_VERSION, _up, _NEW_SPEC, _OLD_SPEC)
_DOWN: Final = Way(meta.API_VERSION, _down, _OLD_SPEC, _NEW_SPEC)


def _kept(text: object, spec: JsonObject) -> tuple[JsonObject, Notes] | None:
    """What was kept, if it was of this spec."""
    found = _object(text)
    made, told = found.get("spec"), found.get("notes")
    if not isinstance(made, dict) or not isinstance(told, dict) or found.get("of") != _digest(spec):
        return None
    return made, told


def _object(text: object) -> JsonObject:
    found = _read(text)
    return found if isinstance(found, dict) else {}


def _read(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _digest(spec: JsonObject) -> str:
    # Twice, as names that are no strings, which YAML has, can't be put in order.
    plain = json.loads(json.dumps(spec, skipkeys=True, default=str))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _without(value: JsonObject, *names: str) -> JsonObject:
    return {name: inner for name, inner in value.items() if name not in names}


def _annotations(canary: JsonObject) -> JsonObject:
    metadata = canary.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _annotated(canary: JsonObject, annotations: JsonObject) -> JsonObject:
    if annotations == _annotations(canary):
        return canary
    metadata = canary.get("metadata")
    rest = _without(metadata, "annotations") if isinstance(metadata, dict) else {}
    return {**canary, "metadata": {**rest, **({"annotations": annotations} if annotations else {})}}
