"""What keeps the MetricTemplates that a Canary names from being asked."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from canary.api.addresses import is_header_value, is_web_address
from canary.api.analysis import Method
from canary.api.canary import Canary
from canary.api.meta import NamespacedName
from canary.api.metrictemplate import JOB, MetricProvider, MetricTemplate, parse_metric_template
from canary.api.problems import InvalidResource, Problem
from canary.controller.ask import job_templates
from canary.controller.ask.metric_questions import STRAYS, strays
from canary.controller.lookup import Found, Gap
from metrics.providers import PROVIDERS, SUPPORTED
from outbound.message import OF_THE_CONNECTION

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
"""A header's name (RFC 9110)."""

PROMETHEUS = "prometheus"

Find = Callable[[str, str], Found]
"""A MetricTemplate by namespace and name."""


def places(canary: Canary) -> list[tuple[str, str]]:
    """Namespace and name of each MetricTemplate that a Canary names."""
    budget = canary.spec.scheduling.error_budget
    refs = [metric.template_ref for metric in canary.analysis.metrics]
    refs += [budget.template_ref] if budget is not None else []
    return [(ref.namespace or canary.namespace, ref.name) for ref in refs if ref is not None]


def problems(canary: Canary, find: Find, *, cross_namespace: bool) -> Iterator[Problem]:
    """What is wrong with the templates that the metrics of a spec name, where they are asked.

    Args:
        canary: the Canary.
        find: finds a MetricTemplate.
        cross_namespace: whether those of other namespaces may be named.
    """
    for index, metric in enumerate(() if canary.skip_analysis else canary.analysis.metrics):
        if metric.template_ref is not None:
            field = f"{canary.analysis_field}.metrics[{index}].templateRef"
            yield from _of_reference(canary, field, metric.template_ref, find, cross_namespace=cross_namespace)
            if metric.compare_to is not None and metric.method is Method.MANN_WHITNEY:
                yield from _without_history(canary, field, metric.template_ref, find)


def budget_problems(canary: Canary, find: Find, *, cross_namespace: bool) -> Iterator[Problem]:
    """What is wrong with the template of an error budget; the arguments are those of `problems`."""
    budget, field = canary.spec.scheduling.error_budget, "spec.scheduling.errorBudget.templateRef"
    if budget is None or budget.template_ref is None:
        return
    ref = budget.template_ref
    yield from _of_reference(canary, field, ref, find, cross_namespace=cross_namespace)
    raw = find(ref.namespace or canary.namespace, ref.name)
    with suppress(InvalidResource):
        if isinstance(raw, dict) and parse_metric_template(raw).spec.provider.type == JOB:
            message = f"MetricTemplate {ref.name} is answered by a Job, which judges one version"
            yield Problem(field, message, "name one that asks a metrics server")


def _of_reference(
    canary: Canary, field: str, ref: NamespacedName, find: Find, *, cross_namespace: bool
) -> Iterator[Problem]:
    namespace = ref.namespace or canary.namespace
    if namespace != canary.namespace and not cross_namespace:
        message = f"it names namespace {namespace}, and references to other namespaces are switched off"
        yield Problem(field, message, "name a MetricTemplate of the Canary's own namespace")
        return
    raw = find(namespace, ref.name)
    if isinstance(raw, Gap):
        return
    if raw is None:
        message = f"MetricTemplate {ref.name} does not exist in {namespace}"
        yield Problem(field, message, "create it, or correct its name")
        return
    try:
        template = parse_metric_template(raw)
        found = list(of_template(template))
        if strays(canary, template):
            message = (
                f"the Secret and headers of MetricTemplate {ref.name} in {namespace} would go to spec.metricsServer"
            )
            yield Problem(field, message, STRAYS)
    except InvalidResource as error:
        found = list(error.problems)
    for each in found:
        yield Problem(field, f"MetricTemplate {ref.name} in {namespace}: {each.field}: {each.message}", each.remedy)


def _without_history(canary: Canary, field: str, ref: NamespacedName, find: Find) -> Iterator[Problem]:
    raw = find(ref.namespace or canary.namespace, ref.name)
    try:
        kind = PROMETHEUS if raw is None or isinstance(raw, Gap) else parse_metric_template(raw).spec.provider.type
    except InvalidResource:
        return  # said already
    if kind != PROMETHEUS:
        message = f"MetricTemplate {ref.name} asks {kind}, which is not asked for values over a time"
        yield Problem(field, message, "name one of type prometheus, or take compareTo and method out")


def of_template(template: MetricTemplate) -> Iterator[Problem]:
    """What is wrong with a template, whoever names it."""
    provider = template.spec.provider
    if provider.type == JOB:
        yield from job_templates.problems(template)
        return
    if template.spec.job is not None:
        yield Problem("spec.job", f"{provider.type} runs none", "take it out, or write provider.type: job")
    if not template.spec.query:
        yield Problem("spec.query", "is missing", "set spec.query")
    if provider.type not in SUPPORTED:
        remedy = f"write one of {', '.join(sorted((*SUPPORTED, JOB)))}"
        yield Problem("spec.provider.type", f"{provider.type} can't be asked", remedy)
    else:
        yield from _of_region(provider)
    if provider.address and not is_web_address(provider.address):
        # It may hold a password.
        yield Problem("spec.provider.address", "is no address", "write one such as http://prometheus:9090")
    for name, values in provider.headers.items():
        if not (_NAME.fullmatch(name) and all(map(is_header_value, values))):
            message = "holds characters that no header can carry"
            yield Problem(f"spec.provider.headers.{name}", message, "write printable ASCII, on one line")
        elif name.lower() in OF_THE_CONNECTION:
            message = "belongs to the connection, which others use, too"
            yield Problem(f"spec.provider.headers.{name}", message, "take it out")


def _of_region(provider: MetricProvider) -> Iterator[Problem]:
    from metrics.providers.base import Regions  # noqa: PLC0415 - many controllers know no MetricTemplate

    regions = PROVIDERS[provider.type].regions
    if provider.region and regions is Regions.NONE:
        yield Problem("spec.provider.region", f"{provider.type} has no regions", "take it out")
    if not provider.region and regions is Regions.NEEDED:
        yield Problem("spec.provider.region", f"{provider.type} needs one", "write one such as eu-west-1")
