"""The installation as one plain YAML, for `kubectl apply -f` and for tools that read no kustomization.

`python -m deploy.plain traefik` prints that of the folder of a traffic provider, `make plain` writes all of them to
`out/install`. With `--within NAMESPACE` it is what whoever has rights in one namespace alone can apply: all of it lives
there, works there, and may do nothing elsewhere.
"""

import argparse
import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

KUSTOMIZE = Path(__file__).with_name("kustomize")

OF_THE_CLUSTER = frozenset({"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"})
"""Kinds that live in no namespace, of those that an installation has."""

_HEAD = """\
# All that an installation for the traffic provider {name} needs, but its image (docs/install.md). Made of
# deploy/kustomize/{name} by `python -m deploy.plain`: change that, not this.
"""


class UnreadableError(ValueError):
    """A kustomization has something that is not read here; the message names both."""


class Dumper(yaml.CSafeDumper):
    """Writes lists as the manifests have them, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """None, of whatever."""
        return True


def objects(folder: Path) -> list[Json]:
    """The objects that a kustomization of ours stands for, in its order.

    Raises:
        UnreadableError: it has a field that is not read here.
    """
    return composed(_read(folder / "kustomization.yaml"), folder)


def composed(kustomization: Json, folder: Path) -> list[Json]:
    """The objects that the text of a kustomization stands for, in its order.

    Args:
        kustomization: what a `kustomization.yaml` would hold.
        folder: where it would be.

    Raises:
        UnreadableError: it has a field that is not read here.
    """
    return _transformed(kustomization, folder, [])


def within(namespace: str, made: Sequence[Json]) -> list[Json]:
    """The same in one namespace, with rights there alone: what needs none to the cluster.

    Args:
        namespace: where all of it lives, and the only one that it works in.
        made: the objects of an installation.
    """
    kept = [_moved(copy.deepcopy(each), namespace) for each in made if each["kind"] not in _OUTSIDE]
    for each in kept:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            container["args"].append(f"--namespace={namespace}")
    return kept


_OUTSIDE = frozenset({"Namespace", "CustomResourceDefinition"})


def _moved(obj: Json, namespace: str) -> Json:
    metadata = obj["metadata"]
    if obj["kind"].startswith("ClusterRole"):
        obj["kind"] = obj["kind"].removeprefix("Cluster")
        # Beside the role of the Lease, which has the name already.
        metadata["name"] = f"{metadata['name']}-canaries"
        if obj["kind"] == "RoleBinding":
            obj["roleRef"] |= {"kind": "Role", "name": f"{obj['roleRef']['name']}-canaries"}
    metadata["namespace"] = namespace
    for subject in obj.get("subjects", ()):
        subject["namespace"] = namespace
    return obj


def text(made: Sequence[Json]) -> str:
    """Objects as YAML, one document each."""
    return yaml.dump_all(made, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120, explicit_start=True)


def _read(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text())
    return found


_FIELDS = frozenset({"apiVersion", "kind", "resources", "components", "patches", "namespace", "labels", "images"})


def _transformed(kustomization: Json, folder: Path, made: list[Json]) -> list[Json]:
    """Objects with what a kustomization adds and changes; the order is not kustomize's, without effect on ours."""
    if unknown := sorted(set(kustomization) - _FIELDS):
        message = f"{folder}: {unknown[0]} is not read here"
        raise UnreadableError(message)
    for each in kustomization.get("resources", ()):
        made = [*made, *_resources((folder / each).resolve())]
    for each in kustomization.get("components", ()):
        component = (folder / each).resolve()
        made = _transformed(_read(component / "kustomization.yaml"), component, made)
    for patch in kustomization.get("patches", ()):
        _patch(made, patch, folder)
    for each in made:
        _place(each, kustomization)
    return made


def _resources(path: Path) -> Iterator[Json]:
    if path.is_dir():
        yield from objects(path)
    else:
        yield from copy.deepcopy(_documents(path))


@cache
def _documents(path: Path) -> tuple[Json, ...]:
    with path.open() as stream:
        return tuple(each for each in yaml.load_all(stream, yaml.CSafeLoader) if each)


def _place(obj: Json, kustomization: Json) -> None:
    metadata, namespace = obj["metadata"], kustomization.get("namespace")
    for each in kustomization.get("labels", ()):
        metadata["labels"] = {**metadata.get("labels", {}), **each["pairs"]}
    if namespace and obj["kind"] == "Namespace":
        metadata["name"] = namespace
    if namespace and obj["kind"] not in OF_THE_CLUSTER:
        metadata["namespace"] = namespace
    for subject in obj.get("subjects", ()) if namespace else ():
        subject["namespace"] = namespace
    images = {each["name"]: each["newTag"] for each in kustomization.get("images", ())}
    for container in _containers(obj):
        if container["image"] in images:
            container["image"] = f"{container['image']}:{images[container['image']]}"


def _containers(obj: Json) -> Sequence[Json]:
    found: Sequence[Json] = obj["spec"]["template"]["spec"]["containers"] if obj["kind"] == "Deployment" else ()
    return found


def _patch(made: Sequence[Json], patch: Json, folder: Path) -> None:
    """Append to the lists of the object that a patch is for: no other operation is in our kustomizations."""
    target = patch["target"]
    for each in made:
        if (each["kind"], each["metadata"]["name"]) != (target["kind"], target["name"]):
            continue
        for operation in yaml.safe_load(patch["patch"]):
            *path, last = operation["path"].removeprefix("/").split("/")
            if (operation["op"], last) != ("add", "-"):
                message = f"{folder}: the operation {operation['op']} {operation['path']} is not read here"
                raise UnreadableError(message)
            _at(each, path).append(operation["value"])


def _at(obj: Any, path: Sequence[str]) -> list[object]:
    for part in path:
        obj = obj[int(part)] if isinstance(obj, list) else obj[part]
    found: list[object] = obj
    return found


def folders() -> Mapping[str, Path]:
    """The folders of the traffic providers, by name."""
    found = sorted(KUSTOMIZE.glob("*/kustomization.yaml"))
    return {
        each.parent.name: each.parent for each in found if each.parent.name not in {"base", "controller", "loadtester"}
    }


def main(arguments: Sequence[str]) -> int:
    """Print an installation."""
    parser = argparse.ArgumentParser(prog="python -m deploy.plain", description=__doc__.split("\n", 1)[0])
    parser.add_argument("provider", choices=sorted(folders()), help="the traffic provider of Canaries that name none")
    parser.add_argument("--within", metavar="NAMESPACE", help="print what needs rights in this namespace alone")
    given = parser.parse_args(arguments)
    made = objects(folders()[given.provider])
    head = _HEAD.format(name=given.provider)
    sys.stdout.write(text(within(given.within, made)) if given.within else head + text(made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
