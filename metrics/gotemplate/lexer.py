"""From a template's text to pieces: plain text, and actions cut into tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from metrics.gotemplate.errors import TemplateError

_SPACE = " \t\r\n"
_OPEN = re.compile(r"\{\{(-(?=[ \t\r\n]))?")
_COMMENT = re.compile(r"[ \t\r\n]?/\*.*?\*/([ \t\r\n]-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""
    (?P<trim>  [ \t\r\n]+-\}\} )
  | (?P<close> \}\} )
  | (?P<space> [ \t\r\n]+ )
  | (?P<text>  "(?:\\.|[^"\\\n])*" )
  | (?P<raw>   `[^`]*` )
  | (?P<number> [+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]) )
  | (?P<field> \.[A-Za-z_]\w* )
  | (?P<dot>   \. )
  | (?P<variable> \$\w* )
  | (?P<word>  [A-Za-z_]\w* )
  | (?P<sign>  := | [=|,()] )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an action.

    Args:
        kind: `text`, `raw`, `number`, `field`, `dot`, `variable`, `word`, `sign`, or `close` at the end
            of the action.
        text: as written.
        offset: where it begins in the template.
        spaced: whether white space stands before it.
    """

    kind: str
    text: str
    offset: int
    spaced: bool


@dataclass(frozen=True, slots=True)
class Plain:
    """Text between actions, trim markers already applied."""

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of one action; the last is its `close`."""

    tokens: tuple[Token, ...]


Piece: TypeAlias = Plain | Tokens


def pieces(source: str) -> Iterator[Piece]:
    """Cut a template into plain text and actions; comments are gone.

    Raises:
        TemplateError: an action isn't closed, or holds a character that means nothing.
    """
    position, trimmed = 0, False
    while (opening := _OPEN.search(source, position)) is not None:
        text = source[position : opening.start()]
        text = text.lstrip(_SPACE) if trimmed else text
        text = text.rstrip(_SPACE) if opening.group(1) else text
        if text:
            yield Plain(text)
        comment = _comment(source, opening)
        if comment is not None:
            position, trimmed = comment.end(), comment.group(1) is not None
            continue
        tokens, position, trimmed = _action(source, opening.start(), opening.end())
        yield Tokens(tokens)
    rest = source[position:].lstrip(_SPACE) if trimmed else source[position:]
    if rest:
        yield Plain(rest)


def _comment(source: str, opening: re.Match[str]) -> re.Match[str] | None:
    start = opening.end()
    if not source.startswith("/*", start + 1 if opening.group(1) else start):
        return None
    comment = _COMMENT.match(source, start)
    if comment is None:
        raise TemplateError.at(source, opening.start(), "this comment isn't closed by */}}")
    return comment


def _action(source: str, start: int, position: int) -> tuple[tuple[Token, ...], int, bool]:
    tokens: list[Token] = []
    spaced = False
    while True:
        match = _TOKEN.match(source, position)
        if match is None:
            raise _unreadable(source, start, position)
        kind, position = str(match.lastgroup), match.end()
        if kind == "space":
            spaced = True
            continue
        closing = kind in {"trim", "close"}
        tokens.append(Token("close" if closing else kind, match.group(), match.start(), spaced))
        spaced = False
        if closing:
            return tuple(tokens), position, kind == "trim"


def _unreadable(source: str, start: int, position: int) -> TemplateError:
    if position >= len(source):
        return TemplateError.at(source, start, "this action isn't closed by }}")
    character = source[position]
    if character in '"`':
        return TemplateError.at(source, position, "this string isn't closed")
    return TemplateError.at(source, position, f"{character!r} means nothing here")
