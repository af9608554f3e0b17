"""The policy by which a vote is by whoever writes it, on a real API server, with two users that it knows."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json
from canary.rollout.votes import Vote
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually

POLICY = Path(__file__).parents[2] / "deploy/kustomize/components/vote-policy/vote-policy.yaml"
NAME = "shop"
PEOPLE = ("alice", "bob smith", "100%")


async def kubectl(cluster: Cluster, *words: str, given: str = "") -> tuple[int, str]:
    """The exit code, and what is said."""
    process = await asyncio.create_subprocess_exec(
        cluster.folder / "bin/kubectl",
        *words,
        env=cluster.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate(given.encode())
    return process.returncode or 0, out.decode()


def rights(namespace: str) -> Json:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "deployers", "namespace": namespace},
        "rules": [{"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get", "update", "patch"]}],
    }
    users = [{"kind": "User", "name": each, "apiGroup": "rbac.authorization.k8s.io"} for each in PEOPLE]
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "deployers", "namespace": namespace},
        "roleRef": {"kind": "Role", "name": "deployers", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": users,
    }
    canary = {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "service": {"port": 80},
            "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10, "maxWeight": 50},
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [role, binding, canary]}


@pytest_asyncio.fixture
async def guarded(cluster: Cluster, namespace: str, installation: Path) -> AsyncIterator[str]:
    """A namespace with a Canary, and people who may write it; the policy goes with the test."""
    await cluster.apply(installation)
    code, said = await kubectl(cluster, "apply", "-f", "-", given=json.dumps(rights(namespace)))
    assert code == 0, said
    code, said = await kubectl(cluster, "apply", "-f", str(POLICY))
    assert code == 0, said
    yield namespace
    code, said = await kubectl(cluster, "delete", "-f", str(POLICY))
    assert code == 0, said


async def test_a_vote_is_by_whoever_writes_it(cluster: Cluster, guarded: str) -> None:
    """Nobody adds, changes or takes back one of another; everything else of a Canary is written as ever."""

    async def annotate(who: str, *annotations: str) -> tuple[int, str]:
        user = [f"--as={who}"] if who else []
        return await kubectl(cluster, "annotate", "canary", NAME, f"-n={guarded}", "--overwrite", *annotations, *user)

    def yes(who: str, *, approves: bool = True) -> Vote:
        return Vote(who, approves, "qa", "0123456789", "2026-01-01T00:00:00Z", "seen")

    forged = yes("alice")

    async def refused() -> bool:
        """Whether the policy is in force; it takes the API server a moment."""
        code, said = await annotate("bob smith", f"{forged.key}={forged.text()}", "--dry-run=server")
        return code != 0 and "a vote is by whoever writes it" in said

    await eventually(refused, bool, within=60)
    for who in PEOPLE:
        vote = yes(who)
        assert (await annotate(who, f"{vote.key}={vote.text()}"))[0] == 0, who
        again = yes(who, approves=False)
        assert (await annotate(who, f"{again.key}={again.text()}"))[0] == 0, who

    for stranger in ("bob smith", "100%"):
        for words in (f"{forged.key}={forged.text()}", f"{forged.key}-", f"{forged.key}={yes(stranger).text()}"):
            code, said = await annotate(stranger, words)
            assert code != 0
            assert "vote" in said
    code, _ = await annotate("alice", "vote.flagger.app/other=bob%20smith yes gate=qa moment=0123456789")
    assert code != 0, "whatever the name of the annotation is"

    assert (await annotate("alice", "team=shop"))[0] == 0
    assert (await annotate("alice", f"{forged.key}-"))[0] == 0, "one's own"
    async with KubeClient.connect(cluster.kubeconfig) as client:
        found = await client.get(CANARY, guarded, NAME)
    votes = {key: value for key, value in found["metadata"]["annotations"].items() if key.startswith("vote.")}
    assert set(votes) == {yes("bob smith").key, yes("100%").key}

    everything = [f"{key}-" for key in votes]
    assert (await annotate("", *everything))[0] == 0, "who may write the status, as the controller may"
