"""Questions of an API server, as tests put them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from canary.admission.validate import validate
from canary.controller.options import Options
from canary.kube.types import Json

EXAMPLES: dict[str, Json] = {
    document["metadata"]["name"]: document
    for file in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    if document and document["apiVersion"] == "flagger.app/v1beta1"
}
"""Objects that work, by name."""

OPTIONS = Options(mesh_provider="traefik")


def example(name: str) -> Json:
    """One of them, to be changed."""
    return deepcopy(EXAMPLES[name])


def review(new: Json | None, old: Json | None = None, **request: Any) -> Json:
    """The question whether an object may be stored; an update where there is an old one."""
    asked: Json = {
        "uid": "705ab4f5",
        "operation": "CREATE" if old is None else "UPDATE",
        "namespace": "shop",
        "userInfo": {"username": "alice"},
        "object": new,
        "oldObject": old,
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def answer(new: Json | None, old: Json | None = None, **request: Any) -> Json:
    """What is said to it."""
    response: Json = validate(review(new, old, **request), OPTIONS)["response"]
    return response


def refused(new: Json, old: Json | None = None) -> dict[str, str]:
    """The fields for which it is refused, each with what is wrong with it and the remedy."""
    said = answer(new, old)
    assert said["allowed"] == ("status" not in said)
    causes = said.get("status", {}).get("details", {}).get("causes", [])
    return {each["field"]: each["message"] for each in causes}
