"""From an action's words to the syntax tree."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from metrics.gotemplate.errors import TemplateError
from metrics.gotemplate.functions import BUILTIN
from metrics.gotemplate.lexer import Plain, Token, Tokens, pieces
from metrics.gotemplate.nodes import (
    Action,
    Block,
    Call,
    Constant,
    Dot,
    Expression,
    Field,
    Kind,
    Node,
    Pipeline,
    Template,
    Text,
    Variable,
)
from metrics.gotemplate.values import Value

_DEEPEST = 50
_REFUSED = frozenset({"define", "template", "block", "break", "continue"})
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "nil": None}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_SINGLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


@lru_cache(maxsize=512)
def parse(source: str, functions: frozenset[str]) -> Template:
    """Read a template; `metrics.gotemplate.parse` has the arguments and errors."""
    return Template(source, _Parser(source, functions).template())


class _Words:
    """The words of one action, taken from front to back; the last one, its close, is never passed."""

    def __init__(self, action: Tokens) -> None:
        self._tokens = action.tokens
        self._next = 0

    def peek(self, ahead: int = 0) -> Token:
        """A word that isn't taken yet."""
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next word."""
        token = self.peek()
        self._next += 1
        return token

    def at(self, sign: str) -> bool:
        """Whether the next word is this sign."""
        return self.peek().kind == "sign" and self.peek().text == sign

    def starts_operand(self) -> bool:
        """Whether the next word begins a value."""
        token = self.peek()
        return token.kind not in {"close", "sign"} or self.at("(")

    def targets(self) -> int:
        """How many variables stand before a `:=` or `=` that comes next."""
        for count in (1, 2):
            sign = self.peek(2 * count - 1)
            if self.peek(2 * count - 2).kind != "variable" or sign.kind != "sign":
                return 0
            if sign.text in {":=", "="}:
                return count
            if sign.text != ",":
                return 0
        return 0


class _Parser:
    """Reads the pieces of one template from front to back."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        self._source = source
        self._functions = functions
        self._pieces = pieces(source)
        self._variables = ["$"]
        self._depth = 0

    def template(self) -> tuple[Node, ...]:
        """Everything up to the end of the text."""
        nodes, ender = self._nodes()
        if ender is not None:
            word = ender.peek()
            raise self._error(word.offset, f"{word.text} without an if, with or range")
        return nodes

    def _nodes(self) -> tuple[tuple[Node, ...], _Words | None]:
        """The nodes up to the next `else` or `end` of this level, and that action."""
        nodes: list[Node] = []
        for piece in self._pieces:
            if isinstance(piece, Plain):
                nodes.append(Text(piece.text))
                continue
            words = _Words(piece)
            first = words.peek()
            if first.kind == "word" and first.text in {"else", "end"}:
                return tuple(nodes), words
            nodes.append(self._action(words))
        return tuple(nodes), None

    def _action(self, words: _Words) -> Node:
        first = words.peek()
        match first.text if first.kind == "word" else "":
            case ("if" | "with" | "range") as kind:
                words.take()
                return self._block(kind, words, first)
            case refused if refused in _REFUSED:
                raise self._error(first.offset, f"{refused} is not supported")
        pipeline = self._pipeline(words, many=False)
        self._close(words)
        return Action(pipeline)

    def _block(self, kind: Kind, words: _Words, opener: Token) -> Block:
        self._deeper(opener)
        known = len(self._variables)
        pipeline = self._pipeline(words, many=kind == "range")
        self._close(words)
        inner = len(self._variables)
        body, ender = self._nodes()
        del self._variables[inner:]
        otherwise: tuple[Node, ...] = ()
        if ender is not None and ender.peek().text == "else":
            otherwise, ender = self._otherwise(ender, kind)
        if ender is None:
            raise self._error(opener.offset, f"this {kind} has no end")
        ender.take()
        self._close(ender)
        del self._variables[known:]
        self._depth -= 1
        return Block(kind, pipeline, body, otherwise)

    def _otherwise(self, words: _Words, kind: Kind) -> tuple[tuple[Node, ...], _Words | None]:
        """What follows an `else`: a body up to the `end`, or an `else if` block, which shares that `end`."""
        words.take()
        chained = words.peek()
        if kind == "range" or chained.kind != "word" or chained.text != kind:
            self._close(words)
            return self._nodes()
        words.take()
        block = self._block(kind, words, chained)
        end = Token("word", "end", chained.offset, spaced=False)
        return (block,), _Words(Tokens((end, Token("close", "", chained.offset, spaced=False))))

    def _pipeline(self, words: _Words, *, many: bool) -> Pipeline:
        offset = words.peek().offset
        targets, declares = self._targets(words, many=many)
        value = self._stages(words)
        if declares:
            self._variables.extend(targets)
        return Pipeline(value, targets, declares, offset)

    def _targets(self, words: _Words, *, many: bool) -> tuple[tuple[str, ...], bool]:
        count = words.targets()
        if count == 0:
            return (), False
        if count > 1 and not many:
            raise self._error(words.peek().offset, "only range takes two variables")
        names = []
        for _ in range(count):
            names.append(words.take())
            sign = words.take()
        declares = sign.text == ":="
        for name in names:
            if not declares and name.text not in self._variables:
                raise self._error(name.offset, f"the variable {name.text} isn't declared")
        return tuple(name.text for name in names), declares

    def _stages(self, words: _Words) -> Expression:
        value = self._command(words)
        count = 0
        while words.at("|"):
            self._shallow(words.take(), count := count + 1)
            first = words.peek()
            stage = self._command(words)
            if not isinstance(stage, Call):
                raise self._error(first.offset, "what follows | must be a function")
            value = Call(stage.function, (*stage.arguments, value), stage.offset)
        return value

    def _command(self, words: _Words) -> Expression:
        first = words.peek()
        value = self._operand(words)
        arguments: list[Expression] = []
        while words.starts_operand():
            if not words.peek().spaced:
                raise self._error(words.peek().offset, f"a space is missing before {words.peek().text}")
            arguments.append(self._operand(words))
        if not arguments:
            if isinstance(value, Constant) and value.value is None:
                raise self._error(value.offset, "nil alone is no value")
            return value
        if first.kind != "word" or not isinstance(value, Call) or value.arguments:
            raise self._error(first.offset, f"{first.text} is not a function and takes no arguments")
        return Call(value.function, tuple(arguments), value.offset)

    def _operand(self, words: _Words) -> Expression:
        value = self._term(words)
        count = 0
        while words.peek().kind == "field" and not words.peek().spaced:
            self._shallow(words.peek(), count := count + 1)
            if isinstance(value, Constant):
                raise self._error(words.peek().offset, "a literal has no fields")
            field = words.take()
            value = Field(value, field.text[1:], field.offset)
        return value

    def _term(self, words: _Words) -> Expression:
        token = words.take()
        match token.kind:
            case "word" if token.text in _CONSTANTS:
                return Constant(_CONSTANTS[token.text], token.offset)
            case "word":
                return self._function(token)
            case "text":
                return Constant(self._unquoted(token), token.offset)
            case "raw":
                return Constant(token.text[1:-1].replace("\r", ""), token.offset)
            case "number":
                number = float(token.text) if set(token.text) & set(".eE") else int(token.text)
                return Constant(number, token.offset)
            case "dot":
                return Dot(token.offset)
            case "field":
                return Field(Dot(token.offset), token.text[1:], token.offset)
            case "variable":
                if token.text not in self._variables:
                    raise self._error(token.offset, f"the variable {token.text} isn't declared")
                return Variable(token.text, token.offset)
            case "sign" if token.text == "(":
                return self._parenthesised(words, token)
            case "close":
                raise self._error(token.offset, "a value is missing here")
        raise self._error(token.offset, f"{token.text} is unexpected here")

    def _function(self, token: Token) -> Call:
        if token.text not in self._functions and token.text not in BUILTIN:
            available = ", ".join(sorted(self._functions))
            raise self._error(token.offset, f"{token.text} isn't defined; available are {available}")
        return Call(token.text, (), token.offset)

    def _parenthesised(self, words: _Words, opener: Token) -> Expression:
        self._deeper(opener)
        value = self._stages(words)
        if not words.at(")"):
            raise self._error(opener.offset, "this parenthesis isn't closed")
        words.take()
        self._depth -= 1
        return value

    def _unquoted(self, token: Token) -> str:
        def single(match: re.Match[str]) -> str:
            code = match.group(1)
            if code in _SINGLE:
                return _SINGLE[code]
            if code[0] in "xuU" and len(code) > 1:
                return chr(int(code[1:], 16))
            if len(code) > 1:
                return chr(int(code, 8))
            raise self._error(token.offset + match.start() + 1, f"\\{code} is no escape of a string")

        try:
            return _ESCAPE.sub(single, token.text[1:-1])
        except (ValueError, OverflowError) as error:
            raise self._error(token.offset, "a character of this string is out of range") from error

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        self._shallow(token, self._depth)

    def _shallow(self, token: Token, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._error(token.offset, f"nested more than {_DEEPEST} deep")

    def _close(self, words: _Words) -> None:
        token = words.take()
        if token.kind != "close":
            raise self._error(token.offset, f"{token.text} is unexpected here")

    def _error(self, offset: int, reason: str) -> TemplateError:
        return TemplateError.at(self._source, offset, reason)
