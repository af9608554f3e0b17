"""AnalysisTemplates, as the metrics of an analysis and the MetricTemplates that they name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from canary.api.durations import parse_duration
from canary.api.meta import API_VERSION
from canary.cli.convert.conditions import passing
from canary.cli.convert.fields import Part, Source
from canary.cli.convert.servers import server_of, texts
from canary.kube.types import METRIC_TEMPLATE, Json, mapping

TEMPLATES: Final = ("AnalysisTemplate", "ClusterAnalysisTemplate")

_ARGUMENT: Final = re.compile(r"\{\{\s*args\.([-\w]+)\s*\}\}")
_NO_NAME: Final = re.compile("[^a-z0-9-]+")
_LONGEST: Final = 253
_DEEPEST: Final = 20
"""Templates within templates: more of them name each other."""

_FIELDS: Final = {"metadata.name": "{{ target }}", "metadata.namespace": "{{ namespace }}"}
_LABEL: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


@dataclass(slots=True)
class Measures:
    """The metrics of one Rollout.

    Args:
        rollout: the Rollout.
        templates: the templates of all files.
        metrics: the metrics of the analysis.
        made: the MetricTemplates, by name.
        counts: how often each is measured, where that is said.
    """

    rollout: Source
    templates: Sequence[Source]
    metrics: list[Json] = field(default_factory=list)
    made: dict[str, Json] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)

    def add(self, analysis: Part) -> list[Json]:
        """The metrics of an analysis of the Rollout, which are looked at at every step."""
        arguments = dict(self._arguments(analysis))
        dry = [each.text("metricName") for each in analysis.parts("dryRun")]
        analysis.all_lost(
            {
                "measurementRetention": "the status keeps the last verdict of each check",
                "analysisRunMetadata": "no object is made for an analysis",
            }
        )
        return [each for ref in analysis.parts("templates") for each in self._of(ref, arguments, dry, 0)]

    def _arguments(self, analysis: Part) -> Iterator[tuple[str, str]]:
        for each in analysis.parts("args"):
            name, value_from = each.text("name"), each.part("valueFrom")
            path = value_from.part("fieldRef").text("fieldPath")
            if "value" in each:
                yield name, each.text("value")
            elif path in _FIELDS:
                yield name, _FIELDS[path]
            elif found := _LABEL.fullmatch(path):
                yield name, str(mapping(self.rollout.metadata.get(found[1])).get(found[2], ""))
            elif "podTemplateHashValue" in value_from:
                value_from.lost("podTemplateHashValue", "name the canary's pods by {{ pods }} in the query")
                yield name, ""
            else:
                each.lost("valueFrom", "its value is not known before; write it out")
                yield name, ""

    def _of(self, ref: Part, arguments: Mapping[str, str], dry: Sequence[str], depth: int) -> Iterator[Json]:
        name, cluster = ref.text("templateName"), ref.take("clusterScope") is True
        kind = TEMPLATES[cluster]
        places = ("",) if cluster else (self.rollout.namespace, "")
        found = [each for each in self.templates if (each.kind, each.name) == (kind, name)]
        template = next((each for place in places for each in found if each.namespace in (place, "")), None)
        if template is None or depth > _DEEPEST:
            ref.lost("templateName", f"{kind} {name} is in none of the files; give the file that it is in, too")
            return
        spec = template.spec
        known = {**dict(self._defaults(spec)), **arguments}
        dry = [*dry, *(each.text("metricName") for each in spec.parts("dryRun"))]
        spec.lost("measurementRetention", "the status keeps the last verdict of each check")
        for inner in spec.parts("templates"):
            yield from self._of(inner, known, dry, depth + 1)
        for metric in spec.parts("metrics"):
            made = self._metric(template, metric, known, dry)
            if made is not None:
                yield made

    def _defaults(self, spec: Part) -> Iterator[tuple[str, str]]:
        for each in spec.parts("args"):
            name = each.text("name")
            if "value" in each:
                yield name, each.text("value")
            elif "valueFrom" in each:
                each.lost(
                    "valueFrom", "no query is told what a Secret says; name the Secret by spec.provider.secretRef"
                )

    def _metric(self, template: Source, metric: Part, known: Mapping[str, str], dry: Sequence[str]) -> Json | None:
        """A metric, added to those of the analysis; None where its server has no counterpart."""
        called = metric.text("name")
        spec = server_of(metric.part("provider"))
        made = self._looked_at(metric, is_job=mapping(spec).get("job") is not None)
        if spec is None:
            return None
        name = _name(f"{template.name}-{called}")
        asked = {key: value for key, value in spec.items() if key != "provider"}
        used = sorted({each for text in texts(asked) for each in _ARGUMENT.findall(text)})
        spec = {**_filled(spec, known), "provider": _written_out(spec["provider"], known)}
        self.made[name] = {
            "apiVersion": API_VERSION,
            "kind": METRIC_TEMPLATE.kind,
            "metadata": {"name": name} | ({"namespace": self.rollout.namespace} if self.rollout.namespace else {}),
            "spec": spec,
        }
        made = {"name": self._free(called, name), "templateRef": {"name": name}, **made}
        for each in used:
            if each not in known:
                metric.source.note(metric.path, f"nothing says what args.{each} is; it is empty", lost=True)
        if values := {_variable(each): known.get(each, "") for each in used if "{{" not in known.get(each, "")}:
            made["templateVariables"] = values
        if any(_matches(each, called) for each in dry):
            made["dryRun"] = True
        if "dryRun" in made:
            made.pop("failureLimit", None)  # nothing follows from it
        if made not in self.metrics:
            self.metrics.append(made)
        return made

    def _free(self, called: str, name: str) -> str:
        same = [each for each in self.metrics if each["name"] == called and each["templateRef"]["name"] != name]
        return name if same else called

    def _looked_at(self, metric: Part, *, is_job: bool) -> Json:
        """When it is looked at, and which values pass."""
        made: Json = {"interval": _duration(metric, "interval") or "1m"}
        if delay := _duration(metric, "initialDelay"):
            made["initialDelay"] = delay
        count = metric.number("count")
        if count:
            self.counts.append(count)
        limit = metric.text("failureLimit") or "0"
        if limit.isascii() and limit.isdigit():
            made["failureLimit"] = min(int(limit), 10_000)
        elif limit != "-1":
            metric.lost("failureLimit", "it is no number; write it out")
        metric.all_lost({"consecutiveSuccessLimit": "a metric is looked at until the analysis ends"})
        metric.differs("count", "it is looked at at every step")
        metric.differs("inconclusiveLimit", "what neither passes nor fails there is a failed check")
        metric.differs("consecutiveErrorLimit", "a server that does not answer holds the rollout; see unavailable")
        if is_job:
            for name in ("successCondition", "failureCondition"):
                metric.differs(name, "of a Job counts how it ends")
            return made
        return made | self._range(metric)

    def _range(self, metric: Part) -> Json:
        success, failure = metric.text("successCondition"), metric.text("failureCondition")
        found = passing(success, failure)
        name = "successCondition" if success else "failureCondition"
        if found is None:
            why = f"{success or failure!r} is no range of values; it is shown and decides nothing (dryRun)"
            if success or failure:
                metric.lost(name, why)
            else:
                metric.source.note(
                    metric.path, "it has no condition; it is shown and decides nothing (dryRun)", lost=False
                )
            return {"dryRun": True}
        if found.is_open:
            metric.differs(name, f"{success or failure}: the limit itself passes, too")
        if success and failure:
            metric.differs("failureCondition", "what does not pass is a failed check; nothing is inconclusive")
        limits = {key: value for key, value in (("min", found.least), ("max", found.most)) if value is not None}
        return {"thresholdRange": limits} | ({"noData": "Pass"} if found.empty_passes else {})


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return pattern == name


def _duration(metric: Part, name: str) -> str:
    """A duration that can be read; empty for any other, which is told."""
    text = metric.text(name)
    try:
        if not text or parse_duration(text).total_seconds() <= 0:
            return ""
    except ValueError:
        metric.lost(name, f"{text!r} is no duration; write it out")
        return ""
    return text


def _name(text: str) -> str:
    return _NO_NAME.sub("-", text.lower()).strip("-")[:_LONGEST].rstrip("-") or "metric"


def _variable(name: str) -> str:
    return name.replace("-", "_")


def _filled(value: Json, known: Mapping[str, str]) -> Json:
    """With the names that queries have in place of arguments."""

    def fill(each: object) -> object:
        if isinstance(each, str):
            return _ARGUMENT.sub(lambda found: _in_query(found[1], known), each)
        if isinstance(each, dict):
            return {name: fill(inner) for name, inner in each.items()}
        return [fill(inner) for inner in each] if isinstance(each, list) else each

    return {name: fill(inner) for name, inner in value.items()}


def _in_query(name: str, known: Mapping[str, str]) -> str:
    value = known.get(name, "")
    return value if "{{" in value else f"{{{{ variables.{_variable(name)} }}}}"


def _written_out(provider: Json, known: Mapping[str, str]) -> Json:
    """The server, which no variables are filled into."""
    return {
        name: _ARGUMENT.sub(lambda found: known.get(found[1], ""), each) if isinstance(each, str) else each
        for name, each in provider.items()
    }
