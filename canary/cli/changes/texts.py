"""Two states of an object, as a unified diff of their YAML."""

import difflib
import hashlib
import hmac
import secrets
from dataclasses import dataclass

import yaml

from canary.kube.types import Json, mapping

_SALT = secrets.token_bytes(16)
"""So that nobody finds a value by trying out its hash."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would change of one object.

    Args:
        name: KIND NAMESPACE/NAME.
        diff: the lines of a unified diff.
    """

    name: str
    diff: tuple[str, ...]

    def data(self) -> Json:
        """The same for programs."""
        return {"object": self.name, "diff": "\n".join(self.diff)}


def change(name: str, before: tuple[str, object], after: tuple[str, object]) -> Change | None:
    """What would change of an object; None where nothing would.

    Args:
        name: KIND NAMESPACE/NAME.
        before: what it is called now, and what it holds.
        after: what it is called then, and what it holds.
    """
    lines = difflib.unified_diff(_lines(before[1]), _lines(after[1]), before[0], after[0], lineterm="")
    found = tuple(lines)
    return Change(name, found) if found else None


def _lines(value: object) -> list[str]:
    if value in (None, {}, []):
        return []
    return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=120).splitlines()


def contents(config: Json | None) -> Json:
    """What a ConfigMap or Secret holds; of a Secret, by what its values differ, and not what they are."""
    if config is None:
        return {}
    held = {**mapping(config.get("data")), **mapping(config.get("binaryData"))}
    return {key: _hidden(value) for key, value in held.items()} if config.get("kind") == "Secret" else held


def _hidden(value: object) -> str:
    return f"(hidden, {hmac.new(_SALT, str(value).encode(), hashlib.sha256).hexdigest()[:12]})"
