"""The part of Go's template language that metric queries and messages use: text in, text out, no I/O.

Supported: actions with pipelines and parentheses, functions, fields of maps, lists, variables, string, number and
boolean literals, comments, trim markers, `if`, `with`, `range` with their `else` and `end`, and Go's built-in
functions for comparing and formatting. Named templates (`define`, `template`, `block`) are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metrics.gotemplate.errors import TemplateError
from metrics.gotemplate.values import Plain, Value, shown

if TYPE_CHECKING:
    from metrics.gotemplate.nodes import Template

__all__ = ["LONGEST_TEXT", "Plain", "TemplateError", "Value", "evaluate", "form_of", "parse", "shown"]

LONGEST_TEXT = 64 * 1024
"""Characters that a template may write."""


def parse(source: str, functions: frozenset[str]) -> Template:
    """Read a template.

    Args:
        source: the template's text.
        functions: names that it may call besides Go's built-in functions.

    Raises:
        TemplateError: the template can't be read, or calls what isn't there.
    """
    from metrics.gotemplate import parser  # noqa: PLC0415 - a controller without templates has no use for it

    return parser.parse(source, functions)


def form_of(template: Template, names: frozenset[str]) -> str | None:
    """A template as `str.__mod__` fills it in, with the values by name; None where it does more than write names out.

    Args:
        template: what `parse` gave.
        names: those whose values are texts.
    """
    from metrics.gotemplate import forms  # noqa: PLC0415 - as above

    return forms.form_of(template, names)


def evaluate(template: Template, names: Mapping[str, Value], *, dot: Value = None, form: Plain | None = None) -> str:
    """Write a template out.

    Args:
        template: what `parse` gave.
        names: the value of each function that the template may call without arguments.
        dot: the current item outside of every `with` and `range`.
        form: how it is written; one for each writing.

    Raises:
        TemplateError: a value is missing, or a function can't take what it is given.
    """
    from metrics.gotemplate import evaluator  # noqa: PLC0415 - as above

    return evaluator.evaluate(template, names, dot=dot, form=form)
