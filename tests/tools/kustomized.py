"""Kustomizations that are applied again and again: of their large definitions only what has changed is written."""

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from canary.kube.types import Json
from canary.sandbox.cluster import Cluster
from canary.sandbox.harness import CRD, Rig


async def kubectl(cluster: Cluster, *arguments: str, within: float = 60) -> str:
    """What kubectl says; it must succeed, and warn of nothing."""
    process = await asyncio.create_subprocess_exec(
        str(cluster.folder / "bin/kubectl"),
        *arguments,
        env={**os.environ, **cluster.environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(within):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    # That other tests of this cluster have applied the same object by other means is nothing to warn of.
    warnings = [
        line for line in err.decode().splitlines() if "Warning" in line and "last-applied-configuration" not in line
    ]
    assert warnings == []
    return out.decode()


async def objects_of(cluster: Cluster, folder: Path) -> list[Json]:
    """The objects that a kustomization stands for."""
    # In C: definitions are long.
    return list(yaml.load_all(await kubectl(cluster, "kustomize", str(folder)), Loader=yaml.CSafeLoader))


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
