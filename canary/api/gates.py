"""`webhooks[].gate`: what answers in place of a service that is called, one member each."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, WithJsonSchema

from canary.api.durations import GoDuration
from canary.api.meta import JsonObject, Model, SecretReference, StringMap

MOST_APPROVALS: Final = 20
"""Approvals of one gate at most."""

Anything = Annotated[JsonObject, WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
"""An object of others, as they document it."""


class TektonGate(Model):
    """A run of a Tekton Pipeline or Task; exactly one of its fields is set."""

    pipeline_run: Anything | None = None
    """The PipelineRun that is made in the Canary's namespace: metadata and spec as Tekton has them, filled in."""
    task_run: Anything | None = None
    """The TaskRun that is made in the Canary's namespace: metadata and spec as Tekton has them, filled in."""


class ArgoCDGate(Model):
    """An Application of Argo CD, which is to be Healthy and Synced."""

    application: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the Application."""
    namespace: str = Field(default="argocd", json_schema_extra={"maxLength": 63})
    """Its namespace; argocd where absent."""
    revision: str = Field(default="", json_schema_extra={"maxLength": 1024})
    """The revision that it is to be synced to, or its beginning, filled in; any where absent."""


class FluxGate(Model):
    """A Kustomization or a HelmRelease of Flux, which is to be Ready; it names exactly one."""

    kustomization: str = Field(default="", json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the Kustomization."""
    helm_release: str = Field(default="", json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the HelmRelease."""
    namespace: str = Field(default="", json_schema_extra={"maxLength": 63})
    """Its namespace; that of the Canary, or of the fleet, where absent."""
    revision: str = Field(default="", json_schema_extra={"maxLength": 1024})
    """The revision that is to be applied, or its hash, or the chart's version, filled in; any where absent."""


class RancherFleetGate(Model):
    """A GitRepo of Fleet, Rancher's, which is to be deployed and Ready in all of its clusters."""

    git_repo: str = Field(json_schema_extra={"minLength": 1, "maxLength": 253})
    """Name of the GitRepo."""
    namespace: str = Field(default="fleet-default", json_schema_extra={"maxLength": 63})
    """Its namespace; fleet-default where absent."""
    revision: str = Field(default="", json_schema_extra={"maxLength": 1024})
    """The commit that is to be deployed, or its beginning, filled in; any where absent."""


class VulnerabilitySeverity(StrEnum):
    """How grave a vulnerability is."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    UNKNOWN = "UNKNOWN"


class TrivyGate(Model):
    """The VulnerabilityReports of the Trivy operator for the images that are rolled out."""

    severities: tuple[VulnerabilitySeverity, ...] = (VulnerabilitySeverity.CRITICAL, VulnerabilitySeverity.HIGH)
    """Severities of which none may be found; CRITICAL and HIGH where absent."""
    ignore: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 1024})
    """Vulnerabilities that don't count, such as CVE-2026-1234."""
    only_fixed: bool = False
    """Whether those alone count for which there is a fixed version."""


class JenkinsGate(Model):
    """A parametrised build of Jenkins."""

    url: str = Field(json_schema_extra={"minLength": 1, "maxLength": 4096})
    """Address of the job, such as https://jenkins.example.com/job/team/job/smoke/."""
    secret_ref: SecretReference | None = None
    """Secret with what lets a request in: username and password, an API token, or the other keys of webhooks."""
    parameters: StringMap = Field(default_factory=dict)
    """Parameters of the build, filled in."""
    run_parameter: str = Field(default="CANARY_RUN", json_schema_extra={"minLength": 1, "maxLength": 253})
    """The parameter of the job by which its build is found again, a string; CANARY_RUN where absent."""


class OnTimeout(StrEnum):
    """What an approval comes to that nobody has given in time."""

    REJECT = "reject"
    APPROVE = "approve"


class Approval(Model):
    """People, or programs, who say yes or no by annotations of the Canary, which a command, a call or a link writes."""

    approvers: tuple[str, ...] = Field(default=(), json_schema_extra={"maxItems": 50})
    """Names of users as the API server knows them; whoever may update the Canary where absent."""
    min_approvals: int = Field(default=1, json_schema_extra={"minimum": 1, "maximum": MOST_APPROVALS})
    """How many of them must approve; 1 where absent."""
    timeout: GoDuration | None = Field(default=None, json_schema_extra={"x-crd-longest": "8760h"})
    """How long it is waited for, a year at most; without end where absent."""
    on_timeout: OnTimeout = OnTimeout.REJECT
    """What it comes to then: reject takes the version back, approve lets it go on."""


class Gate(Model):
    """What answers in place of a service that is called; exactly one of its fields is set."""

    job: Anything | None = None
    """The Job that is run in the Canary's namespace, as a CronJob's jobTemplate, filled in."""
    tekton: TektonGate | None = None
    """The run of a Tekton Pipeline or Task that is made."""
    argocd: ArgoCDGate | None = None
    """An Application of Argo CD, which is to be Healthy and Synced."""
    flux: FluxGate | None = None
    """A Kustomization or a HelmRelease of Flux, which is to be Ready."""
    trivy: TrivyGate | None = None
    """What the Trivy operator has found in the images that are rolled out."""
    jenkins: JenkinsGate | None = None
    """The build of Jenkins that is started."""
    approval: Approval | None = None
    """People who approve; for webhooks of the confirm- types."""

    @property
    def members(self) -> tuple[str, ...]:
        """The fields that are set; exactly one where it is right."""
        return tuple(name for name in MEMBERS if getattr(self, name) is not None)


MEMBERS = tuple(Gate.model_fields)
"""The fields of a gate, each a way to be answered."""
