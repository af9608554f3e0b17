"""Canaries of files in another version of this group, with no cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from canary.api import meta
from canary.api.canary import Canary
from canary.api.crds import DEFINITIONS, newer_version, root_schema
from canary.api.v1beta2 import table
from canary.api.v1beta2.convert import is_canary, to_v1beta1, to_v1beta2
from canary.cli.convert.files import read
from canary.cli.failures import CommandError
from canary.kube.types import Json, mapping

VERSIONS: Final[Mapping[str, tuple[str, Callable[[Json], Json]]]] = {
    "v1beta1": (table.API_VERSION, to_v1beta1),
    "v1beta2": (meta.API_VERSION, to_v1beta2),
}
"""Each version, with the one that it is made of, and how."""


def in_version(places: Sequence[str], version: str) -> Iterator[Json]:
    """Every object of files, the Canaries among them in this version.

    Args:
        places: files, folders, and `-` for the standard input.
        version: such as `v1beta2`.

    Raises:
        CommandError: there is no Canary, or a file can't be read.
    """
    found = [each.content for _, each in read(places) if isinstance(each.content, dict)]
    source, way = VERSIONS[version]
    if not any(is_canary(each, api) for each in found for api in (meta.API_VERSION, table.API_VERSION)):
        raise CommandError(f"there is no Canary of {meta.GROUP} in {', '.join(places)}; name the file that it is in")
    return (_ordered(way(each), version) if is_canary(each, source) else each for each in found)


def _ordered(canary: Json, version: str) -> Json:
    """The fields of the spec in the order in which a person would write them."""
    spec = canary.get("spec")
    if not isinstance(spec, dict):
        return canary
    order = [*_fields(version), *spec]
    return {**canary, "spec": {name: spec[name] for name in sorted(spec, key=order.index)}}


def _fields(version: str) -> Sequence[str]:
    (canaries,) = (each for each in DEFINITIONS if each.model is Canary)
    schema = newer_version()["schema"]["openAPIV3Schema"] if version == table.VERSION else root_schema(canaries)
    return list(mapping(schema["properties"]["spec"]["properties"]))
