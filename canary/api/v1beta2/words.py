"""What is said of a spec of v1beta1, in the words of v1beta2: paths of fields, and names within sentences."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from canary.api.meta import JsonObject
from canary.api.problems import Problem
from canary.api.v1beta2.checks import CHECKS, LISTS, Kind, kind_of
from canary.api.v1beta2.convert import is_canary
from canary.api.v1beta2.table import API_VERSION, SPEC, Pairs

_ENTRY: Final = re.compile(
    r"spec\.(?:analysis|canaryAnalysis)\.(metrics|conditions|webhooks)(?:\[(\d+)\](?:\.(.+))?)?$"
)
_KINDS: Final = {name: kind for kind, (name, _) in LISTS.items()}
_RANGE: Final = ("threshold", "range")
"""The older form of a range, which v1beta2 does without."""


def in_words_of(written: JsonObject, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems of a Canary in v1beta1, as whoever wrote it can use them.

    Args:
        written: the object as it was written, in either version.
        problems: what is wrong with it in v1beta1.
    """
    if not is_canary(written, API_VERSION):
        return iter(problems)
    spec = written.get("spec")
    checks = spec.get(CHECKS) if isinstance(spec, dict) else None
    kinds = [kind_of(each) for each in checks] if isinstance(checks, list) else []
    return (problem_in(each, kinds) for each in problems)


def problem_in(problem: Problem, kinds: Sequence[Kind]) -> Problem:
    """A problem of a spec of v1beta1, as whoever wrote v1beta2 can use it.

    Args:
        problem: the problem.
        kinds: what the checks of the spec in v1beta2 ask, in their order.
    """
    words = {name: sentence(getattr(problem, name)) for name in ("message", "remedy")}
    return replace(problem, field=field_in(problem.field, kinds), **words)


def field_in(field: str, kinds: Sequence[Kind] = ()) -> str:
    """Where a field of v1beta1, such as `spec.analysis.metrics[0].thresholdRange`, stands in v1beta2."""
    entry = _ENTRY.match(field)
    if entry is None:
        root, _, path = field.partition(".")
        path = path.replace("canaryAnalysis", "analysis", 1) if path.startswith("canaryAnalysis") else path
        return f"{root}.{_renamed(path, SPEC)}" if root == "spec" and path else field
    name, index, rest = entry.groups()
    if index is None:
        return f"spec.{CHECKS}"
    places = [at for at, kind in enumerate(kinds) if kind is _KINDS[name]]
    place = places[int(index)] if int(index) < len(places) else index
    pairs = (*LISTS[_KINDS[name]][1], *([_RANGE] if name == "metrics" else []))
    return f"spec.{CHECKS}[{place}]" + (f".{_renamed(rest, pairs)}" if rest else "")


def sentence(text: str) -> str:
    """A sentence in which names of v1beta1 are those of v1beta2; ordinary words are left alone."""
    return _NAME.sub(lambda found: _NAMES[found[0]], text)


def _renamed(path: str, pairs: Pairs) -> str:
    for old, new in pairs:
        if path == old or path.startswith((f"{old}.", f"{old}[")):
            return new + path[len(old) :]
    return path


def _names() -> Iterator[tuple[str, str]]:
    """Names that are no ordinary words, alone and with what they are in."""
    for name, _ in LISTS.values():
        yield f"analysis.{name}", CHECKS
        yield f"spec.analysis.{name}", f"spec.{CHECKS}"
    for old, new in (*SPEC, *(pair for _, pairs in LISTS.values() for pair in pairs)):
        leaf = old.rpartition(".")[2]
        if not leaf.islower() and leaf != new.rpartition(".")[2]:
            yield leaf, new
        if "." in old:
            yield old, new
        yield f"spec.{old}", f"spec.{new}"


_NAMES: Final = dict(_names())
_NAME: Final = re.compile(
    r"(?<![\w.])(?:" + "|".join(re.escape(each) for each in sorted(_NAMES, key=len, reverse=True)) + r")(?!\w)"
)
