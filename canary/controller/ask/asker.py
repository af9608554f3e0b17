"""Ask the outside world what a decision hangs on: webhooks, metrics, and why pods are not ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

import metrics.question
from canary import webhooks
from canary.api.analysis import Metric
from canary.api.canary import Canary
from canary.api.metrictemplate import MetricTemplate, parse_metric_template
from canary.api.problems import InvalidResource
from canary.controller.ask import api_server
from canary.controller.ask.metric_questions import Asking, began_of, question_of, window_of
from canary.controller.ask.metric_subjects import Workload, rewrite_for
from canary.controller.ask.secrets import read_secret
from canary.controller.ask.traffic import compared_since, comparison_question, counts_of, traffic_question
from canary.controller.observe.caches import Caches
from canary.controller.options import Options
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError, Terminal
from canary.kube.types import METRIC_TEMPLATE, POD
from canary.rollout.facts import (
    Answer,
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
from metrics.read import read
from metrics.reading import Cause, Reading, Unread
from outbound.connections import Connections


@dataclass(frozen=True, slots=True)
class _Unaskable(Exception):  # noqa: N818 - never leaves this module
    """A metric can't be asked for; the reason becomes its verdict."""

    reason: str


class Asker:
    """Asks questions; what goes wrong outside is part of the answer.

    Args:
        client: where Secrets and pods are read.
        caches: where MetricTemplates and targets are known.
        options: the controller's settings.
        hooks: connections for webhooks.
        servers: connections for metrics servers.
        now: the clock.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        options: Options,
        hooks: Connections,
        servers: Connections,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._caches = caches
        self._options = options
        self._hooks = hooks
        self._servers = servers
        self._now = now
        self._api = Connections(QUESTIONS, api_server.transport(client))
        self._grants = Grants()

    async def __call__(self, canary: Canary, question: Question) -> Answer:
        """Ask one question."""
        match question:
            case HookQuestion():
                return await self._hook(canary, question)
            case MetricQuestion(index=index, primary=primary):
                return await self._metric(canary, canary.analysis.metrics[index], primary=primary)
            case PodsQuestion():
                return await self._pods(canary)
            case TrafficQuestion(since=since):
                return await self._traffic(canary, since)
            case _:
                assert_never(question)

    async def _hook(self, canary: Canary, question: HookQuestion) -> HookAnswer:
        hook = canary.analysis.webhooks[question.index]
        body = webhooks.payload(canary, hook, question.phase, webhooks.checksum(canary))
        outcome = await webhooks.call(self._hooks, hook, body)
        return HookAnswer(isinstance(outcome, webhooks.Approved), outcome.message)

    async def _pods(self, canary: Canary) -> PodsAnswer:
        """Tell why the target's pods are not ready.

        Raises:
            Retryable: the API server could not be had: an outage is no reason to give up on them.
        """
        kind = target_for(canary)
        target = self._caches.get(kind.resource, canary.namespace, canary.target_name) if kind else None
        label = kind.selector_label(target, self._options.rules) if kind and target else None
        if label is None:
            return PodsAnswer("")
        try:
            pods = await self._client.list(POD, canary.namespace, label_selector=f"{label.key}={label.value}")
        except Terminal as error:
            return PodsAnswer(f"the pods can't be listed: {error.message}")
        return PodsAnswer(diagnose(pods["items"], target))

    async def _traffic(self, canary: Canary, since: datetime) -> TrafficAnswer:
        now, provider = self._now(), provider_of(canary, self._options.mesh_provider)
        asked = traffic_question(canary, provider, self._options.metrics_server, now - since)
        found = await counts.count(provider, asked, self._servers, now)
        return TrafficAnswer(counts_of(found, asked.interval) if found is not None else None)

    async def _metric(self, canary: Canary, metric: Metric, *, primary: bool) -> Reading:
        now, interval = self._now(), metric.interval
        try:
            if metric.compare_to is not None:
                provider, span = provider_of(canary, self._options.mesh_provider), compared_since(canary, now)
                asked = comparison_question(canary, metric, provider, self._options.metrics_server, span)
                return await compare(asked, span, self._servers)
            interval = window_of(canary, metric, now, primary=primary)
            question = await self._question(canary, metric.replace(interval=interval), primary=primary)
        except (_Unaskable, MisconfiguredError, templates.TemplateError, InvalidResource, KubeError) as error:
            reason = error.reason if isinstance(error, _Unaskable) else str(error)
            return Reading(said=Unread(Cause.MISCONFIGURED, reason), interval=interval, time=now)
        way = self._api if is_in_cluster(question) else self._servers
        return await read(question, way, now, self._grants)

    async def _question(self, canary: Canary, metric: Metric, *, primary: bool) -> metrics.question.Question:
        template = self._template(canary, metric) if metric.template_ref is not None else None
        asking = Asking(
            provider=provider_of(canary, self._options.mesh_provider),
            server=self._options.metrics_server,
            template=template,
            credentials=await self._credentials(template) if template is not None else {},
            pods=self._names_of_pods(canary),
            rewrite=rewrite_for(Workload.PRIMARY if primary else Workload.CANARY, canary),
            since=began_of(canary, primary=primary),
        )
        question = question_of(canary, metric, asking)
        if template is not None and is_in_cluster(question) and not self._options.cross_namespace_refs:
            namespace = place_of(question).namespace
            if namespace != template.namespace:
                reason = f"it asks about namespace {namespace}, and references to other namespaces are switched off"
                raise _Unaskable(reason)
        return question

    def _names_of_pods(self, canary: Canary) -> str:
        """A regular expression for the pods of the new version, where they are named alike in both versions."""
        kind = target_for(canary)
        target = self._caches.get(kind.resource, canary.namespace, canary.target_name) if kind else None
        return kind.in_place.updated_pods(target) if kind and kind.in_place and target is not None else ""

    def _template(self, canary: Canary, metric: Metric) -> MetricTemplate:
        ref = metric.template_ref
        if ref is None:
            raise _Unaskable("it names no MetricTemplate")
        namespace = ref.namespace or canary.namespace
        raw = self._caches.get(METRIC_TEMPLATE, namespace, ref.name)
        if raw is None:
            why = self._caches.why_missing(METRIC_TEMPLATE)
            raise _Unaskable(f"MetricTemplate {ref.name} in {namespace} {why}")
        return parse_metric_template(raw)

    async def _credentials(self, template: MetricTemplate) -> Mapping[str, str]:
        ref = template.spec.provider.secret_ref
        if ref is None:
            return {}
        return await read_secret(self._client, template.namespace, ref.name)
