"""Defaulting: who has given an order, where the order doesn't say so.

Nothing of a spec is filled in. What is to be seen in an object, the schema of its CRD fills in, with or without this
server; the rest the controller takes for granted as it works. A field that came from here would stand in no file of
those who keep their specs in Git: in a list, such as that of the metrics, it would be a difference for good. It would
also stay when the controller's own default, such as `--mesh-provider`, is another one day. And what is incomplete would
be accepted or refused by whether this server answers.
"""

from typing import Final

from canary.admission.review import Request, allowed, request_in
from canary.api import strict
from canary.controller.options import Options
from canary.kube.types import Json, mapping
from canary.rollout.orders import ORDER_ANNOTATION, order_in

_PATH: Final = f"/metadata/annotations/{ORDER_ANNOTATION.replace('/', '~1')}"


def default(review: Json, _options: Options) -> Json:
    """Answer a question of the API server.

    Raises:
        NoReviewError: it is none.
    """
    request = request_in(review)
    given, before = _order(request.new), _order(request.old)
    if request.subresource or not request.user or not given.split() or given == before:
        return allowed(request)
    if not strict.is_ours(request.new) or request.new.get("kind") != "Canary":
        return allowed(request)
    signed = _signed(given, before, request)
    patch = [{"op": "replace", "path": _PATH, "value": signed}]
    return allowed(request, patch=patch if signed != given else ())


def _signed(given: str, before: str, request: Request) -> str:
    """The order with who gives it.

    One that stands in a file is written anew each time that the file is applied, by whoever does so: it stays the order
    that it was, or it would be followed again.
    """
    verb, *words = given.split()
    if order_in(given).by:
        return given
    if order_in(before or verb).by and _without_name(before) == " ".join((verb, *words)):
        return before
    name = request.user.replace("%", "%25").replace(" ", "%20")
    return " ".join((verb, f"by={name}", *words))


def _without_name(order: str) -> str:
    first = next((each for each in order.split() if each.startswith("by=")), "")
    words = order.split()
    if first:
        words.remove(first)
    return " ".join(words)


def _order(obj: Json) -> str:
    value = mapping(mapping(obj.get("metadata")).get("annotations")).get(ORDER_ANNOTATION)
    return value if isinstance(value, str) else ""
