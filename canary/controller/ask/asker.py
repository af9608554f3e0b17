"""Ask the outside world what a decision hangs on: webhooks, metrics, and why pods are not ready."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

import metrics.question
from canary import webhooks
from canary.api.analysis import REQUEST_RATE, Method, Metric
from canary.api.canary import Canary
from canary.api.metrictemplate import JOB, MetricTemplate, parse_metric_template
from canary.api.problems import InvalidResource
from canary.controller.ask import api_server, comparing
from canary.controller.ask.builds import Builds
from canary.controller.ask.gates import Gates
from canary.controller.ask.hooks import Hooks
from canary.controller.ask.jobs import Jobs
from canary.controller.ask.metric_questions import Asking, began_of, question_of, taken_over, window_of
from canary.controller.ask.metric_subjects import Workload, rewrite_for
from canary.controller.ask.pods import pods_of
from canary.controller.ask.secrets import read_secret
from canary.controller.ask.traffic import counts_of, traffic_question
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Terminal
from canary.kube.memo import Memo
from canary.kube.types import METRIC_TEMPLATE
from canary.rollout.facts import (
    Answer,
    BudgetQuestion,
    HookAnswer,
    HookQuestion,
    MetricQuestion,
    PodsAnswer,
    PodsQuestion,
    Question,
    TrafficAnswer,
    TrafficQuestion,
)
from canary.routers.registry import provider_of
from canary.workloads.pods import diagnose
from canary.workloads.registry import target_for
from metrics import counts, templates
from metrics.access.grants import Grants
from metrics.comparison import compare
from metrics.connections import QUESTIONS
from metrics.errors import MisconfiguredError
from metrics.providers import is_in_cluster
from metrics.providers.kubernetes import place_of
from metrics.providers.prometheus import PROMETHEUS
from metrics.read import read
from metrics.reading import Cause, Reading, Unread
from metrics.sampling import sample
from metrics.sharing import Shared
from metrics.versions import Rewrite
from outbound.connections import Connections

_TEMPLATES = 1000
"""MetricTemplates that are kept as they were read."""


@dataclass(frozen=True, slots=True)
class _Unaskable(Exception):  # noqa: N818 - never leaves this module
    """A metric can't be asked for; the reason becomes its verdict."""

    reason: str


def _unasked(error: Exception, interval: timedelta, now: datetime) -> Reading:
    reason = error.reason if isinstance(error, _Unaskable) else str(error)
    return Reading(said=Unread(Cause.MISCONFIGURED, reason), interval=interval, time=now)


class Asker:
    """Asks questions; what goes wrong outside is part of the answer.

    Args:
        client: where Secrets and pods are read.
        caches: where MetricTemplates and targets are known.
        options: the controller's settings.
        hooks: connections for webhooks.
        servers: connections for metrics servers.
        now: the clock.
        builds: asks Jenkins.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        options: Options,
        hooks: Connections,
        servers: Connections,
        now: Callable[[], datetime],
        builds: Builds,
    ) -> None:
        self._client = client
        self._caches = caches
        self._options = options
        self._hooks = Hooks(client, hooks, now)
        self._servers = Shared(servers)
        self._now = now
        self._api = Connections(QUESTIONS, api_server.transport(client))
        self._grants = Grants()
        self._templates: Memo[MetricTemplate] = Memo(_TEMPLATES)
        self._jobs = Jobs(client, caches)
        self._gates = Gates(client, caches, options, builds)

    async def __call__(self, canary: Canary, question: Question) -> Answer:
        """Ask one question."""
        match question:
            case HookQuestion():
                return await self._hook(canary, question)
            case MetricQuestion(index=index, primary=primary):
                return await self._metric(canary, canary.analysis.metrics[index], primary=primary)
            case BudgetQuestion():
                return await self._budget(canary)
            case PodsQuestion(baseline=baseline):
                return await self._pods(canary, baseline=baseline)
            case TrafficQuestion(since=since):
                return await self._traffic(canary, since)
            case _:
                assert_never(question)

    async def _hook(self, canary: Canary, question: HookQuestion) -> HookAnswer:
        hook = canary.analysis.webhooks[question.index]
        if hook.gate is not None:
            return await self._gates.ask(canary, hook, question.run)
        body = webhooks.payload(canary, hook, question.phase, webhooks.checksum(canary))
        outcome = await self._hooks.ask(canary, hook, body, webhooks.message_id(canary, hook, question.look))
        return HookAnswer(isinstance(outcome, webhooks.Approved), outcome.message)

    async def _pods(self, canary: Canary, *, baseline: bool) -> PodsAnswer:
        """Tell why the target's pods are not ready, or those of its baseline.

        Raises:
            Retryable: the API server could not be had: an outage is no reason to give up on them.
        """
        kind = target_for(canary)
        name = canary.baseline_name if baseline else canary.target_name
        target = self._caches.get(kind.resource, canary.namespace, name) if kind else None
        try:
            pods = await pods_of(self._client, kind, target, self._options.rules)
        except Terminal as error:
            return PodsAnswer(f"the pods can't be listed: {error.message}")
        return PodsAnswer(diagnose(pods, target) if pods is not None else "")

    async def _traffic(self, canary: Canary, since: datetime) -> TrafficAnswer:
        now, provider = self._now(), provider_of(canary, self._options.mesh_provider)
        asked = traffic_question(canary, provider, self._options.metrics_server, now - since)
        found = await counts.count(provider, asked, self._servers, now)
        return TrafficAnswer(counts_of(found, asked.interval) if found is not None else None)

    async def _metric(self, canary: Canary, metric: Metric, *, primary: bool) -> Reading:
        now, interval = self._now(), metric.interval
        try:
            if metric.compare_to is not None:
                if metric.method is Method.MANN_WHITNEY:
                    return await self._sampled(canary, metric, now)
                return await self._compared(canary, metric, now, primary=primary)
            interval = window_of(canary, metric, now, primary=primary)
            template = self._template(canary, metric) if metric.template_ref is not None else None
            if template is not None and template.spec.provider.type == JOB:
                said = await self._jobs.run(canary, metric, template, primary=primary)
                return Reading(said=said, interval=interval, time=now)
            windowed = metric.replace(interval=interval) if interval != metric.interval else metric
            question = await self._question(canary, windowed, template, primary=primary)
            counted = windowed.replace(name=REQUEST_RATE) if metric.least_requests else None
            requests = await self._question(canary, counted, None, primary=primary) if counted is not None else None
        except (_Unaskable, MisconfiguredError, templates.TemplateError, InvalidResource, KubeError) as error:
            return _unasked(error, interval, now)
        way = self._api if is_in_cluster(question) else self._servers
        if requests is None:
            return await read(question, way, now, self._grants)
        both = await asyncio.gather(*(read(each, way, now, self._grants) for each in (question, requests)))
        return taken_over(*both)

    async def _budget(self, canary: Canary) -> Reading:
        """Ask for the error budget: it is the service's, and has been before any version was rolled out."""
        now, metric = self._now(), canary.spec.scheduling.budget_metric
        try:
            template = self._template(canary, metric) if metric.template_ref is not None else None
            asked = replace(await self._question(canary, metric, template, primary=False), since=None)
        except (_Unaskable, MisconfiguredError, templates.TemplateError, InvalidResource, KubeError) as error:
            return _unasked(error, metric.interval, now)
        return await read(asked, self._api if is_in_cluster(asked) else self._servers, now, self._grants)

    async def _compared(self, canary: Canary, metric: Metric, now: datetime, *, primary: bool) -> Reading:
        provider = provider_of(canary, self._options.mesh_provider)
        pods, every = self._names_of_pods(canary)
        subject = comparing.subject_of(canary, metric, provider, pods=pods, all_pods=every, primary=primary)
        span = comparing.span_of(canary, metric, now, primary=primary)
        asked = comparing.question_to(canary, metric, self._options.metrics_server)
        return await compare(asked, subject, span, self._servers)

    async def _sampled(self, canary: Canary, metric: Metric, now: datetime) -> Reading:
        rewrite = comparing.to_promoted(canary, metric, self._names_of_pods(canary)[1])
        template = self._template(canary, metric) if metric.template_ref is not None else None
        asked = await self._question(canary, metric, template, primary=False)
        other = await self._question(canary, metric, template, primary=False, rewrite=rewrite)
        if asked.provider != PROMETHEUS.name:
            raise _Unaskable(f"{asked.provider} has no values over a time; take a prometheus, or out method")
        times = comparing.times_of(canary, metric, now)
        return await sample(self._servers, asked, other, times, now)

    async def _question(
        self,
        canary: Canary,
        metric: Metric,
        template: MetricTemplate | None,
        *,
        primary: bool,
        rewrite: Rewrite | None = None,
    ) -> metrics.question.Question:
        asking = Asking(
            provider=provider_of(canary, self._options.mesh_provider),
            server=self._options.metrics_server,
            template=template,
            credentials=await self._credentials(template) if template is not None else {},
            pods=self._names_of_pods(canary)[0],
            rewrite=rewrite or rewrite_for(Workload.PRIMARY if primary else Workload.CANARY, canary),
            since=began_of(canary, primary=primary),
        )
        question = question_of(canary, metric, asking)
        if template is not None and is_in_cluster(question) and not self._options.cross_namespace_refs:
            namespace = place_of(question).namespace
            if namespace != template.namespace:
                reason = f"it asks about namespace {namespace}, and references to other namespaces are switched off"
                raise _Unaskable(reason)
        return question

    def _names_of_pods(self, canary: Canary) -> tuple[str, str]:
        """Regular expressions for the pods of the new version, and of both, where they are named alike."""
        kind = target_for(canary)
        if kind is None or kind.in_place is None:
            return "", ""
        target = self._caches.get(kind.resource, canary.namespace, canary.target_name)
        return (kind.in_place.updated_pods(target), kind.in_place.all_pods(target)) if target is not None else ("", "")

    def _template(self, canary: Canary, metric: Metric) -> MetricTemplate:
        ref = metric.template_ref
        if ref is None:
            raise _Unaskable("it names no MetricTemplate")
        namespace = ref.namespace or canary.namespace
        raw = self._caches.get(METRIC_TEMPLATE, namespace, ref.name)
        if raw is None:
            why = self._caches.why_missing(METRIC_TEMPLATE)
            raise _Unaskable(f"MetricTemplate {ref.name} in {namespace} {why}")
        return self._templates.of((namespace, ref.name), (raw,), lambda: parse_metric_template(raw))

    async def _credentials(self, template: MetricTemplate) -> Mapping[str, str]:
        ref = template.spec.provider.secret_ref
        if ref is None:
            return {}
        return await read_secret(self._client, template.namespace, ref.name)
