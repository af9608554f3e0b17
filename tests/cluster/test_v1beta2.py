"""v1beta2 of the Canary as it is installed, on a real API server, converted by a controller beside the cluster."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from canary.admission.places import DEFINITIONS, MUTATING, VALIDATING
from canary.api.v1beta2.convert import to_v1beta2
from canary.kube.types import CANARY, ENDPOINT_SLICE, Json, mapping
from canary.sandbox.cluster import Cluster
from canary.sandbox.conditions import eventually
from canary.sandbox.harness import Rig
from tests.cluster.test_admission import KUSTOMIZE, NAME, SYSTEM, Site, endpoints

pytestmark = pytest.mark.long

PORT = 9443
NEWER = "canaries.v1beta2.flagger.app"
OLDER = "canaries.v1beta1.flagger.app"
BACK = [{"op": "remove", "path": "/spec/conversion"}, {"op": "remove", "path": "/spec/versions/1"}]
"""How v1beta2 is taken out again, as its page says."""

SPEC: Json = {
    "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
    "service": {"port": 80},
    "traffic": {"provider": "traefik"},
    "rollout": {"interval": "1m", "failureThreshold": 2, "steps": [{"weight": 10}, {"pause": {}}, {"weight": 50}]},
    "checks": [
        {"name": "smoke", "when": "pre-rollout", "webhook": {"url": "http://smoke.test/"}},
        {"name": "request-success-rate", "range": {"min": 99}},
        {"name": "people", "when": "confirm-promotion", "gate": {"approval": {"approvers": ["alice"]}}},
    ],
}


class Newer(Site):
    """A namespace in which Canaries are converted."""

    def written(self, name: str = "shop", **traffic: object) -> Json:
        return {
            "apiVersion": "flagger.app/v1beta2",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {**SPEC, "traffic": {**SPEC["traffic"], **traffic}},
        }

    async def begin(self) -> None:
        """The controller, and until somebody converts."""
        await self.rig.start_controller(
            "--mesh-provider=traefik",
            f"--leader-election-namespace={SYSTEM}",
            f"--namespace={self.namespace}",
            f"--admission-port={PORT}",
            "--admission-v1beta2",
        )
        await eventually(self.refused, lambda said: not said, within=60)

    async def refused(self) -> str:
        """What is said to what can work; nothing where it is taken."""
        code, said = await self.kubectl("create", "--dry-run=server", "-f", "-", given_=self.written("other"))
        return said if code else ""

    async def end(self) -> None:
        await self.cluster.parts["controller"].stop()

    async def read(self, kind: str, name: str = "shop") -> Json:
        code, said = await self.kubectl("get", kind, name, "-o", "json")
        assert code == 0, said
        found: Json = json.loads(said)
        return found


def write_kustomization(folder: Path) -> None:
    """All that is installed with the component, without the controllers' pods."""
    none = [{"op": "replace", "path": "/spec/replicas", "value": 0}]
    parts = ("components/admission", "components/v1beta2")
    document = {
        "resources": [os.path.relpath(KUSTOMIZE / "traefik", folder)],
        "components": [os.path.relpath(KUSTOMIZE / each, folder) for each in parts],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(none)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(document))


@pytest_asyncio.fixture
async def site(cluster: Cluster, namespace: str, tmp_path: Path) -> AsyncIterator[Newer]:
    """The installation with its component, and without it again after the test."""
    write_kustomization(tmp_path)
    await cluster.apply(tmp_path)
    async with Rig.on(cluster, namespace) as rig:
        made = Newer(rig)
        try:
            await rig.client.apply(ENDPOINT_SLICE, endpoints(PORT))
            await made.begin()
            yield made
            await made.end()
        finally:
            code, said = await made.kubectl(
                "patch", "crd", "canaries.flagger.app", "--type=json", f"-p={json.dumps(BACK)}"
            )
            assert code == 0, said
            for resource in (VALIDATING, MUTATING):
                await rig.client.delete(resource, None, NAME)
            await rig.client.delete(ENDPOINT_SLICE, SYSTEM, f"{NAME}-{PORT}")


async def test_what_is_written_in_v1beta2_is_v1beta1_to_the_controller_and_itself_to_its_author(site: Newer) -> None:
    raw = site.written()
    code, said = await site.kubectl("apply", "-f", "-", given_=raw)
    assert code == 0, said
    stored = await site.rig.client.get(CANARY, site.namespace, "shop")
    assert stored["apiVersion"] == "flagger.app/v1beta1"
    assert stored["spec"]["targetRef"]["name"] == "shop"
    assert stored["spec"]["provider"] == "traefik"
    analysis = stored["spec"]["analysis"]
    assert (analysis["threshold"], analysis["steps"]) == (2, SPEC["rollout"]["steps"])
    assert analysis["metrics"] == [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
    assert [each["name"] for each in analysis["webhooks"]] == ["smoke", "people"]

    async def status() -> Json:
        return mapping((await site.rig.client.get(CANARY, site.namespace, "shop")).get("status"))

    told = await eventually(status, lambda status: "observedGeneration" in status, within=30)
    assert "spec.targetRef: Deployment shop does not exist" in json.dumps(told), (
        "the controller has read it, and said so"
    )
    found = await site.read(NEWER)
    assert found["spec"] == SPEC
    assert found["status"]["observedGeneration"] == told["observedGeneration"]
    for flags in ([], ["--server-side", "--field-manager=git", "--force-conflicts"]):
        assert (await site.kubectl("apply", "-f", "-", *flags, given_=raw))[0] == 0
        assert await site.kubectl("diff", "-f", "-", *flags, given_=raw) == (0, "")


async def test_what_is_written_in_v1beta1_stays_so_and_can_be_had_and_edited_in_v1beta2(site: Newer) -> None:
    raw = site.canary()
    raw["spec"]["analysis"]["metrics"] = [{"name": "request-duration", "threshold": 500}]
    assert (await site.kubectl("apply", "-f", "-", given_=raw))[0] == 0
    before = await site.read(OLDER)
    found = await site.read(NEWER)
    assert found["spec"] == to_v1beta2(before)["spec"]
    assert found["spec"]["checks"] == [{"name": "request-duration", "range": {"max": 500}}]
    patch = '--patch={"spec":{"rollout":{"ramp":{"by":20}}}}'
    code, said = await site.kubectl("patch", NEWER, "shop", "--type=merge", patch)
    assert code == 0, said
    after = await site.read(OLDER)
    assert after["spec"]["analysis"] == {**before["spec"]["analysis"], "stepWeight": 20}
    raw["spec"]["analysis"]["stepWeight"] = 20
    assert await site.kubectl("diff", "-f", "-", given_=raw) == (0, ""), "for whoever keeps it in Git as v1beta1"


async def test_what_cant_work_is_refused_by_the_names_that_were_written(site: Newer) -> None:
    words = "spec.traffic.hosts: the provider traefik can't honour it; take it out, or choose a provider that can"
    code, said = await site.kubectl("create", "-f", "-", given_=site.written(hosts=["shop.example.com"]))
    assert code != 0
    assert said == f'The Canary "shop" is invalid: {words}\n'
    raw = site.written()
    raw["spec"]["checks"] = [{"name": "smoke", "webhook": {"url": "http://smoke.test/"}, "range": {"min": 1}}]
    code, said = await site.kubectl("create", "-f", "-", given_=raw)
    assert code != 0
    assert "a check that asks a webhook or a gate has these fields alone" in said


async def test_kubectl_shows_the_columns_of_whichever_version_it_is_asked_for(site: Newer) -> None:
    assert (await site.kubectl("apply", "-f", "-", given_=site.written()))[0] == 0
    for kind in (NEWER, OLDER, "canary"):
        code, said = await site.kubectl("get", kind, "-o", "wide")
        assert code == 0, said
        assert "1m" in said.splitlines()[1].split(), "the interval"


async def test_while_nobody_converts_v1beta1_is_as_ever_and_v1beta2_says_who_is_missing(site: Newer) -> None:
    """Also for what was written in v1beta2: the controller's own writes, those of people, and deletions."""
    assert (await site.kubectl("apply", "-f", "-", given_=site.written()))[0] == 0
    await site.end()
    code, said = await site.kubectl("get", NEWER, "shop")
    assert code != 0
    assert NAME in said, "the Service that doesn't answer"
    found = await site.read(OLDER)
    assert found["spec"]["targetRef"]["name"] == "shop"
    older = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "shop", "labels": {"a": "b"}}}
    code, said = await site.kubectl("apply", "--server-side", "--field-manager=git", "-f", "-", given_=older)
    assert code != 0, "what its author owns is compared in the version that was written"
    assert NAME in said
    status = await site.rig.client.merge_patch(
        CANARY, site.namespace, "shop", {"status": {"failedChecks": 1}}, subresource="status"
    )
    assert status["status"]["failedChecks"] == 1
    for words in (
        ("annotate", OLDER, "shop", "flagger.app/order=abort"),
        ("patch", OLDER, "shop", "--type=merge", '--patch={"spec":{"suspend":true}}'),
        ("delete", OLDER, "shop", "--wait=false"),
    ):
        code, said = await site.kubectl(*words)
        assert code == 0, said
    await site.begin()


async def test_the_definition_trusts_the_certificate_and_nothing_is_stored_as_v1beta2(site: Newer) -> None:
    definition = await site.rig.client.get(DEFINITIONS, None, "canaries.flagger.app")
    assert definition["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"]
    assert definition["status"]["storedVersions"] == ["v1beta1"]


async def test_taken_out_it_is_gone_and_what_was_written_stays(site: Newer) -> None:
    assert (await site.kubectl("apply", "-f", "-", given_=site.written()))[0] == 0
    code, said = await site.kubectl("patch", "crd", "canaries.flagger.app", "--type=json", f"-p={json.dumps(BACK)}")
    assert code == 0, said

    async def gone() -> bool:
        return (await site.kubectl("get", "--raw", "/apis/flagger.app/v1beta2"))[0] != 0

    await eventually(gone, bool, within=30)
    assert (await site.read(OLDER))["spec"]["provider"] == "traefik"
    await site.cluster.apply(KUSTOMIZE / "definitions/v1beta2")
