"""What README and the pages show, and what can be added to an installation, is taken by a real API server, strictly."""

import os
import re
from pathlib import Path

import pytest
import yaml

from canary.kube.types import Json
from canary.sandbox.cluster import Cluster
from tests.cluster.test_deploy_install import KUSTOMIZE, overlay
from tests.tools.kustomized import kubectl, objects_of

ROOT = KUSTOMIZE.parents[1]
MONITORING = Path(__file__).parent / "schemas/monitoring.yaml"
FOLDER = KUSTOMIZE / "components"
COMPONENTS = sorted(str(each.parent.relative_to(FOLDER)) for each in FOLDER.rglob("kustomization.yaml"))
PREPARED: list[Cluster] = []
PAGES = ["README.md", *sorted(f"docs/{each.name}" for each in (ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def pages() -> dict[str, list[Json]]:
    """The whole objects among the examples of each page."""
    found = {}
    for page in PAGES:
        blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
        documents = [each for block in blocks for each in yaml.safe_load_all(block)]
        found[page] = [each for each in documents if isinstance(each, dict) and {"apiVersion", "kind"} <= each.keys()]
    return found


async def prepare(cluster: Cluster, installation: Path) -> None:
    """Have all kinds that objects may be of, and the namespace that they go to; once, as they stay."""
    if cluster in PREPARED:
        return
    await cluster.apply(installation)
    await kubectl(cluster, "apply", "-f", str(MONITORING))
    await kubectl(cluster, "wait", "--for=condition=established", "crds", "--all", "--timeout=20s")
    PREPARED.append(cluster)


async def try_out(cluster: Cluster, *what: str) -> None:
    await kubectl(
        cluster, "apply", *what, "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"
    )


@pytest.mark.parametrize("component", COMPONENTS)
async def test_what_a_component_adds(
    cluster: Cluster, certificates: None, installation: Path, tmp_path: Path, component: str
) -> None:
    """Taken are the objects that it adds or changes: the others are those of any installation."""
    await prepare(cluster, installation)
    folder = tmp_path / "mine"
    folder.mkdir()
    testers = component.startswith("loadtester")
    base, deployment = ("loadtester", "flagger-loadtester") if testers else ("traefik", "canary-controller")
    without = await objects_of(cluster, KUSTOMIZE / base)
    found = await objects_of(cluster, overlay(folder, base, deployment, components=(component,)))
    added = [each for each in found if each not in without]
    assert added
    (folder / "added.yaml").write_text(yaml.safe_dump_all(added))
    await try_out(cluster, "-f", str(folder / "added.yaml"))


async def test_what_the_pages_show(
    cluster: Cluster, upstream: None, installation: Path, tmp_path: Path, pages: dict[str, list[Json]]
) -> None:
    await prepare(cluster, installation)
    for page, objects in pages.items():
        for number, shown in enumerate(objects):
            await try_out(cluster, *written(shown, tmp_path / page.replace("/", "-") / str(number)))


def written(shown: Json, folder: Path) -> tuple[str, str]:
    """What kubectl is told of an object in that folder; a kustomization's paths begin where they do for its reader."""
    folder.mkdir(parents=True)
    is_kustomization = shown["kind"] == "Kustomization"
    if is_kustomization:
        for field in ("resources", "components"):
            shown[field] = [os.path.relpath(ROOT / each, folder) for each in shown.get(field, [])]
    path = folder / ("kustomization.yaml" if is_kustomization else "object.yaml")
    path.write_text(yaml.safe_dump(shown))
    return ("-k", str(folder)) if is_kustomization else ("-f", str(path))
