"""Kustomizations that are applied again and again: of their large definitions only what has changed is written."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from canary.kube.types import Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import CRD, Rig


async def objects_of(cluster: Cluster, folder: Path) -> tuple[Json, ...]:
    """What `kubectl kustomize` makes of a folder."""
    process = await asyncio.create_subprocess_exec(
        cluster.folder / "bin/kubectl", "kustomize", str(folder), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, folder
    return tuple(yaml.load_all(said, yaml.CSafeLoader))


async def put(rig: Rig, objects: Iterable[Json]) -> None:
    """Apply objects, as kubectl does."""
    others: list[Json] = []
    for each in objects:
        if each["kind"] == CRD.kind:
            await rig.put(each)
        else:
            others.append(each)
    with TemporaryDirectory() as folder:
        manifest = Path(folder) / "others.json"
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": others}))
        await rig.cluster.apply(manifest)


async def put_folder(rig: Rig, folder: Path) -> None:
    """Apply a folder, as kubectl does."""
    await put(rig, await objects_of(rig.cluster, folder))
