"""What a Canary's metric asks, as a question ready for a metrics server: pure, for the loop and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.api.durations import duration_text
from canary.api.metrictemplate import MetricTemplate
from metrics import builtin, templates
from metrics.errors import MisconfiguredError
from metrics.question import Number, Question
from metrics.reading import Reading, Unread
from metrics.threshold import UNITS, Series, Threshold
from metrics.versions import Rewrite

STRAYS = "set the address in the MetricTemplate, beside them, or take metricsServer out"
"""The remedy where they would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a question is made of beside the Canary and its metric.

    Args:
        provider: the traffic provider in force: the spec's own, else the controller's.
        server: address of the Prometheus that is asked where neither the spec nor a template names one.
        template: the MetricTemplate that the metric names; None where it names none.
        credentials: keys and values of the Secret that the template names.
        pods: a regular expression for the names of the new version's pods; empty where they are named after the target.
        rewrite: changes the query before it is filled in; None leaves it as it is.
        since: what was measured before is about another version; None where that isn't known.
    """

    provider: str
    server: str
    template: MetricTemplate | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    pods: str = ""
    rewrite: Rewrite | None = None
    since: datetime | None = None


def question_of(canary: Canary, metric: Metric, asking: Asking) -> Question:
    """The question behind one metric of a Canary.

    Raises:
        MisconfiguredError: there is no such built-in metric for the traffic provider, or a Secret would stray.
        TemplateError: the query can't be filled in.
    """
    limits = Threshold(metric.limits.min, metric.limits.max)
    if asking.template is not None:
        return _templated(canary, metric, asking, asking.template, limits)
    return Question(
        name=metric.name,
        query=_query(canary, metric, asking),
        threshold=limits,
        interval=metric.interval,
        since=asking.since,
        unit=UNITS.get(metric.name, ""),
        address=canary.spec.metrics_server or asking.server,
        series=() if metric.query else builtin.series_of(metric.name, asking.provider),
        counts=Series(metric.series.value),
    )


def began_of(canary: Canary, *, primary: bool = False) -> datetime | None:
    """Since when what is measured is about the version that is judged: its first step, or its promotion."""
    status = canary.status
    if primary:
        return status.bake.start_time if status.bake is not None else None
    return status.analysis_start_time


def window_of(canary: Canary, metric: Metric, now: datetime, *, primary: bool = False) -> timedelta:
    """The time that a metric is asked about: the spec's, but never from before the rollout's first step.

    What was counted before is about other versions: a bad one would pass by the answers of a good one that was
    rolled out just before it, and a good one fail by those of a bad one. In whole seconds, one at least.

    Args:
        canary: the Canary.
        metric: its metric.
        now: the time.
        primary: whether the promoted version is asked about, which is what it is from its promotion on.
    """
    began = began_of(canary, primary=primary)
    if began is None:
        return metric.interval
    return min(metric.interval, timedelta(seconds=max(1, ceil((now - began).total_seconds()))))


def taken_over(reading: Reading, rate: Reading) -> Reading:
    """What was said of a metric, with the number of requests that it was taken over.

    Args:
        reading: what was said of it.
        rate: what was said of the requests a second, over the same time.
    """
    match rate.said:
        case Unread():
            return replace(reading, said=rate.said)
        case Number(value):
            return replace(reading, requests=value * reading.interval.total_seconds())
    return replace(reading, requests=0.0)


def model_of(canary: Canary, metric: Metric, pods: str = "") -> templates.Model:
    """What the query of a metric is told about its Canary.

    Args:
        canary: the Canary.
        metric: the metric.
        pods: see `Asking`.
    """
    spec = canary.spec
    return templates.Model(
        name=canary.name,
        namespace=canary.namespace,
        target=canary.target_name,
        service=canary.service_name,
        ingress=spec.ingress_ref.name if spec.ingress_ref else canary.target_name,
        route=_route_of(canary),
        interval=duration_text(metric.interval),
        variables=metric.template_variables,
        pods=pods,
        ports=ports_of(canary),
        kind=spec.target_ref.kind,
    )


def _route_of(canary: Canary) -> str:
    """The name of its route; of a Knative Service that of the Revision, or of all of them where none is known."""
    if canary.targets_knative:
        return canary.status.last_applied_spec or f"{canary.target_name}-[0-9]+"
    return canary.spec.route_ref.name if canary.spec.route_ref else canary.target_name


def ports_of(canary: Canary) -> str:
    """A regular expression for the ports of the Services, by number and by name."""
    names = {name for port in canary.spec.service.all_ports for name in (str(port.port), port.name) if name}
    return f"({'|'.join(sorted(names))})"


def _query(canary: Canary, metric: Metric, asking: Asking) -> str:
    model = model_of(canary, metric, asking.pods)
    if metric.query:
        return _filled(metric.query, model, asking)
    template = builtin.template_of(metric.name, asking.provider)
    return _filled(template, builtin.model_for(asking.provider, model), asking)


def _filled(text: str, model: templates.Model, asking: Asking) -> str:
    if asking.rewrite is not None:
        text, model = asking.rewrite(text, model)
    return templates.render(text, model)


def strays(canary: Canary, template: MetricTemplate) -> bool:
    """Whether what lets a template in would go to the address of a Canary, which its author may choose.

    Secrets and headers go only where the template says, or the controller's own flag: whoever writes a Canary need not
    be whoever may read the Secret.
    """
    provider = template.spec.provider
    secrets = provider.secret_ref is not None or any(provider.headers.values())
    return provider.type == "prometheus" and not provider.address and bool(canary.spec.metrics_server) and secrets


def _templated(canary: Canary, metric: Metric, asking: Asking, template: MetricTemplate, limits: Threshold) -> Question:
    if strays(canary, template):
        msg = f"the Secret and headers of MetricTemplate {template.name} don't go to spec.metricsServer; {STRAYS}"
        raise MisconfiguredError(msg)
    provider = template.spec.provider
    prometheus = canary.spec.metrics_server or asking.server
    return Question(
        name=metric.name,
        query=_filled(template.spec.query, model_of(canary, metric, asking.pods), asking),
        threshold=limits,
        interval=metric.interval,
        since=asking.since,
        provider=provider.type,
        address=provider.address or (prometheus if provider.type == "prometheus" else ""),
        credentials=asking.credentials,
        headers=tuple((name, value) for name, values in provider.headers.items() for value in values),
        insecure=provider.insecure_skip_verify,
        region=provider.region,
        counts=Series(metric.series.value),
    )


def is_countable(canary: Canary, provider: str) -> bool:
    """Whether the requests of each version are counted, and the Canary says whom to ask for them.

    It does so by naming a metrics server, or a metric that the controller's own is asked for. Of routes that belong to
    others, rules may lead to one version alone: their requests have no weight.
    """
    if canary.spec.route_refs:
        return False
    asked = any(each.is_built_in or each.query for each in canary.analysis.metrics)
    return bool(canary.spec.metrics_server or asked) and bool(builtin.counted(provider))
