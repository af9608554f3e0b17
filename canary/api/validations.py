"""CEL rules: what can be said about one object when it is applied, each with the field and the remedy.

They refuse only what `rules.py` refuses too. They do without optional types and `fieldPath`, so that API servers
from 1.25 on take them.
"""

from typing import Final

from canary.api.fleet_traffic import KINDS as KINDS_BETWEEN_CLUSTERS
from canary.api.fleet_traffic import WHOLE
from canary.api.gates import MEMBERS
from canary.api.meta import JsonObject
from canary.api.requirements import REQUIREMENTS, Requirement
from canary.api.steps import KINDS

_KNATIVE = "(self.targetRef.kind == 'Service' && self.targetRef.apiVersion.startsWith('serving.knative.dev/'))"
_IN_PLACE = "(self.targetRef.kind == 'StatefulSet')"
_SKIPPED = "(has(self.skipAnalysis) && self.skipAnalysis)"


def _rule(rule: str, message: str) -> JsonObject:
    return {"rule": rule, "message": message}


def _positive(where: str, field: str) -> str:
    return f"(has({where}.{field}) && {where}.{field} > 0)"


def _filled(where: str, field: str) -> str:
    return f"(has({where}.{field}) && size({where}.{field}) > 0)"


def _moves_traffic(name: str) -> JsonObject:
    where = f"self.{name}"
    steps = (
        *(_positive(where, each) for each in ("stepWeight", "iterations")),
        *(_filled(where, each) for each in ("stepWeights", "steps")),
    )
    return _rule(
        f"{_SKIPPED} || {_IN_PLACE} || !has({where}) || {' || '.join(steps)}",
        f"spec.{name}.stepWeight is missing, so that no request would ever reach the canary; set stepWeight "
        "(such as 10) or stepWeights, or for blue/green and A/B iterations",
    )


def _needed(by: Requirement) -> JsonObject:
    met = f"{_filled('self', 'routeRefs')} || ({by.cel})"
    return _rule(f"!has(self.provider) || !({by.concerns}) || {met}", f"spec.{by.field} is missing; {by.remedy}")


_SPEC = [
    _rule(
        f"has(self.analysis) || has(self.canaryAnalysis) || {_SKIPPED}",
        "spec.analysis is missing; set it, with interval, threshold and stepWeight",
    ),
    _moves_traffic("analysis"),
    _moves_traffic("canaryAnalysis"),
    _rule(
        f"has(self.service) || {_KNATIVE} || {_IN_PLACE}",
        "spec.service is missing; set it, with the port that users call",
    ),
    _rule(
        f"!has(self.provider) || (self.provider == 'knative') == {_KNATIVE}",
        "spec.provider knative and a spec.targetRef of kind Service in serving.knative.dev/v1 go together; "
        "set both or neither",
    ),
    _rule(
        f"!has(self.autoscalerRef) || !{_KNATIVE}",
        "spec.autoscalerRef can't be used, as Knative scales its Services by itself; take it out",
    ),
    _rule(
        f"!{_IN_PLACE} || !has(self.service)",
        "spec.service can't be used, as the Services of a StatefulSet are their author's; take it out",
    ),
    _rule(
        f"!{_IN_PLACE} || !has(self.provider) || self.provider == 'kubernetes'",
        "spec.provider can't divide requests between the pods of one StatefulSet; take it out",
    ),
    _rule(
        f"!{_IN_PLACE} || !has(self.autoscalerRef)",
        "spec.autoscalerRef can't be used, as an autoscaler of a StatefulSet goes on scaling it; take it out",
    ),
    *map(_needed, REQUIREMENTS),
]

_ANALYSIS = [
    _rule(
        " + ".join(
            f"({each} ? 1 : 0)"
            for each in (
                _positive("self", "stepWeight"),
                _filled("self", "stepWeights"),
            )
        )
        + " <= 1",
        "stepWeight and stepWeights exclude each other; keep one of them",
    ),
]

_KINDS = " + ".join(f"(has(self.{each}) ? 1 : 0)" for each in KINDS)

_STEP = [_rule(f"{_KINDS} == 1", f"a step is one thing; write exactly one of {', '.join(KINDS)}")]

_SCALE = [
    _rule(
        "(has(self.replicas) ? 1 : 0) + (has(self.weight) ? 1 : 0)"
        " + (has(self.matchTraffic) && self.matchTraffic ? 1 : 0) == 1",
        "scale says one number of pods; write exactly one of replicas, weight and matchTraffic",
    ),
]

_STEP_WEIGHTS = [
    _rule(
        "self.isSorted() && self.all(each, self.exists_one(other, other == each))",
        "stepWeights must grow from step to step; write such as [5, 10, 25, 50]",
    ),
]

_OWN_QUERY = f"has(self.templateRef) || {_filled('self', 'query')}"

_BY_VALUES = "(has(self.method) && self.method == 'mannWhitney')"

_METRIC = [
    _rule(
        f"{_OWN_QUERY} || self.name in ['request-success-rate', 'request-duration', 'request-rate']",
        "name is no metric that is built in; write request-success-rate, request-duration or request-rate, "
        "or set templateRef",
    ),
    _rule(
        f"{_OWN_QUERY} || has(self.threshold) || has(self.thresholdRange) || has(self.compareTo)",
        "thresholdRange is missing; set it, such as {min: 99} or {max: 500}",
    ),
    _rule(
        f"!has(self.compareTo) || {_BY_VALUES} "
        f"|| (self.name in ['request-success-rate', 'request-duration'] && !({_OWN_QUERY}))",
        "compareTo goes with the built-in request-success-rate and request-duration alone; take it out, "
        "or set method: mannWhitney",
    ),
    _rule(
        "!has(self.compareTo) || !(has(self.threshold) || (has(self.thresholdRange) "
        "&& (self.name != 'request-duration' || has(self.thresholdRange.min))))",
        "of thresholdRange and threshold only thresholdRange.max of request-duration goes with compareTo, "
        "which judges by the primary; take them out",
    ),
]

_RANGE = [
    _rule(
        "!has(self.min) || !has(self.max) || self.min <= self.max",
        "thresholdRange.min is more than max; write min that is at most max",
    ),
]

_WEBHOOK = [
    _rule(
        "has(self.url) != has(self.gate)",
        "exactly one of url and gate says who answers; set one of them, and take the other out",
    ),
    _rule(
        "!has(self.url) || (isURL(self.url) && url(self.url).getScheme() in ['http', 'https'])",
        "url is no address; write one such as http://loadtester.test/",
    ),
    _rule(
        "!has(self.gate) || !has(self.type) || !(self.type in ['rollback', 'post-rollout', 'event'])",
        "a gate is no webhook of the type rollback, post-rollout or event; set url, or another type",
    ),
]

_MEMBERS = " + ".join(f"(has(self.{each}) ? 1 : 0)" for each in MEMBERS)

_GATE = [
    _rule(f"{_MEMBERS} == 1", "gate has exactly one field, which says what answers; set one such as job"),
]

_TEKTON = [
    _rule("has(self.pipelineRun) != has(self.taskRun)", "tekton is a run of one; set either pipelineRun or taskRun"),
]

_FLUX = [
    _rule(
        "has(self.kustomization) != has(self.helmRelease)",
        "flux names one object; set either kustomization or helmRelease",
    ),
]

_APPROVAL = [
    _rule(
        "!has(self.approvers) || size(self.approvers) == 0 || !has(self.minApprovals)"
        " || self.minApprovals <= size(self.approvers)",
        "minApprovals is more than there are approvers; write fewer, or name more approvers",
    ),
    _rule(
        "has(self.timeout) || !has(self.onTimeout)",
        "onTimeout says what a timeout comes to; write timeout, or take onTimeout out",
    ),
]

_SESSION_AFFINITY = [
    _rule(
        "!has(self.primaryCookieName) || self.primaryCookieName != self.cookieName",
        "primaryCookieName is the canary's cookie too; write a name other than cookieName",
    ),
]

_BACKEND = [
    _rule(
        "self.group != '' || self.kind != 'Service' || has(self.port)",
        "backendRef.port is missing; set the Service's port",
    ),
]

_REPLICAS = [
    _rule(
        "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
        "primaryScalerReplicas.minReplicas is more than maxReplicas; write minReplicas that is at most maxReplicas",
    ),
]


def _analysis(name: str) -> dict[str, list[JsonObject]]:
    return {
        f"spec.{name}": _ANALYSIS,
        f"spec.{name}.stepWeights": _STEP_WEIGHTS,
        f"spec.{name}.steps[]": _STEP,
        f"spec.{name}.steps[].scale": _SCALE,
        f"spec.{name}.metrics[]": _METRIC,
        f"spec.{name}.metrics[].thresholdRange": _RANGE,
        f"spec.{name}.webhooks[]": _WEBHOOK,
        f"spec.{name}.webhooks[].gate": _GATE,
        f"spec.{name}.webhooks[].gate.tekton": _TEKTON,
        f"spec.{name}.webhooks[].gate.flux": _FLUX,
        f"spec.{name}.webhooks[].gate.approval": _APPROVAL,
        f"spec.{name}.sessionAffinity": _SESSION_AFFINITY,
    }


CANARY: Final = {
    "spec": _SPEC,
    "spec.service.mirror[].backendRef": _BACKEND,
    "spec.autoscalerRef.primaryScalerReplicas": _REPLICAS,
    **_analysis("analysis"),
    **_analysis("canaryAnalysis"),
}
"""Rules of a Canary, by the path of the schema that they belong to."""

METRIC_TEMPLATE: Final = {
    "spec": [
        _rule("has(self.query) || self.provider.type == 'job'", "spec.query is missing; set it"),
        _rule("has(self.job) || self.provider.type != 'job'", "spec.job is missing; set it, or another provider.type"),
    ],
}
"""Rules of a MetricTemplate."""

ALERT_PROVIDER: Final = {
    "spec": [
        _rule(
            "has(self.address) || has(self.secretRef)",
            "spec.address is missing; set it, or secretRef with a Secret that has the key address",
        ),
        _rule(
            "!has(self.body) || self.type == 'webhook'",
            "spec.body is for a messenger of type webhook; set spec.type to webhook, or take it out",
        ),
        _rule(
            "!has(self.headers) || self.type in ['webhook', 'apprise']",
            "spec.headers are for messengers of type webhook and apprise; take them out",
        ),
    ],
}
"""Rules of an AlertProvider."""

_WATCHES = "(has(self.mode) && self.mode == 'watch')"
_BY_CLUSTER = "has(each.strategy) && each.strategy == 'cluster'"
_ROUTE_KINDS: Final = sorted(KINDS_BETWEEN_CLUSTERS.items())

_FLEET = [
    _rule("size(self.waves) > 0", "spec.waves is empty; write one wave at least, such as [{name: all}]"),
    _rule(
        "size(self.waves) == 0 || (!has(self.waves[size(self.waves) - 1].count)"
        " && !has(self.waves[size(self.waves) - 1].percent) && !has(self.waves[size(self.waves) - 1].selector))",
        "the last of spec.waves has all members that are left; take out its count, percent and selector,"
        " or add a wave behind it",
    ),
    _rule(
        f"{_WATCHES} || has(self.traffic) || !self.waves.exists(each, {_BY_CLUSTER})",
        "a wave with strategy cluster shifts requests by routes, and spec.traffic is missing; write it,"
        " or take the strategy out",
    ),
    _rule(
        f"!{_WATCHES} || !self.waves.exists(each, {_BY_CLUSTER})",
        "a wave's strategy cluster does not go with mode: watch; take one of the two out",
    ),
]

_TRAFFIC = [
    _rule(
        f"size(self.members) < 2 || self.members.map(each, each.share).sum() == {WHOLE}",
        f"the shares of spec.traffic.members don't sum to {WHOLE}; have them do so, percent of all requests",
    ),
    _rule(
        "self.members.all(each, self.members.exists_one(other, other.name == each.name))",
        "a member is named twice in spec.traffic.members; keep one of the two",
    ),
]

_CLUSTER_ROUTE = [
    _rule(
        " || ".join(
            f"(self.kind == '{kind}' && self.apiVersion.startsWith('{group}/'))" for kind, group in _ROUTE_KINDS
        ),
        "apiVersion is none of the kind's own; write gateway.networking.k8s.io/v1 for an HTTPRoute,"
        " networking.istio.io/v1 for a VirtualService",
    ),
    _rule("!has(self.host) || self.kind == 'VirtualService'", "host is of VirtualServices alone; take it out"),
]

_WAVE = [
    _rule("!has(self.count) || !has(self.percent)", "percent does not go with count; keep one of the two"),
    _rule(
        "(has(self.strategy) && self.strategy == 'cluster') || (!has(self.stepWeights) && !has(self.stepInterval))",
        "stepWeights and stepInterval are of waves that shift requests between clusters; take them out,"
        " or write strategy: cluster",
    ),
]

_ANSWERS = " + ".join(f"(has(self.{each}) ? 1 : 0)" for each in ("url", "argocd", "flux", "rancherFleet"))

_WAVE_GATE = [
    _rule(
        "!has(self.url) || (isURL(self.url) && url(self.url).getScheme() in ['http', 'https'])",
        "url is no address; write one such as https://gates.example.com/release",
    ),
    _rule(
        f"{_ANSWERS} <= 1",
        "url, argocd, flux and rancherFleet would each answer; keep one of them, or write a gate for each",
    ),
]

_LABEL_CONDITION = [
    _rule(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "values go with the operators In and NotIn, and with no other; write one at least, or take them out",
    ),
]

CANARY_FLEET: Final = {
    "spec": _FLEET,
    "spec.traffic": _TRAFFIC,
    "spec.traffic.routes[]": _CLUSTER_ROUTE,
    "spec.waves[]": _WAVE,
    "spec.waves[].gates[]": _WAVE_GATE,
    "spec.waves[].gates[].flux": _FLUX,
    "spec.waves[].selector.matchExpressions[]": _LABEL_CONDITION,
    "spec.members.selector.matchExpressions[]": _LABEL_CONDITION,
}
"""Rules of a CanaryFleet."""
