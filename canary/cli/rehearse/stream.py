"""What there is around a Canary, as far as the files say that are rehearsed: the rest may be in the cluster."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.cli.rehearse.plausible import is_plausible
from canary.controller.lookup import Configuration, Found, Gap
from canary.controller.observe.foreign import namesakes
from canary.controller.observe.index import Claims
from canary.kube.store import Change, Key
from canary.kube.types import RESOURCES, SERVICE, Json, Resource, mapping
from canary.workloads import config_sync
from canary.workloads.autoscalers import autoscaler_of
from canary.workloads.configs import references
from canary.workloads.origin import is_evident, is_made_by_us, problem
from canary.workloads.registry import TARGETS, target_for

DEFAULT_NAMESPACE: Final = "default"

Raw = Mapping[str, Any]
_Key = tuple[str, str, str, str]

_KINDS = "|".join(sorted({each.kind for each in RESOURCES} | {r"\w*List"}))
_HOLDS_OBJECTS = re.compile(rf"""(?:^|[\s{{,])["']?kind["']?\s*:\s*["']?({_KINDS})\b""", re.MULTILINE)
_HELM = re.compile(
    r"\{\{-?\s*(?:[^}\n]{0,200}\s)?(?:\.(?:Values|Release|Chart|Capabilities|Files)\b|(?:include|tpl|toYaml)\s)"
)
_HELM_BLOCK = re.compile(r"\{\{-?\s*(?:if|else|end|with|range|define|template|block)\b")
_OURS = re.compile(r"kind:\s*[\"']?(?:Canary|CanaryFleet|MetricTemplate|AlertProvider)\b")
FILL_IN: Final = "it is a template of Helm, to be filled in first: helm template . | canary rehearse -f -"


def may_hold_objects(text: str) -> bool:
    """Whether it is worth while to read this as YAML: a folder may hold anything."""
    return _HOLDS_OBJECTS.search(text) is not None


def makes_canaries(text: str) -> bool:
    """Whether a template is one of objects of this group; others only speak of it, such as rules of access."""
    return _OURS.search(text) is not None


def is_of_helm(text: str, *, readable: bool) -> bool:
    """Whether a text is a template of Helm's, which says something else before it is filled in.

    Args:
        text: the text.
        readable: whether it can be read as YAML; queries of metrics are templates too, in what can.
    """
    return _HELM.search(text) is not None or (not readable and _HELM_BLOCK.search(text) is not None)


def namespace_in(raw: Raw) -> str:
    """The namespace that an object is applied to."""
    return str(mapping(raw.get("metadata")).get("namespace") or DEFAULT_NAMESPACE)


def name_in(raw: Raw) -> str:
    """The object's name, as far as it can be told."""
    return str(mapping(raw.get("metadata")).get("name", "?"))


class Stream:
    """The objects of all files.

    Args:
        objects: each with the file that it is in, and whether that was named itself.
    """

    def __init__(self, objects: Iterable[tuple[str, Raw, bool]]) -> None:
        self._objects: dict[_Key, list[tuple[str, Raw]]] = defaultdict(list)
        self._claims: dict[str, Claims] = defaultdict(Claims)
        for where, raw, named in objects:
            group = str(raw.get("apiVersion", "")).rpartition("/")[0]
            kind, namespace, name = str(raw.get("kind", "")), namespace_in(raw), name_in(raw)
            if kind == "Canary":
                # Those of a folder, and files without a namespace, are often meant for several places.
                together = named and mapping(raw.get("metadata")).get("namespace")
                claims = self._claims["" if together else where]
                claims.take(Change(Key(namespace, name), None, _in_namespace(raw)))
            if _is_whole(raw) and is_plausible(dict(raw)):
                self._objects[group, kind, namespace, name].append((where, raw))

    def find(self, where: str, resource: Resource, namespace: str, name: str) -> Found:
        """An object as a Canary in this file would meet it; of several that differ, the one in the same file."""
        found = self._objects.get((resource.group, resource.kind, namespace, name), [])
        here = [raw for there, raw in found if there == where] or [raw for _, raw in found]
        return dict(here[-1]) if here and all(each == here[0] for each in here) else Gap.UNKNOWN

    def claims(self, where: str, canary: Canary) -> Claims:
        """Which Canaries want which workloads, beside a Canary in this file."""
        there = self._claims[""]
        return there if there.of(canary.key) is not None else self._claims[where]


class Neighbours:
    """What there is around one Canary: the lookup of its rules.

    Args:
        stream: the objects of all files.
        where: the file that the Canary is in.
        canary: the Canary.
    """

    def __init__(self, stream: Stream, where: str, canary: Canary) -> None:
        self._stream = stream
        self._where = where
        self.claims = stream.claims(where, canary)

    def find(self, resource: Resource, namespace: str, name: str) -> Found:
        """An object of the files; of any other nobody knows."""
        return self._stream.find(self._where, resource, namespace, name)

    def configuration(self, canary: Canary) -> Configuration:
        """What the pods of a target read that is in the files; which of it is in the cluster nobody knows."""
        kind = target_for(canary)
        target = self._get(kind.resource, canary.namespace, canary.target_name) if kind is not None else None
        if kind is None or target is None:
            return Configuration()
        primary = self._get(kind.resource, canary.namespace, canary.primary_name) or {}
        read = references(kind.template(target))
        copied = () if not canary.is_copied else tuple(ref.key for ref in config_sync.snapshots(canary, sorted(read)))
        return Configuration(read | references(kind.template(primary)), copied=copied)

    def strangers(self, canary: Canary) -> Iterator[Problem]:
        """Objects of the files that have the names of what is made for the Canary, and don't say that they are that."""
        kind = target_for(canary)
        if kind is None or not canary.is_copied:
            return
        primary = self._get(kind.resource, canary.namespace, canary.primary_name)
        services = {name: self._get(SERVICE, canary.namespace, name) for name in canary.services}
        there = {name: service for name, service in services.items() if service is not None and service != primary}
        copied = self.configuration(canary).copied
        for each in namesakes(canary, kind, primary, there, copied, autoscaler_of(canary), self._get):
            if not is_evident(canary, each) and not is_made_by_us(each.obj):
                yield from problem(canary, each)

    def _get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        found = self.find(resource, namespace, name)
        return found if isinstance(found, dict) else None


def _in_namespace(raw: Raw) -> Json:
    return {**raw, "metadata": {**mapping(raw.get("metadata")), "namespace": namespace_in(raw)}}


def _is_whole(raw: Raw) -> bool:
    """Whether this is an object, and not a patch of one as kustomize has it."""
    spec = mapping(raw.get("spec"))
    if raw.get("kind") == SERVICE.kind:
        return "ports" in spec or "externalName" in spec
    if raw.get("kind") in TARGETS:
        pods = mapping(mapping(spec.get("template")).get("spec"))
        return "selector" in spec and "containers" in pods
    return True
