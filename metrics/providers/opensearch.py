"""OpenSearch and Elasticsearch: how many documents, such as lines of a log, match a query in the last interval.

The index is part of the address. The query is a text as one types it in a search box (query_string), or the JSON of one
of the search's own queries. When a document is of says its field `@timestamp`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from math import ceil

from metrics.access import aws, oauth2
from metrics.access.grants import Grant
from metrics.access.http import KEYS, authorization
from metrics.access.own import Own
from metrics.errors import MisconfiguredError, ServerError
from metrics.providers.base import (
    Json,
    Provider,
    Regions,
    address_of,
    credential,
    number,
    raise_for_status,
    read_object,
    unexpected,
)
from metrics.question import ANY_TIME, Empty, Number, Question, Sample, Span
from metrics.wire import Headers, Request, Response, join

_KEY = "api_key"
_TIME = "@timestamp"


def build(question: Question, now: datetime) -> Request:
    """Count what matches over the last interval, or what of it is about this version."""
    end = now.timestamp()
    begin = end - question.interval.total_seconds()
    if question.since is not None:
        begin = max(begin, question.since.timestamp())
    window = {"gte": ceil(begin * 1000), "lt": ceil(end * 1000), "format": "epoch_millis"}
    return _request(question, {"bool": {"filter": [_query(question), {"range": {_TIME: window}}]}})


def probe(question: Question, now: datetime) -> Request:
    """Count nothing."""
    return _request(question, {"match_none": {}})


def accept(response: Response) -> None:
    """See that counting is allowed."""
    raise_for_status(response, _said)
    if "count" not in read_object(response):
        raise unexpected(response)


def parse(response: Response, span: Span = ANY_TIME) -> Sample:
    """Read the count; one of some of the parts only is none."""
    raise_for_status(response, _said)
    match read_object(response):
        case {"_shards": {"total": 0}}:
            return Empty("no index is called so")
        case {"_shards": {"failed": int(failed), "total": total}} if failed:
            raise ServerError(f"{failed} of {number(total) or 0:g} parts of the index could not be counted")
        case {"count": count} if (value := number(count)) is not None:
            return Number(value, 1)
    raise unexpected(response)


def grant(question: Question, environment: Own, now: datetime) -> Grant | dict[str, str] | None:
    """A role of AWS where the template has a region, or the token that the Secret stands for."""
    if question.region:
        given = aws.own(question, environment, now) if aws.needs_own(question) else None
        return dict(given) if given is not None and not isinstance(given, Grant) else given
    return oauth2.grant(question)


def _query(question: Question) -> Json:
    text = question.query.strip()
    if not text.startswith("{"):
        return {"query_string": {"query": text or "*"}}
    try:
        query = json.loads(text)
    except (ValueError, RecursionError):
        raise MisconfiguredError("the query begins with { and is not JSON") from None
    return dict(query)


def _request(question: Question, query: Json) -> Request:
    headers = (*_headers(question), ("Content-Type", "application/json"))
    return Request("POST", join(address_of(question), "/_count"), headers, json.dumps({"query": query}).encode())


def _headers(question: Question) -> Headers:
    if _KEY not in question.credentials:
        return authorization(question)
    key = credential(question.credentials, _KEY, question.provider)
    return (*question.headers, ("Authorization", f"ApiKey {key}"))


def _said(answer: Json) -> object:
    """Its words in an error answer."""
    match answer.get("error"):
        case {"root_cause": [{"reason": reason}, *_]} | {"reason": reason}:
            return reason
    return None


OPENSEARCH = Provider(
    name="opensearch",
    build=build,
    parse=parse,
    probe=probe,
    accept=accept,
    credentials=KEYS,
    grant=grant,
    own=lambda question: bool(question.region) and aws.needs_own(question),
    seal=aws.sealed("es"),
    regions=Regions.ALLOWED,
)

ELASTICSEARCH = replace(OPENSEARCH, name="elasticsearch", regions=Regions.NONE)
