"""From the syntax tree to text."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TypeAlias

from metrics.gotemplate import LONGEST_TEXT
from metrics.gotemplate.errors import TemplateError
from metrics.gotemplate.functions import BUILTIN, entry, kind, truth
from metrics.gotemplate.nodes import (
    Action,
    Block,
    Call,
    Constant,
    Dot,
    Expression,
    Field,
    Node,
    Pipeline,
    Template,
    Text,
    Variable,
)
from metrics.gotemplate.values import Plain, Value

_MOST_STEPS = 10_000

Scope: TypeAlias = "ChainMap[str, Value]"


def evaluate(template: Template, names: Mapping[str, Value], *, dot: Value = None, form: Plain | None = None) -> str:
    """Write a template out; `metrics.gotemplate.evaluate` has the arguments and errors."""
    evaluation = _Evaluation(template.source, names, form or Plain())
    evaluation.nodes(template.nodes, dot, ChainMap({"$": dot}))
    return evaluation.text


class _Evaluation:
    """One writing of one template, bounded in time and memory: whoever may write templates may not stop the rest."""

    def __init__(self, source: str, names: Mapping[str, Value], form: Plain) -> None:
        self._source = source
        self._names = names
        self._form = form
        self._out: list[str] = []
        self._written = 0
        self._steps = 0

    @property
    def text(self) -> str:
        """What is written so far."""
        return "".join(self._out)

    def nodes(self, nodes: tuple[Node, ...], dot: Value, scope: Scope) -> None:
        """Write nodes out, `dot` being the current item and `scope` the variables."""
        for node in nodes:
            match node:
                case Text():
                    self._write(self._form.text(node.text), 0)
                case Action():
                    self._action(node.pipeline, dot, scope)
                case Block():
                    self._block(node, dot, scope.new_child())

    def _action(self, pipeline: Pipeline, dot: Value, scope: Scope) -> None:
        value = self._value(pipeline.value, dot, scope)
        if pipeline.targets:
            self._keep(scope, pipeline, (value,))
            return
        try:
            self._write(self._form.value(value), pipeline.offset)
        except ValueError as error:
            raise self._error(pipeline.offset, str(error)) from error

    def _write(self, text: str, offset: int) -> None:
        self._out.append(text)
        self._written += len(text)
        self._limit(self._written, offset)

    def _limit(self, length: int, offset: int) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS or length > LONGEST_TEXT:
            raise self._error(offset, "this makes more text, or takes more steps, than a template needs")

    def _block(self, block: Block, dot: Value, scope: Scope) -> None:
        self._limit(0, block.pipeline.offset)
        value = self._value(block.pipeline.value, dot, scope)
        if block.kind == "range":
            self._range(block, value, dot, scope)
            return
        self._keep(scope, block.pipeline, (value,))
        if truth(value):
            self.nodes(block.body, value if block.kind == "with" else dot, scope.new_child())
        else:
            self.nodes(block.otherwise, dot, scope.new_child())

    def _range(self, block: Block, value: Value, dot: Value, scope: Scope) -> None:
        if value is not None and not isinstance(value, Mapping | tuple):
            raise self._error(block.pipeline.offset, f"range goes over a map or a list, not {kind(value)}")
        items: Iterable[tuple[Value, Value]]
        items = enumerate(value) if isinstance(value, tuple) else sorted((value or {}).items())
        for key, item in items:
            turn = scope.new_child()
            self._keep(turn, block.pipeline, (key, item)[-len(block.pipeline.targets) :])
            self.nodes(block.body, item, turn)
        if not value:
            self.nodes(block.otherwise, dot, scope.new_child())

    def _value(self, expression: Expression, dot: Value, scope: Scope) -> Value:
        match expression:
            case Constant():
                return expression.value
            case Dot():
                return dot
            case Variable():
                return self._holder(scope, expression.name, expression.offset)[expression.name]
            case Field():
                container = self._value(expression.of, dot, scope)
                try:
                    return entry(container, expression.name)
                except ValueError as error:
                    raise self._error(expression.offset, str(error)) from error
            case Call():
                return self._call(expression, dot, scope)

    def _call(self, call: Call, dot: Value, scope: Scope) -> Value:
        if call.function in self._names:
            if call.arguments:
                raise self._error(call.offset, f"{call.function} takes no arguments")
            return self._names[call.function]
        function = BUILTIN[call.function]
        count = len(call.arguments)
        if count < function.least or (function.most is not None and count > function.most):
            wanted = f"{function.least}{'' if function.most == function.least else ' or more'}"
            raise self._error(call.offset, f"{call.function} takes {wanted} arguments, not {count}")
        values: list[Value] = []
        for argument in call.arguments:
            values.append(self._value(argument, dot, scope))
            if call.function in {"and", "or"} and truth(values[-1]) == (call.function == "or"):
                break
        try:
            value = function.call(*values)
        except ValueError as error:
            raise self._error(call.offset, str(error)) from error
        self._limit(len(value) if isinstance(value, str) else 0, call.offset)
        return value

    def _keep(self, scope: Scope, pipeline: Pipeline, values: tuple[Value, ...]) -> None:
        for name, value in zip(pipeline.targets, values, strict=False):
            holder = scope if pipeline.declares else self._holder(scope, name, pipeline.offset)
            holder[name] = value

    def _holder(self, scope: Scope, name: str, offset: int) -> MutableMapping[str, Value]:
        """The block that holds a variable; the `else` of a `range` is in its scope and has no item."""
        for held in scope.maps:
            if name in held:
                return held
        raise self._error(offset, f"the variable {name} has no value here")

    def _error(self, offset: int, reason: str) -> TemplateError:
        return TemplateError.at(self._source, offset, reason)
