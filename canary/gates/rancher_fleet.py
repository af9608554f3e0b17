"""A GitRepo of Fleet, Rancher's: it passes where its commit is deployed and Ready in all clusters that it is for.

Facts of Fleet: the commit that was read last is `status.commit` of the GitRepo, which a job, `status.gitJobStatus`,
makes Bundles of; each Bundle has a BundleDeployment for each cluster, with the labels of the Bundle, its commit among
them. One is deployed where `status.appliedDeploymentID` is `spec.deploymentID`, and waits for its turn where
`spec.stagedDeploymentID` is another one. The GitRepo's own `Ready` speaks of the BundleDeployments that there are,
which may still be those of the commit before.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from canary.api.gates import RancherFleetGate
from canary.gates.argocd import is_at, nothing
from canary.gates.base import Said, State
from canary.kube.types import Json, Resource, condition_of, mapping
from canary.workloads.base import labels_of

GIT_REPO: Final = Resource("fleet.cattle.io", "v1alpha1", "gitrepos", "GitRepo")
BUNDLE_DEPLOYMENT: Final = Resource("fleet.cattle.io", "v1alpha1", "bundledeployments", "BundleDeployment")

_COMMIT: Final = "fleet.cattle.io/commit"
_CLUSTER: Final = "fleet.cattle.io/cluster"
_NAMED: Final = 3
"""Clusters that are named at most."""


def selector(gate: RancherFleetGate) -> str:
    """The BundleDeployments of a GitRepo, wherever they are."""
    return f"fleet.cattle.io/repo-name={gate.git_repo},fleet.cattle.io/bundle-namespace={gate.namespace}"


def said(gate: RancherFleetGate, wanted: str, repo: Json, deployments: Sequence[Json]) -> Said:
    """What the gate says.

    Args:
        gate: the gate.
        wanted: its revision, filled in.
        repo: the GitRepo.
        deployments: its BundleDeployments.
    """
    if (empty := nothing(gate.revision, wanted)) is not None:
        return empty
    status = mapping(repo.get("status"))
    commit = str(status.get("commit") or "")
    if why := _not_read(repo, status):
        return Said(State.WAITING, why)
    if wanted and not is_at(commit, wanted):
        return Said(State.WAITING, f"it is at {commit}, and to be at {wanted}")
    if why := _not_ready(repo, status):
        return Said(State.WAITING, f"it is at {commit}, and {why}")
    if why := _behind(commit, deployments):
        return Said(State.WAITING, f"it is at {commit}, and {why}")
    return Said(State.PASSED, f"it is Ready at {commit} in all its clusters")


def _not_read(repo: Json, status: Json) -> str:
    """Why the commit is none to go by; empty where it is one."""
    if not status.get("commit"):
        return "it has read no commit"
    if status.get("observedGeneration", 0) != mapping(repo.get("metadata")).get("generation", 0):
        return "its spec is yet to be looked at by Fleet"
    job = status.get("gitJobStatus") or "Current"
    return f"the job that reads its commit is {job}" if job != "Current" else ""


def _not_ready(repo: Json, status: Json) -> str:
    stalled, ready = condition_of(repo, "Stalled"), condition_of(repo, "Ready")
    if stalled.get("status") == "True":
        return f"Stalled: {stalled.get('message') or stalled.get('reason') or 'nothing is said of that'}"
    if ready.get("status") == "True":
        return ""
    desired, there = status.get("desiredReadyClusters") or 0, status.get("readyClusters") or 0
    message = f": {ready['message']}" if ready.get("message") else ""
    return f"Ready in {there} of {desired} clusters{message}"


def _behind(commit: str, deployments: Iterable[Json]) -> str:
    """Which clusters don't have the commit yet, and why; empty where all have it."""
    states = {_cluster(each): state for each in deployments if (state := _state(each, commit))}
    if not states:
        return "" if deployments else "deployed in no cluster"
    counted = ", ".join(f"{number} {state}" for state, number in sorted(Counter(states.values()).items()))
    names = sorted(states)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{counted}: {', '.join(names[:_NAMED])}{more}"


def _cluster(deployment: Json) -> str:
    return labels_of(deployment).get(_CLUSTER) or str(mapping(deployment.get("metadata")).get("namespace", ""))


def _state(deployment: Json, commit: str) -> str:
    """How a cluster stands, in the words of Fleet; empty where it has the commit."""
    spec, status = mapping(deployment.get("spec")), mapping(deployment.get("status"))
    if labels_of(deployment).get(_COMMIT, commit) != commit or _differs(spec, "stagedDeploymentID"):
        return "OutOfSync"
    if status.get("appliedDeploymentID") != spec.get("deploymentID"):
        refused = condition_of(deployment, "Deployed").get("status") == "False"
        return "ErrApplied" if refused else "WaitApplied"
    if status.get("ready") is not True:
        return "NotReady"
    return "" if status.get("nonModified", True) else "Modified"


def _differs(spec: Json, name: str) -> bool:
    return bool(spec.get(name)) and spec.get(name) != spec.get("deploymentID")
