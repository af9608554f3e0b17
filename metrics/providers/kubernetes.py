"""What the Kubernetes API tells of metrics: the external metrics API, and Keptn's KeptnMetrics.

Without an address it is the API of the controller's own cluster, asked with the controller's own rights; with one it is
another server of the same API, asked with the Secret's token: the controller's own token never goes there.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from metrics.access.http import KEYS, authorization
from metrics.errors import MisconfiguredError, QueryError, ServerError
from metrics.providers.base import Json, Provider, of_series, raise_for_status, read_object, unexpected
from metrics.question import ANY_TIME, Empty, Question, Sample, Span
from metrics.wire import Request, Response, join

HERE = "https://kubernetes.default.svc"
"""What stands for the API of the controller's own cluster."""

_EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
_KEPTN = "/apis/metrics.keptn.sh/v1beta1"
_QUANTITY = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([eE][-+]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?")
_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"


class Place(NamedTuple):
    """What is asked for."""

    namespace: str
    name: str
    labels: str = ""


def place_of(question: Question) -> Place:
    """Namespace and name that a query is about.

    Raises:
        MisconfiguredError: it can't be read.
    """
    return _keptn_place(question) if question.provider == "keptn" else _external_place(question)


def _external_place(question: Question) -> Place:
    path, _, parameters = question.query.strip().partition("?")
    namespace, _, name = path.rpartition("/")
    labels = dict(parse_qsl(parameters)).get("labelSelector", "")
    if not name or "/" in namespace or any(part in {".", ".."} for part in (namespace, name)):
        raise MisconfiguredError("an externalmetrics query is NAMESPACE/METRIC?labelSelector=SELECTOR")
    return Place(namespace or "default", name, labels)


def _keptn_place(question: Question) -> Place:
    match [part.strip() for part in question.query.strip().lower().split("/")]:
        case ["keptnmetric" | "keptnmetrics", namespace, name, *_] if (
            namespace and name and ".." not in {namespace, name}
        ):
            return Place(namespace, name)
        case ["analysis" | "analyses", *_]:
            msg = (
                "a Keptn Analysis is no answer but an object that has to be made for each question; "
                "name a KeptnMetric, as in keptnmetric/NAMESPACE/NAME"
            )
            raise MisconfiguredError(msg)
    raise MisconfiguredError("a keptn query is keptnmetric/NAMESPACE/NAME")


def build_external(question: Question, now: datetime) -> Request:
    """The values of an external metric."""
    place = _external_place(question)
    parameters = urlencode({"labelSelector": place.labels}) if place.labels else ""
    path = f"/namespaces/{quote(place.namespace, safe='')}/{quote(place.name, safe='@:')}"
    return _request(question, f"{_EXTERNAL}{path}", parameters)


def probe_external(question: Question, now: datetime) -> Request:
    """Ask what the API is."""
    return _request(question, _EXTERNAL)


def parse_external(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the values that are new enough; most servers say the time of asking."""
    _raise_for_error(response)
    match read_object(response).get("items"):
        case []:
            return Empty("no external metric matches the query")
        case list(items):
            values = [value for each in items if (value := _value(each, span, response)) is not None]
            return of_series(values, len(items), empty="no external metric has a value of late")
    raise unexpected(response)


def build_keptn(question: Question, now: datetime) -> Request:
    """The KeptnMetric."""
    place = _keptn_place(question)
    path = f"/namespaces/{quote(place.namespace, safe='')}/keptnmetrics/{quote(place.name, safe='')}"
    return _request(question, f"{_KEPTN}{path}")


def probe_keptn(question: Question, now: datetime) -> Request:
    """Ask what the API is."""
    return _request(question, _KEPTN)


def parse_keptn(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the value that Keptn has fetched last; it holds until the next is due."""
    _raise_for_error(response)
    match read_object(response):
        case {"kind": "KeptnMetric", "status": {"value": str(text), "lastUpdated": str(time)}, **rest} if text:
            updated = _seconds(time, response)
            if not span.holds(updated, updated + _every(rest)):
                return Empty("Keptn has fetched no value of late")
            try:
                return of_series([float(text)], 1, empty="the value is not a number (NaN)")
            except ValueError:
                raise QueryError("the KeptnMetric's value is not a number") from None
        case {"kind": "KeptnMetric", "status": {"errMsg": str(words)}} if words:
            raise ServerError(f"Keptn could not fetch it: {words}")
        case {"kind": "KeptnMetric"}:
            return Empty("Keptn has fetched no value yet")
    raise unexpected(response)


def accept(response: Response) -> None:
    """See that there is such an API."""
    _raise_for_error(response)
    if read_object(response).get("kind") != "APIResourceList":
        raise unexpected(response)


def quantity(text: str) -> float | None:
    """A quantity as Kubernetes writes it, such as `1500m` or `2Ki`; None for anything else."""
    if len(text) > _LONGEST or (found := _QUANTITY.fullmatch(text)) is None:
        return None
    value, unit = float(found[1]), found[2] or ""
    if unit.endswith("i"):
        return value * 1024.0 ** (_BINARY.index(unit[0]) + 1)
    return (
        float(f"{found[1]}{unit}") if unit[:1] in {"e", "E"} and len(unit) > 1 else value * 10.0 ** _POWERS.get(unit, 0)
    )


_LONGEST = 64


def _value(item: object, span: Span, response: Response) -> float | None:
    match item:
        case {"value": str(text), "timestamp": str(time)} if (value := quantity(text)) is not None:
            moment = _seconds(time, response)
            return value if span.holds(moment, moment) else None
        case {"value": str(text)} if (value := quantity(text)) is not None:
            return value
    raise unexpected(response)


def _every(metric: Json) -> float:
    """How many seconds lie between two values."""
    match metric.get("spec"):
        case {"fetchIntervalSeconds": int(seconds)}:
            return float(seconds)
    return 0.0


def _seconds(time: str, response: Response) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError) as error:
        raise unexpected(response) from error


def _request(question: Question, path: str, parameters: str = "") -> Request:
    if question.credentials and not question.address:
        raise MisconfiguredError(
            "this cluster's API is asked as the controller; take the Secret out, or give an address"
        )
    return Request("GET", join(question.address or HERE, path, parameters), authorization(question))


def _raise_for_error(response: Response) -> None:
    raise_for_status(response, lambda answer: answer.get("message") if answer.get("kind") == "Status" else None)


EXTERNAL_METRICS = Provider(
    name="externalmetrics",
    build=build_external,
    parse=parse_external,
    probe=probe_external,
    accept=accept,
    credentials=KEYS,
    in_cluster=True,
)

KEPTN = Provider(
    name="keptn",
    build=build_keptn,
    parse=parse_keptn,
    probe=probe_keptn,
    accept=accept,
    credentials=KEYS,
    in_cluster=True,
)
