"""The syntax tree of a template. Every expression knows its offset, so that an error can say where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from metrics.gotemplate.values import Value

Kind: TypeAlias = Literal["if", "with", "range"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, boolean or nil written in the template."""

    value: Value
    offset: int


@dataclass(frozen=True, slots=True)
class Dot:
    """The current item of the enclosing `with` or `range`, nil outside of both."""

    offset: int


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of `$name`."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Field:
    """The entry `name` of the map that `of` gives."""

    of: Expression
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    offset: int


Expression: TypeAlias = Constant | Dot | Variable | Field | Call


@dataclass(frozen=True, slots=True)
class Pipeline:
    """An expression, and the variables that it is kept in.

    Args:
        value: what is evaluated; `a | f b` is already the call `f b a`.
        targets: variables named on the left, at most two (two in `range` only).
        declares: whether they are new (`:=`) or old (`=`).
    """

    value: Expression
    targets: tuple[str, ...]
    declares: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is written out, unless it goes to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with` or `range` up to its `end`."""

    kind: Kind
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node: TypeAlias = Text | Action | Block


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template.

    Args:
        source: its text, for error positions.
        nodes: what it consists of, in order.
    """

    source: str
    nodes: tuple[Node, ...]
