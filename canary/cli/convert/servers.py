"""The providers of AnalysisTemplates' metrics, as the specs of MetricTemplates."""

import json
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from canary.cli.convert.fields import Part
from canary.kube.types import Json

_CREDENTIALS: Final = "put what lets the question in into a Secret, and name it by spec.provider.secretRef"
_TIMEOUT: Final = "how long a question may take is the controller's own"
_KEYS: Final = "the Secret's keys have other names here: see docs/metric-servers.md"


def server_of(provider: Part) -> Json | None:
    """The spec of a MetricTemplate; None where the provider has no counterpart, which is told."""
    found = [name for name in provider.value if provider.value[name] is not None]
    for name in found:
        make = _SERVERS.get(name)
        if make is None:
            provider.lost(name, "there is no such metric server here; see docs/metric-servers.md for those there are")
            continue
        return make(provider.part(name))
    return None


def _plain(type_: str, **more: str) -> Callable[[Part], Json]:
    """Of a server that is asked by a query, at an address or by a profile that names its secrets."""

    def make(part: Part) -> Json:
        provider: Json = {"type": type_, **more}
        if address := part.text("address"):
            provider["address"] = address
        part.lost("profile", _CREDENTIALS)
        part.all_lost({"timeout": _TIMEOUT})
        part.take("interval")
        return {"provider": provider, "query": part.text("query")}

    return make


def _prometheus(part: Part) -> Json:
    made = _plain("prometheus")(part)
    if "address" not in made["provider"]:
        made["provider"]["address"] = "http://prometheus:9090"
        part.source.note(part.path, "it names no address; http://prometheus:9090 is a guess", lost=False)
    _http(part, made["provider"])
    if region := part.part("authentication").part("sigv4").text("region"):
        made["provider"]["region"] = region
    part.lost("rangeQuery", "the value of now is asked for, and not those of a range")
    return made


def _http(part: Part, provider: Json) -> None:
    """Headers, and what lets a question in."""
    headers = {header.text("key"): [header.text("value")] for header in part.parts("headers")}
    if headers:
        provider["headers"] = headers
    if part.take("insecure") is True:
        provider["insecureSkipVerify"] = True
    authentication = part.part("authentication")
    for name in ("oauth2", "basicAuth"):
        if any(authentication.value.get(name) or ()):
            authentication.lost(name, _CREDENTIALS)


def _datadog(part: Part) -> Json:
    made = _plain("datadog")(part)
    secret = part.part("secretRef")
    if name := secret.text("name"):
        made["provider"]["secretRef"] = {"name": name}
        secret.differs("name", _KEYS)
    secret.take("namespaced")
    part.all_lost(
        {
            "queries": "one query is asked; write it as one",
            "formula": "one query is asked; write the formula into it",
            "aggregator": "of several values the last counts; aggregate in the query",
            "apiVersion": "the query API of version 1 is asked",
            "requestTimeout": _TIMEOUT,
        }
    )
    return made


def _graphite(part: Part) -> Json:
    made = _plain("graphite")(part)
    if not made["query"].startswith("target="):
        made["query"] = f"target={made['query']}&from=-{{{{ interval }}}}"
    return made


def _cloudwatch(part: Part) -> Json:
    part.differs("interval", "the metric's interval is the time that is asked about")
    part.source.note(part.path, "a region is needed; us-east-1 is a guess", lost=False)
    queries = part.take("metricDataQueries")
    query = json.dumps(_capitalized(queries if isinstance(queries, list) else []), indent=2)
    return {"provider": {"type": "cloudwatch", "region": "us-east-1"}, "query": query}


def _capitalized(value: object) -> object:
    """With the names that CloudWatch's own API has: `metricStat` as `MetricStat`."""
    if isinstance(value, list):
        return [_capitalized(each) for each in value]
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _of_cloudwatch(name, inner) for name, inner in value.items()}
    return value


def _of_cloudwatch(name: str, value: object) -> object:
    if name == "period" and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return _capitalized(value)


def _web(part: Part) -> Json | None:
    url, path = part.text("url"), part.text("jsonPath").strip().removeprefix("{").removesuffix("}") or "$"
    if part.text("method") not in ("", "GET"):
        part.lost("method", "questions are asked by GET")
    part.all_lost(
        {
            "body": "questions have no body",
            "jsonBody": "questions have no body",
            "timeoutSeconds": _TIMEOUT,
        }
    )
    parts = urlsplit(url.replace("{{", "").replace("}}", "")) if "{{" not in url.split("?")[0] else None
    if parts is None or not parts.netloc:
        part.lost(
            "url", "the address of a metric server is written out; put the path and its parameters into the query"
        )
        return None
    provider: Json = {"type": "web", "address": f"{parts.scheme}://{parts.netloc}"}
    _http(part, provider)
    asked = url.split(parts.netloc, 1)[1] or "/"
    return {"provider": provider, "query": f"{asked}\n{path}"}


def _job(part: Part) -> Json:
    job = {name: part.mapping(name) for name in ("metadata", "spec") if name in part}
    return {"provider": {"type": "job"}, "job": job}


def _kayenta(part: Part) -> None:
    part.source.note(
        part.path,
        "a standalone analysis is asked for, by canaryConfigId; write a MetricTemplate of type kayenta",
        lost=True,
    )


_SERVERS: Final[dict[str, Callable[[Part], Json | None]]] = {
    "prometheus": _prometheus,
    "datadog": _datadog,
    "newRelic": _plain("newrelic"),
    "wavefront": _plain("wavefront"),
    "graphite": _graphite,
    "influxdb": _plain("influxdb"),
    "skywalking": _plain("skywalking"),
    "cloudWatch": _cloudwatch,
    "web": _web,
    "job": _job,
    "kayenta": _kayenta,
}


def texts(value: object) -> Iterator[str]:
    """All texts of a spec."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
