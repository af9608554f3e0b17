"""The part of Go's template language that metric queries use: text in, text out, no I/O.

Supported: actions with pipelines and parentheses, functions, fields of maps, variables, string, number and
boolean literals, comments, trim markers, `if`, `with`, `range` with their `else` and `end`, and Go's built-in
functions for comparing and formatting. Named templates (`define`, `template`, `block`) are refused by name.
"""

from metrics.gotemplate.errors import TemplateError
from metrics.gotemplate.evaluator import evaluate
from metrics.gotemplate.parser import parse

__all__ = ["TemplateError", "evaluate", "parse"]
