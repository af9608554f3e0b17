"""Validating: what can't work is refused before it is stored, with the field and the remedy.

What was wrong before is none of the business of whoever changes something else: labels, finalizers, votes and orders of
people, `suspend`, or one field of two that are wrong. It is warned of. Nothing stands in the way of a deletion.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from canary.admission.review import Request, allowed, denied, request_in
from canary.admission.rules import Seen, seen
from canary.api import strict
from canary.api.problems import Problem
from canary.api.v1beta2 import table
from canary.api.v1beta2.convert import to_v1beta2
from canary.api.v1beta2.words import in_words_of
from canary.controller.options import Options
from canary.kube.types import Json, mapping

MOST_TOLD: Final = 20
"""Things that are told of a refusal; more are counted."""

LONGEST: Final = 512
"""Characters of one of them; what people have written may be of any length."""

LARGEST_SPEC: Final = 128 * 1024
"""Characters of a spec, as JSON, that is looked at: this takes up to a second, and no real one is so large."""

TOO_LARGE: Final = f"spec: is longer than {LARGEST_SPEC} characters, and was not looked at before it was stored"

WRITTEN: Final = frozenset({"CREATE", "UPDATE"})

_INDEX: Final = re.compile(r"\[\d+\]")


def validate(review: Json, options: Options) -> Json:
    """Answer a question of the API server.

    Args:
        review: the AdmissionReview.
        options: what the controller is told, such as its own traffic provider.

    Raises:
        NoReviewError: it is none.
    """
    request = request_in(review)
    if request.operation not in WRITTEN or request.subresource or not strict.is_ours(request.new):
        return allowed(request)
    if "deletionTimestamp" in mapping(request.new.get("metadata")):
        return allowed(request)
    if _is_large(request.new):
        return allowed(request, [TOO_LARGE])
    found = seen(_placed(request.new, request), options)
    if request.operation == "UPDATE" and request.new.get("spec") == request.old.get("spec"):
        return allowed(request, _words(_as_written(found.wrong, request)))
    new, left = (_as_written(each, request) for each in _compared(found, request, options))
    warnings = (*_words(left), *_words(_as_written(found.unwise, request)))
    if not new:
        return allowed(request, warnings)
    causes = [(each.field, f"{each.message}; {each.remedy}") for each in new[:MOST_TOLD]]
    return denied(request, _message(new), causes, warnings)


def _as_written(found: Iterable[Problem], request: Request) -> list[Problem]:
    """What was found, by the names that fields have in the version that was written."""
    if request.version != table.VERSION or request.new.get("kind") != "Canary":
        return list(found)
    return list(in_words_of(to_v1beta2(request.new), found))


def _is_large(obj: Json) -> bool:
    return len(json.dumps(obj.get("spec"))) > LARGEST_SPEC


def _placed(obj: Json, request: Request) -> Json:
    """The object with the name and the namespace that it will have."""
    metadata = mapping(obj.get("metadata"))
    generated = f"{metadata.get('generateName', '')}00000" if metadata.get("generateName") else ""
    name = metadata.get("name") or request.name or generated
    namespace = metadata.get("namespace") or request.namespace or "default"
    # Who owns which field is of no account here, and may be long.
    placed = {**metadata, "name": name, "namespace": namespace, "managedFields": []}
    whole = obj.get("metadata") is None or isinstance(obj.get("metadata"), dict)
    return {**obj, "metadata": placed} if whole else obj


def _compared(found: Seen, request: Request, options: Options) -> tuple[list[Problem], list[Problem]]:
    """What is wrong that was not before, and what was."""
    if request.operation != "UPDATE" or not found.wrong or _is_large(request.old):
        return list(found.wrong), []
    old = seen(_placed(request.old, request), options)
    # Of one field there may be the schema's words now and better ones before, or the other way round.
    before = Counter(map(_kind_of, dict.fromkeys((*old.wrong, *old.schema))))
    new: list[Problem] = []
    left: list[Problem] = []
    for each in found.wrong:
        kind = _kind_of(each)
        (left if before[kind] else new).append(each)
        before[kind] -= before[kind] > 0
    return new, left


def _kind_of(problem: Problem) -> tuple[str, str]:
    """What it is wherever it stands in a list: entries before it may come and go."""
    return _INDEX.sub("[]", problem.field), _INDEX.sub("[]", problem.message)


def _message(found: list[Problem]) -> str:
    told = "; ".join(_words(found[:MOST_TOLD]))
    return f"{told}; and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else told


def _words(found: tuple[Problem, ...] | list[Problem]) -> list[str]:
    """Each once, cut where it is too long."""
    told = dict.fromkeys(map(str, found))
    return [each if len(each) <= LONGEST else f"{each[: LONGEST - 1]}…" for each in told]
