"""Converting: a Canary is stored as v1beta1, and whoever asks for v1beta2 gets that, and may write it.

The API server asks for each object that somebody reads or writes in v1beta2. What it is given is never judged here: an
object that can't be converted could not be read, changed or deleted any more.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from canary.admission.review import NoReviewError
from canary.api import meta
from canary.api.v1beta2 import table
from canary.api.v1beta2.convert import is_canary, to_v1beta1, to_v1beta2
from canary.controller.options import Options
from canary.kube.types import Json, mapping

API_VERSION: Final = "apiextensions.k8s.io/v1"
KIND: Final = "ConversionReview"

_WAYS: Final[Mapping[tuple[str, str], Callable[[Json], Json]]] = MappingProxyType(
    {
        (meta.API_VERSION, table.API_VERSION): to_v1beta2,
        (table.API_VERSION, meta.API_VERSION): to_v1beta1,
        (meta.API_VERSION, meta.API_VERSION): dict,
        (table.API_VERSION, table.API_VERSION): dict,
    }
)


class _NoWayError(ValueError):
    """There is no way from one version to the other."""


def convert(review: Json, _options: Options) -> Json:
    """Answer a question of the API server.

    Raises:
        NoReviewError: it is none.
    """
    if review.get("kind") != KIND or review.get("apiVersion") != API_VERSION:
        msg = f"this is no {KIND} of {API_VERSION}, the only version that is answered"
        raise NoReviewError(msg)
    request = mapping(review.get("request"))
    uid, objects = request.get("uid"), request.get("objects")
    if not isinstance(uid, str) or not uid or not isinstance(objects, list):
        msg = "request.uid or request.objects is missing"
        raise NoReviewError(msg)
    try:
        made = [_converted(mapping(each), str(request.get("desiredAPIVersion"))) for each in objects]
    except _NoWayError as error:
        return _answer(uid, [], {"status": "Failure", "message": str(error)})
    return _answer(uid, made, {"status": "Success"})


def _converted(obj: Json, wanted: str) -> Json:
    version = str(obj.get("apiVersion"))
    way = _WAYS.get((version, wanted))
    if way is None or not is_canary(obj, version):
        msg = f"nobody knows how a {obj.get('kind')} of {version} is said in {wanted}; ask for Canaries of v1beta1"
        raise _NoWayError(msg)
    return way(obj)


def _answer(uid: str, objects: list[Json], result: Json) -> Json:
    response: Json = {"uid": uid, "convertedObjects": objects, "result": result}
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
