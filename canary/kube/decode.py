"""Reading JSON that others wrote, however deep it is."""

import json
import re
from typing import cast

DEEPEST = 100
"""Levels that are read of what has too many for Python; an object of Kubernetes has some 20."""

# Strings are matched as a whole, so that brackets in them don't count.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def decode(content: bytes) -> object:
    """Read a JSON text; what is nested too deep for Python is null in it.

    Raises:
        ValueError: It isn't JSON.
    """
    try:
        return cast("object", json.loads(content))
    except RecursionError:
        return cast("object", json.loads(_shallow(content)))


def _shallow(content: bytes) -> bytes:
    """The text with null in place of every object and list below the deepest level that is read."""
    kept: list[bytes] = []
    depth = at = 0
    for token in _TOKENS.finditer(content):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth == DEEPEST + 1:
                    kept += [content[at : token.start()], b"null"]
            case b"]" | b"}":
                depth -= 1
                if depth == DEEPEST:
                    at = token.end()
    return b"".join((*kept, content[at:])) if depth <= DEEPEST else content[:0]
