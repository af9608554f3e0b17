"""An AdmissionReview (`admission.k8s.io/v1`): what the API server asks, and how it is answered."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from canary.api.meta import GROUP
from canary.kube.types import Json, mapping

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"

LONGEST_WARNING: Final = 256
"""Characters of a warning: the API server may cut off more."""

MOST_WARNINGS: Final = 10
"""Warnings of one answer: of all together the API server passes on 4 KiB."""


class NoReviewError(ValueError):
    """What was sent is no question that can be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Args:
        uid: name of the question, which the answer repeats.
        operation: `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
        subresource: the part of the object that is written, such as `status`; empty for the object itself.
        user: who asks, as the API server knows them.
        namespace: where the object is.
        name: its name; empty where the API server is still to make one.
        new: the object as it would be stored; empty where it is to be deleted.
        old: the object as it is stored; empty where there is none.
        version: the version in which the object was written, such as v1beta2, whatever it is shown in; empty where
            that is not said.
    """

    uid: str
    operation: str = "CREATE"
    subresource: str = ""
    user: str = ""
    namespace: str = ""
    name: str = ""
    new: Json = field(default_factory=dict)
    old: Json = field(default_factory=dict)
    version: str = ""


def request_in(review: object) -> Request:
    """Read a question.

    Raises:
        NoReviewError: it is none.
    """
    if not isinstance(review, dict) or review.get("kind") != KIND:
        msg = f"this is no {KIND}"
        raise NoReviewError(msg)
    if review.get("apiVersion") != API_VERSION:
        msg = f"this is no {KIND} of {API_VERSION}, the only version that is answered"
        raise NoReviewError(msg)
    request = mapping(review.get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        msg = "request.uid is missing"
        raise NoReviewError(msg)
    return Request(
        uid=uid,
        operation=_text(request.get("operation")),
        subresource=_text(request.get("subResource")),
        user=_text(mapping(request.get("userInfo")).get("username")),
        namespace=_text(request.get("namespace")),
        name=_text(request.get("name")),
        new=mapping(request.get("object")),
        old=mapping(request.get("oldObject")),
        version=_text(mapping(request.get("requestKind")).get("version")),
    )


def allowed(request: Request, warnings: Sequence[str] = (), patch: Sequence[Json] = ()) -> Json:
    """The answer that lets it pass.

    Args:
        request: what was asked.
        warnings: what the user is told all the same.
        patch: what is changed of the object, as a JSON patch.
    """
    response: Json = {"uid": request.uid, "allowed": True}
    if patch:
        text = json.dumps(list(patch)).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}
    return _answer(response, warnings)


def denied(request: Request, message: str, causes: Sequence[tuple[str, str]], warnings: Sequence[str] = ()) -> Json:
    """The answer that refuses it.

    Args:
        request: what was asked.
        message: why, in words.
        causes: fields, each with what is wrong with it.
        warnings: what the user is told besides.
    """
    told = [{"reason": "FieldValueInvalid", "field": where, "message": words} for where, words in causes]
    # By these, kubectl tells it as it tells what the schema refuses.
    details = {"group": GROUP, "kind": request.new.get("kind"), "name": request.name or "(no name yet)", "causes": told}
    status = {"code": 422, "reason": "Invalid", "message": message, "details": details}
    return _answer({"uid": request.uid, "allowed": False, "status": status}, warnings)


def _answer(response: Json, warnings: Sequence[str]) -> Json:
    told = [each if len(each) <= LONGEST_WARNING else f"{each[: LONGEST_WARNING - 1]}…" for each in warnings]
    if len(told) > MOST_WARNINGS:
        told[MOST_WARNINGS - 1 :] = [f"and {len(told) - MOST_WARNINGS + 1} more"]
    return {"apiVersion": API_VERSION, "kind": KIND, "response": {**response, **({"warnings": told} if told else {})}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
