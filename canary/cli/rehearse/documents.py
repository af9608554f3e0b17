"""YAML streams as their authors wrote them: the objects in them, where each field stands, and what is written twice."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

YAML_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: ten times as fast."""

MAX_DEPTH: Final = 100
"""Fields within fields: no object of Kubernetes is half as deep."""

MAX_NODES: Final = 1_000_000
"""Values of a document, those that aliases repeat among them."""

MAX_DOCUMENTS: Final = 10_000
"""Of a stream, empty ones counted too: the objects of a large cluster are fewer, and what is endless is told soon."""

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


class _Loader(YAML_LOADER):  # type: ignore[misc, valid-type]  # one of two classes
    """Reads dates as the strings that they are in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in YAML_LOADER.yaml_implicit_resolvers.items()
}


class Place(NamedTuple):
    """Where something stands in a file, counted from 1."""

    line: int
    column: int


class Repeated(NamedTuple):
    """A field that is written twice: its path, and where it stands for the second time."""

    field: str
    place: Place


class Document(NamedTuple):
    """One object of a stream.

    Args:
        number: which document of the stream holds it, from 1.
        content: what it says; no map where it is something else.
        node: where it says so.
        repeated: the fields that are written twice.
    """

    number: int
    content: Any
    node: yaml.Node
    repeated: tuple[Repeated, ...] = ()

    def place(self, field: str) -> Place:
        """Where a field stands, such as `spec.metrics[0].name`, or what it is missing in."""
        node, found = self.node, _place(self.node)
        for index, name in _PART.findall(field):
            step = _step(node, index or name)
            if step is None:
                break
            found, node = step
        return found


class NotYamlError(ValueError):
    """A text can't be read as YAML; the message says where and why."""


def read(text: str) -> Iterator[Document]:
    """The documents of a stream, empty ones left out; lists of Kubernetes are taken apart.

    Raises:
        NotYamlError: it is no YAML, or more than can be read.
    """
    loader = _Loader(text)
    try:
        number = 0
        while loader.check_node():
            number += 1
            if number > MAX_DOCUMENTS:
                msg = f"it holds more than {MAX_DOCUMENTS:,} documents; give the specs alone"
                raise NotYamlError(msg)
            yield from _documents(number, loader.get_node(), loader)
    except yaml.YAMLError as error:
        raise NotYamlError(_syntax(error)) from error
    except RecursionError:
        msg = "its fields are nested too deeply; write an object of Kubernetes"
        raise NotYamlError(msg) from None
    except (ValueError, OverflowError) as error:
        if isinstance(error, NotYamlError):
            raise
        msg = f"a value in it can't be read: {' '.join(str(error).split())}; quote it, if it is a text"
        raise NotYamlError(msg) from error
    finally:
        loader.dispose()


def _documents(number: int, node: yaml.Node, loader: yaml.SafeLoader) -> Iterator[Document]:
    _measure(node, {})
    repeated = list(_repeated(node, "", set()))
    items = _step_to(node, "items")
    content = loader.construct_document(node)
    if content is None:
        return
    if isinstance(content, dict) and isinstance(content.get("items"), list) and _is_list(content):
        for index, (inner, item) in enumerate(zip(items.value if items else (), content["items"], strict=False)):
            if isinstance(item, dict):
                prefix = f"items[{index}]."
                own = [each for each in repeated if each.field.startswith(prefix)]
                own = [each._replace(field=each.field.removeprefix(prefix)) for each in own]
                yield Document(number, item, inner, tuple(own))
    else:
        yield Document(number, content, node, tuple(repeated))


def _is_list(content: dict[str, Any]) -> bool:
    return str(content.get("kind", "")).endswith("List")


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """How deep a value is, and how many it holds.

    Raises:
        NotYamlError: too many, or it holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1, 1
    measured = known.get(id(node))
    if measured == (0, 0):
        raise NotYamlError(_at(node, "it holds itself; write each value out"))
    if measured is None:
        known[id(node)] = 0, 0
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        inner = [_measure(part, known) for part in parts]
        measured = 1 + max((deep for deep, _ in inner), default=0), 1 + sum(many for _, many in inner)
        known[id(node)] = measured
    if measured[0] > MAX_DEPTH:
        raise NotYamlError(
            _at(node, f"its fields are nested more than {MAX_DEPTH} deep; write an object of Kubernetes")
        )
    if measured[1] > MAX_NODES:
        raise NotYamlError(_at(node, f"it holds more than {MAX_NODES:,} values; write each out, and fewer"))
    return measured


def _repeated(node: yaml.Node, path: str, looked: set[int]) -> Iterator[Repeated]:
    if isinstance(node, yaml.ScalarNode) or id(node) in looked:
        return
    looked.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, f"{path}[{index}]", looked)
        return
    names: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        field = f"{path}.{name}" if path else name
        if name in names:
            yield Repeated(field, _place(key))
        names.add(name)
        yield from _repeated(value, field, looked)


def _step(node: yaml.Node, part: str) -> tuple[Place, yaml.Node] | None:
    """One field, or one place of a list, further."""
    if isinstance(node, yaml.SequenceNode):
        here = node.value[int(part)] if part.isdecimal() and int(part) < len(node.value) else None
        return None if here is None else (_place(here), here)
    if isinstance(node, yaml.MappingNode):
        # Of one that is merged in and written, what is written counts, and comes last.
        for key, value in reversed(node.value):
            if key.value == part:
                return _place(key), value
    return None


def _step_to(node: yaml.Node, part: str) -> yaml.SequenceNode | None:
    step = _step(node, part)
    return step[1] if step is not None and isinstance(step[1], yaml.SequenceNode) else None


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _at(node: yaml.Node, words: str) -> str:
    place = _place(node)
    return f"line {place.line}, column {place.column}: {words}"


def _syntax(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return (
            f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or 'it is no YAML'}; mend the YAML there"
        )
    return f"it is no YAML: {' '.join(str(error).split())}; mend the YAML"
