"""The Canaries that files hold, each with the MetricTemplates beside it; or why one can't be rehearsed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from canary.api.canary import Canary, parse_canary
from canary.api.meta import GROUP, Metadata
from canary.api.metrictemplate import MetricTemplate, parse_metric_template
from canary.api.problems import InvalidResource, Problem
from canary.cli.rehearse.reading import UnreadableError, documents

STDIN: Final = "-"
DEFAULT_NAMESPACE: Final = "default"
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
BESIDE: Final = ".rehearsal"
"""What the name of a file with expectations has before its suffix."""

Templates = Mapping[tuple[str, str], MetricTemplate]
"""MetricTemplates by namespace and name."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A Canary to rehearse.

    Args:
        where: the file that it is in.
        canary: the Canary, in a namespace.
        templates: the MetricTemplates of the same stream.
        replicas: pods of the target, where it is in the same stream.
    """

    where: str
    canary: Canary
    templates: Templates
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Canary that can't run, and why.

    Args:
        where: the file that it is in.
        name: NAMESPACE/NAME, as far as it can be told.
        problems: at least one.
    """

    where: str
    name: str
    problems: tuple[Problem, ...]


def specs_in(text: str, where: str) -> tuple[Spec | Refusal, ...]:
    """The Canaries of a stream of YAML documents, in its order.

    Raises:
        UnreadableError: it is no YAML, or a MetricTemplate in it can't be read.
    """
    found = [raw for _, raw in documents(text, where)]
    templates = {(each.namespace, each.name): each for each in _templates(found, where)}
    return tuple(_spec(raw, where, templates, found) for raw in found if _is(raw, "Canary"))


def files_in(folder: Path) -> Iterator[Path]:
    """The files of a folder and those below it that may hold Canaries, in order; hidden folders are left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and not is_beside(path) and path.is_file():
            yield path


def is_beside(path: Path) -> bool:
    """Whether a file holds expectations."""
    return path.suffix in SUFFIXES and path.stem.endswith(BESIDE)


def may_hold_canaries(text: str) -> bool:
    """Whether it is worth while to read this as YAML: a folder may hold anything, templates of Helm included."""
    return GROUP in text and "Canary" in text


def _is(raw: Mapping[str, Any], kind: str) -> bool:
    return raw.get("kind") == kind and str(raw.get("apiVersion", "")).startswith(f"{GROUP}/")


def _spec(raw: dict[str, Any], where: str, templates: Templates, others: Iterable[Mapping[str, Any]]) -> Spec | Refusal:
    try:
        canary = parse_canary(raw)
    except InvalidResource as error:
        return Refusal(where, _name_of(raw), error.problems)
    # As a new object has it: what a cluster has written into a file that was fetched from one is of no interest.
    namespace = canary.metadata.namespace or DEFAULT_NAMESPACE
    fresh = Metadata(name=canary.metadata.name, namespace=namespace, generation=1)
    made = Canary(metadata=fresh, spec=canary.spec)
    return Spec(where, made, templates, _replicas(made, others))


def _replicas(canary: Canary, others: Iterable[Mapping[str, Any]]) -> int | None:
    """How many pods the target asks for, where it is among these."""
    target = canary.spec.target_ref
    for raw in others:
        if raw.get("kind") == target.kind and _name_of(raw) == f"{canary.namespace}/{target.name}":
            spec = raw.get("spec")
            replicas = spec.get("replicas", 1) if isinstance(spec, dict) else 1
            return replicas if isinstance(replicas, int) and replicas > 0 else None
    return None


def _name_of(raw: Mapping[str, Any]) -> str:
    metadata = raw.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    return f"{fields.get('namespace') or DEFAULT_NAMESPACE}/{fields.get('name', '?')}"


def _templates(found: list[dict[str, Any]], where: str) -> Iterator[MetricTemplate]:
    for raw in found:
        if not _is(raw, "MetricTemplate"):
            continue
        try:
            template = parse_metric_template(raw)
        except InvalidResource as error:
            lines = (f"MetricTemplate {_name_of(raw)}: {problem}" for problem in error.problems)
            raise UnreadableError(where, *lines) from error
        metadata = template.metadata
        yield template.replace(metadata=metadata.replace(namespace=metadata.namespace or DEFAULT_NAMESPACE))
