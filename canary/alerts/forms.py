"""How a template is written out, so that no value can become more than a value where it stands.

A value comes from names, messages of metrics servers and queries: whoever can write one of them must not be able to
write a part of the message around it.
"""

import json
import math
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from metrics.gotemplate import Plain, Value, shown

_SIGNS = re.compile(r'"|\\.?', re.DOTALL)
"""What begins or ends a string in JSON, and what only looks like that."""


class AsJson(Plain):
    """JSON: inside of quotes a value is escaped, outside of them it is a whole JSON value, with its own quotes."""

    def __init__(self) -> None:
        self._quoted = False
        self._escaping = False

    def text(self, text: str) -> str:
        """Characters of the template itself; they tell whether what follows stands inside of quotes."""
        signs = _SIGNS.findall(f"\\{text}" if self._escaping else text)
        self._quoted ^= signs.count('"') % 2 == 1
        self._escaping = bool(signs) and signs[-1] == "\\"
        return text

    def value(self, value: Value) -> str:
        """A value, by where it stands.

        Raises:
            ValueError: a backslash stands right before it, which would take a part of it for its own.
        """
        if self._escaping:
            msg = "a backslash stands right before this value; write two of them"
            raise ValueError(msg)
        if not self._quoted:
            return _json(value)
        return _json(_words(value))[1:-1]


class AsWords(Plain):
    """Plain text: a value as it is."""

    def value(self, value: Value) -> str:
        """A value; of one that is not known nothing."""
        return _words(value)


class AsFormData(Plain):
    """The fields of a form: nothing in a value ends it, or begins another field."""

    def value(self, value: Value) -> str:
        """A value, encoded."""
        return quote_plus(_words(value), errors="replace")


class AsLink(Plain):
    """An address: nothing in a value ends its part of the path or of the query."""

    def value(self, value: Value) -> str:
        """A value, encoded."""
        return quote(_words(value), safe="", errors="replace")


def _words(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | tuple):
        return _json(value)
    return shown(value)


def _json(value: Value) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Value) -> object:
    """The same for JSON, which has no word for infinity and no half characters."""
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case float() if not math.isfinite(value):
            return None
        case tuple():
            return [_plain(each) for each in value]
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
    return value
