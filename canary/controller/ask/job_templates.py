"""What keeps a MetricTemplate of type job from being run: what can be told of it before an API server is asked."""

from collections.abc import Iterator

from canary.api.metrictemplate import MetricTemplate
from canary.api.problems import Problem
from canary.workloads import job_templates
from canary.workloads.jobs import texts
from metrics import templates


def problems(template: MetricTemplate) -> Iterator[Problem]:
    """What is wrong with it."""
    yield from _of_others(template)
    job = template.spec.job
    if job is None:
        yield Problem("spec.job", "is missing", "set it, with spec.template as a Job has it")
        return
    yield from job_templates.problems("spec.job", job)
    for field, text in texts(job, "spec.job"):
        try:
            if "{{" in text:
                templates.check(text)
        except templates.TemplateError as error:
            yield Problem(field, str(error), 'correct it; two braces that stand for themselves are {{ "{{" }}')


def _of_others(template: MetricTemplate) -> Iterator[Problem]:
    """Fields that say how a server is asked."""
    spec, provider = template.spec, template.spec.provider
    given = {
        "query": spec.query,
        "provider.address": provider.address,
        "provider.headers": provider.headers,
        "provider.secretRef": provider.secret_ref,
        "provider.region": provider.region,
        "provider.insecureSkipVerify": provider.insecure_skip_verify,
    }
    for field, value in given.items():
        if value:
            yield Problem(f"spec.{field}", "a Job is run, and no server asked", "take it out")
