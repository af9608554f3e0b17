"""People open the gates of a rollout by each way that there is.

The controller runs with the shipped rights on a real API server, with the policy by which nobody votes for another.
"""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json, mapping
from canary.rollout.links import PREFIX, Link, signed
from canary.rollout.votes import Vote, votes_in
from canary.sandbox import addresses
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig, application, phase_of
from tests.cluster.conftest import KUSTOMIZE, SYSTEM
from tests.cluster.test_deploy_rights import forbidden
from tests.cluster.test_loadtester_callers import token
from tests.cluster.test_vote_policy import POLICY, kubectl
from tests.tools.kustomized import put_folder

NAME, WITHIN, PORT, KEY = "shop", 90.0, 18082, "k" * 64
ROLES = "rbac.authorization.k8s.io"


@pytest.fixture
def with_votes(installation: Path) -> Path:
    """What is installed, with the rights that votes by HTTP take."""
    kustomization = installation / "kustomization.yaml"
    document = json.loads(kustomization.read_text())
    document["components"].append(os.path.relpath(KUSTOMIZE / "components/votes", installation))
    kustomization.write_text(json.dumps(document))
    return installation


async def start(site: Rig, key_file: Path) -> None:
    await site.start_controller(
        "--mesh-provider=kubernetes",
        f"--leader-election-namespace={SYSTEM}",
        f"--namespace={site.namespace}",
        f"--vote-address={addresses.TOOLS}:{PORT}",
        f"--vote-link-key={key_file}",
    )


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, with_votes: Path, tmp_path: Path) -> AsyncIterator[Rig]:
    """A controller that takes votes, with these rights alone, and the policy, which goes with the test."""
    (tmp_path / "key").write_text(KEY)
    async with Rig.on(cluster, namespace) as rig:
        await put_folder(rig, with_votes)
        await cluster.apply(POLICY)
        await start(rig, tmp_path / "key")
        yield rig
    await cluster.parts["controller"].stop()
    code, said = await kubectl(cluster, "delete", "-f", str(POLICY))
    assert code == 0, said


def people(namespace: str) -> list[Json]:
    """The right to vote, for a user and for a program."""
    rules = [{"apiGroups": ["flagger.app"], "resources": ["canaries"], "verbs": ["get", "patch"]}]
    role = {"apiVersion": f"{ROLES}/v1", "kind": "Role", "metadata": {"name": "voters", "namespace": namespace}}
    subjects = [
        {"kind": "User", "name": "alice", "apiGroup": ROLES},
        {"kind": "ServiceAccount", "name": "release", "namespace": namespace},
    ]
    binding = {
        **role,
        "kind": "RoleBinding",
        "roleRef": {"kind": "Role", "name": "voters", "apiGroup": ROLES},
        "subjects": subjects,
    }
    return [{**role, "rules": rules}, binding]


def canary(namespace: str) -> Json:
    program = f"system:serviceaccount:{namespace}:release"
    both = {"approvers": ["alice", "carol@example.com", program], "minApprovals": 3}
    hooks = [
        {"name": "start", "type": "confirm-rollout", "gate": {"approval": {"approvers": [program]}}},
        {"name": "ship", "type": "confirm-promotion", "gate": {"approval": both}},
    ]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    analysis = {"interval": "2s", "threshold": 1, "iterations": 1, "webhooks": hooks}
    return {
        "apiVersion": CANARY.api_version,
        "kind": CANARY.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"provider": "kubernetes", "targetRef": target, "service": {"port": 9898}, "analysis": analysis},
    }


async def call(method: str, path: str, bearer: str = "", body: Json | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    url = f"http://{addresses.TOOLS}:{PORT}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, json=body, headers=headers) as response:
        return response.status, await response.text()


class Shop:
    """The Canary of the test."""

    def __init__(self, site: Rig) -> None:
        self.site = site

    async def read(self) -> Json:
        found: Json = await self.site.client.get(CANARY, self.site.namespace, NAME)
        return found

    async def annotations(self) -> dict[str, str]:
        return {**((await self.read())["metadata"].get("annotations") or {})}

    async def until(self, *phases: str) -> Json:
        return await eventually(self.read, lambda each: phase_of(each) in phases, within=WITHIN)

    async def waiting(self, gate: str) -> Json:
        """A gate, once it waits."""

        async def found() -> Json:
            entries = mapping((await self.read()).get("status")).get("approvals") or []
            return next((each for each in entries if each["gate"] == gate and each["state"] == "Waiting"), {})

        return await eventually(found, bool, within=WITHIN)

    async def with_votes(self, gate: str, count: int) -> Json:
        """A gate, once the controller has seen so many votes on it."""
        return await eventually(
            lambda: self.waiting(gate), lambda each: len(each.get("votes") or []) == count, within=WITHIN
        )


async def begun(site: Rig) -> Shop:
    """A new version that waits for the first gate."""
    for obj in people(site.namespace):
        code, said = await kubectl(site.cluster, "apply", "-f", "-", given=json.dumps(obj))
        assert code == 0, said
    await site.apply(application(NAME, site.namespace, "1.0.0", replicas=1))
    await site.apply(canary(site.namespace))
    shop = Shop(site)
    await shop.until("Initialized")
    await site.apply(application(NAME, site.namespace, "1.0.1", replicas=1))
    return shop


async def test_a_rollout_goes_on_by_a_token_a_link_and_an_annotation_and_survives_a_kill_between(
    site: Rig, tmp_path: Path
) -> None:
    namespace, since = site.namespace, site.cluster.audit_log.stat().st_size
    shop = await begun(site)
    gates = f"/v1/canaries/{namespace}/{NAME}/gates"
    release = await token(site.client, namespace, "release")
    stranger = await token(site.client, namespace, "other")
    first = await shop.waiting("start")
    yes = {"answer": "yes", "moment": first["moment"]}
    assert (await call("POST", f"{gates}/start", "nonsense", yes))[0] == 401
    assert (await call("POST", f"{gates}/start", stranger, yes))[0] == 403, "the roles of the cluster govern"
    assert (await call("GET", gates, stranger))[0] == 403
    assert first["moment"] in (await call("GET", gates, release))[1]
    assert await call("POST", f"{gates}/start", release, {**yes, "message": "run 4711"}) == (
        200,
        json.dumps(
            {
                "canary": f"{namespace}/{NAME}",
                "gate": "start",
                "moment": first["moment"],
                "by": f"system:serviceaccount:{namespace}:release",
                "answer": "yes",
            }
        ),
    )

    ship = await shop.waiting("ship")
    expires = datetime.now(UTC) + timedelta(hours=1)
    link = Link(namespace, NAME, "ship", ship["moment"], "carol@example.com", True, expires, "n0nce")
    address = f"/link/{signed(link, KEY.encode())}"
    assert (await call("GET", address))[0] == 200
    assert not [key for key in await shop.annotations() if key.startswith(PREFIX)], "to look at it changes nothing"
    assert (await call("POST", address))[0] == 200
    await shop.with_votes("ship", 1)
    site.cluster.parts["controller"].kill()
    await start(site, tmp_path / "key")
    assert (await call("POST", address))[0] == 410, "that it was used survives, too"
    by_hand = Vote("alice", True, "ship", ship["moment"], "2026-01-01T00:00:00Z", "seen")
    words = ("annotate", "canary", NAME, f"-n={namespace}", "--as=alice")
    mark = link.key
    for refused in (f"{mark}-", f"{mark}=x", f"{PREFIX}new=x"):
        code, said = await kubectl(site.cluster, *words, "--overwrite", refused)
        assert code != 0
        assert "which links were used is written by the controller alone" in said
    code, said = await kubectl(site.cluster, *words, f"{by_hand.key}={by_hand.text()}")
    assert code == 0, said
    await shop.with_votes("ship", 2)
    assert (await call("POST", f"{gates}/ship", release, {"answer": "yes"}))[0] == 200

    ended = await shop.until("Succeeded", "Failed")
    assert phase_of(ended) == "Succeeded"
    (past,) = ended["status"]["history"]
    who = {each["gate"]: sorted(vote["by"] for vote in each["votes"]) for each in past["approvals"]}
    program = f"system:serviceaccount:{namespace}:release"
    assert who == {"start": [program], "ship": ["alice", "carol@example.com", program]}
    told = await site.events(NAME)
    assert any(
        f"{program} approves confirm-rollout gate start of {NAME}.{namespace}: run 4711" in each for each in told
    )
    assert any("carol@example.com approves confirm-promotion gate ship" in each for each in told)

    async def votes() -> list[str]:
        return [key for key, _ in votes_in(await shop.annotations())]

    await eventually(votes, lambda left: not left, within=WITHIN)
    assert mark in await shop.annotations(), "it stays until the link would have expired"
    assert (await call("POST", address))[0] in (409, 410)
    assert forbidden(site.cluster, namespace, since) == []


async def test_a_no_by_a_link_takes_the_version_back(site: Rig) -> None:
    shop = await begun(site)
    entry = await shop.waiting("start")
    program = f"system:serviceaccount:{site.namespace}:release"
    expires = datetime.now(UTC) + timedelta(hours=1)
    link = Link(site.namespace, NAME, "start", entry["moment"], program, False, expires, "n0nce")
    assert (await call("POST", f"/link/{signed(link, KEY.encode())}"))[0] == 200
    ended = await shop.until("Failed")
    assert (ended["status"]["reason"], "by a link" in ended["status"]["message"]) == ("Rejected", True)


async def test_a_vote_by_http_is_written_where_the_policy_refuses_it_to_all_others(site: Rig) -> None:
    """The controller writes in the name of those whose tokens the API server knows; nobody else may."""
    shop = await begun(site)
    entry = await shop.waiting("start")
    program = f"system:serviceaccount:{site.namespace}:release"
    forged = Vote(program, True, "start", entry["moment"], "2026-01-01T00:00:00Z")
    words = ("annotate", "canary", NAME, f"-n={site.namespace}", f"{forged.key}={forged.text()}", "--as=alice")

    async def refused() -> bool:
        code, said = await kubectl(site.cluster, *words, "--dry-run=server")
        return code != 0 and "a vote is by whoever writes it" in said

    await eventually(refused, bool, within=60)
    release = await token(site.client, site.namespace, "release")
    assert (await call("POST", f"/v1/canaries/{site.namespace}/{NAME}/gates/start", release, {"answer": "yes"}))[
        0
    ] == 200
    await shop.until("Progressing", "WaitingPromotion")
    async with KubeClient.connect(site.cluster.kubeconfig) as client:
        found = await client.get(CANARY, site.namespace, NAME)
    assert [each["votes"][0]["by"] for each in found["status"]["approvals"] if each["gate"] == "start"] == [program]
