"""What a backtest starts from: one Canary with its MetricTemplates out of files, explained where it can't run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from canary.api.analysis import CompareTo, Metric
from canary.api.canary import Canary, parse_canary
from canary.api.meta import GROUP
from canary.api.metrictemplate import JOB, MetricTemplate, parse_metric_template
from canary.api.problems import InvalidResource, Problem
from canary.cli.failures import CommandError
from canary.cli.rehearse.reading import UnreadableError, documents, text_of, text_of_input
from canary.cli.rehearse.refusals import is_weighted, problems_of
from canary.cli.rehearse.stream import Neighbours, Stream

PROMETHEUS = "prometheus"

_OTHERS = {
    CompareTo.PRIMARY: "the primary's at the time",
    CompareTo.BASELINE: "a baseline's, of which nothing is recorded",
    CompareTo.PREVIOUS: "the time before a rollout",
}
"""What a metric is compared with."""


class InputError(CommandError):
    """What was given can't be used."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rollouts are played.

    Args:
        canary: the Canary.
        provider: its traffic provider: the spec's own, else the one that was given.
        weighted: whether that provider divides requests by weight.
        templates: MetricTemplates by namespace and name.
    """

    canary: Canary
    provider: str
    weighted: bool
    templates: Mapping[tuple[str, str], MetricTemplate]

    def template(self, metric: Metric) -> MetricTemplate | None:
        """The MetricTemplate that a metric names; None where it names none."""
        ref = metric.template_ref
        return None if ref is None else self.templates[ref.namespace or self.canary.namespace, ref.name]

    def kind(self, metric: Metric) -> str:
        """The kind of metrics server that a metric asks."""
        template = self.template(metric)
        return PROMETHEUS if template is None else template.spec.provider.type

    def skipped(self, metric: Metric) -> str:
        """Why a metric is not played; empty where it is."""
        if metric.compare_to is not None:
            return f"it is compared with {_OTHERS[metric.compare_to]}: taken as passing here, see the judge"
        kind = self.kind(metric)
        if kind == JOB:
            return "a Job answers it: taken as passing"
        return "" if kind == PROMETHEUS else f"it asks {kind}, not Prometheus: taken as passing"


def load(files: Iterable[Path], *, name: str, namespace: str, mesh_provider: str) -> Subject:
    """Read the Canary and see that it can run.

    Args:
        files: where it and its MetricTemplates are; `-` is standard input.
        name: which Canary, where there are several; empty for the only one.
        namespace: of resources that name none.
        mesh_provider: traffic provider of a Canary that names none.

    Raises:
        InputError: there is no such Canary, or its spec can't run.
    """
    canaries: list[tuple[str, Canary]] = []
    templates: dict[tuple[str, str], MetricTemplate] = {}
    for path in files:
        where = "standard input" if str(path) == "-" else str(path)
        try:
            text = text_of_input() if str(path) == "-" else text_of(path)
            for place, raw in documents(text, where):
                _take(raw, f"{where}, document {place}", namespace, canaries, templates)
        except UnreadableError as error:
            raise InputError(*str(error).splitlines()) from error
    where, canary = _only(canaries, name)
    provider = canary.spec.provider or mesh_provider
    found = [*problems_of(canary, Neighbours(Stream(()), where, canary), provider), *_untold(canary, templates)]
    if found:
        raise InputError(*(f"{where}: {each}" for each in dict.fromkeys(found)))
    return Subject(canary, provider, is_weighted(canary, provider), templates)


def _take(
    raw: dict[str, object],
    where: str,
    namespace: str,
    canaries: list[tuple[str, Canary]],
    templates: dict[tuple[str, str], MetricTemplate],
) -> None:
    """Keep a document that is a Canary or a MetricTemplate; others may stand beside them."""
    if not str(raw.get("apiVersion", "")).startswith(f"{GROUP}/"):
        return
    metadata = raw.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("namespace"):
        raw = {**raw, "metadata": {**metadata, "namespace": namespace}}
    try:
        if raw.get("kind") == "Canary":
            canaries.append((where, parse_canary(raw)))
        elif raw.get("kind") == "MetricTemplate":
            template = parse_metric_template(raw)
            templates[template.namespace, template.name] = template
    except InvalidResource as error:
        raise InputError(*(f"{where}: {problem}" for problem in error.problems)) from error


def _only(canaries: list[tuple[str, Canary]], name: str) -> tuple[str, Canary]:
    if not canaries:
        raise InputError("there is no Canary in the files; name the file that has it with -f")
    chosen = [each for each in canaries if name in ("", each[1].name)]
    names = ", ".join(sorted(canary.name for _, canary in canaries))
    if not chosen:
        raise InputError(f"there is no Canary {name} in the files, only {names}")
    if len(chosen) > 1:
        raise InputError(f"there are {len(chosen)} Canaries in the files ({names}); choose one with --canary NAME")
    return chosen[0]


def _untold(canary: Canary, templates: Mapping[tuple[str, str], MetricTemplate]) -> Iterable[Problem]:
    """What leaves nothing to look at: no analysis, no metrics, no template, no pods that can be told."""
    if canary.in_place:
        kind = canary.spec.target_ref.kind
        message = f"pods of a {kind} have the same names in every version: no data of the past tells which were new"
        yield Problem("spec.targetRef.kind", message, "try it by canary rehearse")
    if canary.skip_analysis:
        field = "spec.skipAnalysis" if canary.spec.skip_analysis else "spec.analysis"
        yield Problem(field, "new versions are promoted without being judged", "nothing to test; set spec.analysis")
        return
    if not canary.analysis.metrics:
        yield Problem(f"{canary.analysis_field}.metrics", "is empty", "nothing to test; name a metric")
    for index, metric in enumerate(canary.analysis.metrics):
        ref = metric.template_ref
        if ref is not None and (ref.namespace or canary.namespace, ref.name) not in templates:
            where = f"{canary.analysis_field}.metrics[{index}].templateRef"
            message = f"MetricTemplate {ref.name} of namespace {ref.namespace or canary.namespace} is in no file"
            yield Problem(where, message, "name its file too: -f FILE")
