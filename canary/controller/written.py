"""What is wrong with one object of this group as it is written, whatever stands beside it.

Pure: for whoever looks at objects before they are applied.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from canary.alerts.problems import of_provider
from canary.api.alertprovider import parse_alert_provider
from canary.api.canary import Canary
from canary.api.metrictemplate import JOB, parse_metric_template
from canary.api.problems import InvalidResource, Problem
from canary.controller.ask.jobs import job_for
from canary.controller.ask.metric_questions import Asking, question_of
from canary.controller.ask.metric_templates import of_template
from canary.controller.lookup import Lookup
from canary.kube.types import METRIC_TEMPLATE, Json
from metrics import templates
from metrics.errors import MisconfiguredError
from metrics.templates import TemplateError

HELD_BY_IT: Final = "mend it, as every rollout would be held"
"""What is to be done about a metric that can't be asked for."""


def of_alert_provider(raw: Json) -> Iterator[Problem]:
    """What is wrong with an AlertProvider, whatever its Secret holds."""
    try:
        yield from of_provider(parse_alert_provider(raw))
    except InvalidResource as error:
        yield from error.problems


def of_metric_template(raw: Json) -> Iterator[Problem]:
    """What is wrong with a MetricTemplate, whoever names it."""
    try:
        template = parse_metric_template(raw)
        yield from of_template(template)
        yield from _of_query(template.spec.query)
    except InvalidResource as error:
        yield from error.problems


def _of_query(query: str) -> Iterator[Problem]:
    try:
        templates.check(query)
    except TemplateError as error:
        yield Problem("spec.query", str(error), "mend the template")


def unaskable(canary: Canary, beside: Lookup, provider: str) -> Mapping[str, str]:
    """The metrics that the controller could not ask for, by name, with the reason; it would hold at each of them.

    A MetricTemplate that nobody can look at is taken to be there, and to be good.

    Args:
        canary: the Canary.
        beside: what there is around it.
        provider: the traffic provider in force; empty where it is not known.
    """
    found: dict[str, str] = {}
    for metric in () if canary.skip_analysis else canary.analysis.metrics:
        ref, template = metric.template_ref, None
        if ref is not None:
            raw = beside.find(METRIC_TEMPLATE, ref.namespace or canary.namespace, ref.name)
            template = parse_metric_template(raw) if isinstance(raw, dict) else None
        if (ref is not None and template is None) or (metric.is_built_in and not provider):
            continue
        try:
            if template is not None and template.spec.provider.type == JOB:
                job_for(canary, metric, template)
            else:
                question_of(canary, metric, Asking(provider=provider, server="http://prometheus", template=template))
        except (MisconfiguredError, TemplateError) as error:
            found[metric.name] = str(error)
    return found
