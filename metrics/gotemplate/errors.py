from __future__ import annotations


class TemplateError(Exception):
    """A template that can't be read or evaluated.

    Args:
        reason: what is wrong, in words.
        line: the line in the template, from 1.
        column: the column in that line, from 1.
    """

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column

    @classmethod
    def at(cls, source: str, offset: int, reason: str) -> TemplateError:
        """The error at a character offset of the template's text."""
        before = source[:offset]
        return cls(reason, before.count("\n") + 1, offset - before.rfind("\n"))
