"""A GitRepo of Fleet: it passes once its commit is deployed and Ready in all of its clusters."""

import pytest

from canary.api.gates import RancherFleetGate
from canary.gates.base import State
from canary.gates.rancher_fleet import said, selector
from canary.kube.types import Json

HASH = "2f6d4e1a9b3c5d7e8f0a1b2c3d4e5f6a7b8c9d0e"
BEFORE = "1f6d4e1a9b3c5d7e8f0a1b2c3d4e5f6a7b8c9d0e"


def repo(ready: str = "True", generation: int = 2, **status: object) -> Json:
    conditions = [{"type": "Ready", "status": ready, "message": "" if ready == "True" else "NotReady(1) [Bundle shop]"}]
    given = {"commit": HASH, "observedGeneration": 2, "gitJobStatus": "Current", "conditions": conditions}
    numbers = {"desiredReadyClusters": 2, "readyClusters": 2}
    return {"metadata": {"name": "shop", "generation": generation}, "status": {**given, **numbers, **status}}


def deployment(
    cluster: str = "eu", commit: str = HASH, *, staged: str = "s1", applied: str = "s1", **status: object
) -> Json:
    labels = {"fleet.cattle.io/commit": commit, "fleet.cattle.io/cluster": cluster}
    return {
        "metadata": {"name": "shop", "namespace": f"cluster-{cluster}", "labels": labels},
        "spec": {"deploymentID": "s1", "stagedDeploymentID": staged},
        "status": {"appliedDeploymentID": applied, "ready": True, "nonModified": True, **status},
    }


FAILED: Json = {"conditions": [{"type": "Deployed", "status": "False"}]}
STALLED: Json = {"conditions": [{"type": "Stalled", "status": "True", "message": "no such branch"}]}


@pytest.mark.parametrize(
    ("obj", "deployments", "revision", "state", "words"),
    [
        (repo(), [deployment()], "", State.PASSED, f"it is Ready at {HASH} in all its clusters"),
        (repo(), [deployment()], HASH[:8], State.PASSED, "Ready"),
        (repo(), [deployment()], BEFORE, State.WAITING, f"it is at {HASH}, and to be at {BEFORE}"),
        ({"metadata": {}}, [], "", State.WAITING, "it has read no commit"),
        (repo(generation=3), [deployment()], "", State.WAITING, "its spec is yet to be looked at by Fleet"),
        (repo(gitJobStatus="InProgress"), [], "", State.WAITING, "the job that reads its commit is InProgress"),
        (repo(**STALLED), [deployment()], "", State.WAITING, "Stalled: no such branch"),
        (repo("False", readyClusters=1), [deployment()], "", State.WAITING, "Ready in 1 of 2 clusters: NotReady(1)"),
        (repo(), [], "", State.WAITING, "deployed in no cluster"),
        (repo(), [deployment("eu"), deployment("us", BEFORE)], "", State.WAITING, "1 OutOfSync: us"),
        (repo(), [deployment(staged="s2")], "", State.WAITING, "1 OutOfSync: eu"),
        (repo(), [deployment(applied="s0")], "", State.WAITING, "1 WaitApplied: eu"),
        (repo(), [deployment(applied="s0", **FAILED)], "", State.WAITING, "1 ErrApplied: eu"),
        (repo(), [deployment(ready=False)], "", State.WAITING, "1 NotReady: eu"),
        (repo(), [deployment(nonModified=False)], "", State.WAITING, "1 Modified: eu"),
        (
            repo(),
            [deployment(name, BEFORE) for name in "edcba"],
            "",
            State.WAITING,
            "5 OutOfSync: a, b, c and 2 more",
        ),
    ],
)
def test_a_git_repo_is_to_be_ready_at_the_commit_in_all_its_clusters(
    obj: Json, deployments: list[Json], revision: str, state: State, words: str
) -> None:
    """Its own Ready is not enough: right after a new commit it speaks of what was deployed before."""
    answer = said(RancherFleetGate(git_repo="shop", revision=revision), revision, obj, deployments)
    assert answer.state is state
    assert words in answer.words


def test_a_revision_that_comes_to_nothing_lets_nothing_pass() -> None:
    gate = RancherFleetGate(git_repo="shop", revision='{{ if eq release "x" }}y{{ end }}')
    assert said(gate, "", repo(), [deployment()]).state is State.UNAVAILABLE


def test_its_deployments_are_those_of_its_name_and_namespace() -> None:
    gate = RancherFleetGate(git_repo="shop", namespace="fleet-local")
    assert selector(gate) == "fleet.cattle.io/repo-name=shop,fleet.cattle.io/bundle-namespace=fleet-local"
