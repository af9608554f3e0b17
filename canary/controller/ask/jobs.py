"""Jobs that answer for a metric: started where there is none yet, and looked at through the watch."""

from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.api.metrictemplate import MetricTemplate
from canary.controller.ask.metric_questions import model_of
from canary.controller.ask.runs import Runs, not_ours
from canary.controller.observe.caches import Caches
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, KubeError, Retryable
from canary.kube.types import JOB, POD, Json
from canary.rollout.moments import moment
from canary.workloads import jobs
from metrics import templates
from metrics.answers import of_series
from metrics.reading import Cause, Ran, Run, Said, Unread

RIGHTS = "; the component jobs gives the controller the rights to Jobs"


def job_for(canary: Canary, metric: Metric, template: MetricTemplate, *, primary: bool = False) -> Json:
    """The Job of a metric at this moment of the rollout.

    Args:
        canary: the Canary, with the status that is stored.
        metric: the metric.
        template: the MetricTemplate that it names.
        primary: whether the promoted version is looked at, not the canary.

    Raises:
        TemplateError: the template can't be filled in.
    """
    model, at = model_of(canary, metric), moment(canary, primary=primary)
    name, spec = jobs.name_for(canary, metric.name, at), template.spec.job or {}
    longest = canary.progress_deadline
    return jobs.job_of(canary, name, at, spec, lambda text: templates.render(text, model), longest=longest)


class Jobs:
    """Starts Jobs and says how they ended.

    Args:
        client: where they are made, and their pods are read.
        caches: where they are seen.
    """

    def __init__(self, client: KubeClient, caches: Caches) -> None:
        self._runs = Runs(client, caches)

    async def run(self, canary: Canary, metric: Metric, template: MetricTemplate, *, primary: bool) -> Said:
        """What the Job of a metric says at this moment of the rollout; where there is none, it is started.

        Args:
            canary: the Canary, with the status that is stored.
            metric: the metric.
            template: the MetricTemplate that it names.
            primary: whether the promoted version is looked at, not the canary.

        Raises:
            TemplateError: the template can't be filled in.
            Retryable: the API server could not be had.
        """
        wanted = job_for(canary, metric, template, primary=primary)
        try:
            job = await self._runs.there(JOB, wanted)
            if words := not_ours(job, canary):
                return Unread(Cause.MISCONFIGURED, words)
            return _said(jobs.result_of(job, await self._runs.parts(job, POD, jobs.POD_LABEL)))
        except Retryable:
            raise
        except KubeError as error:
            forbidden = isinstance(error, Forbidden)
            cause = Cause.UNAUTHORIZED if forbidden else Cause.MISCONFIGURED
            return Unread(cause, f"the API server refuses the Job: {error.message}{RIGHTS if forbidden else ''}")


def _said(result: jobs.Result) -> Said:
    match result.state:
        case jobs.State.STUCK:
            return Unread(Cause.MISCONFIGURED, result.words)
        case jobs.State.PASSED if result.numbers:
            return of_series(result.numbers, len(result.numbers), empty=f"{result.words}, and printed no number (NaN)")
        case jobs.State.PASSED:
            return Run(Ran.PASSED, result.words)
        case jobs.State.FAILED:
            return Run(Ran.FAILED, result.words)
        case jobs.State.PENDING:
            return Run(Ran.PENDING, result.words)
