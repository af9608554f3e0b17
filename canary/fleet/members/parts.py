"""Parts of objects that others wrote, which know where they stand: what is wrong with one names object and field."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from canary.api.problems import Problem
from canary.kube.types import Json

_LONGEST = 300
"""Characters of what others say that are repeated."""


class Refused(Exception):  # noqa: N818 - reads as what it is where it is caught
    """Something keeps a cluster from being used.

    Args:
        of: the object that says so.
        problem: its field, what is wrong, and what to do about it; no text of a Secret.
    """

    def __init__(self, of: str, problem: Problem) -> None:
        super().__init__(f"{of}: {problem}")
        self.of, self.problem = of, problem


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object.

    Args:
        value: what stands there; None for nothing.
        of: the object, such as `Secret shop/eu-kubeconfig`.
        path: the field, such as `spec.secretRef.name`; empty for the whole.
        within: the field of a text that the path leads into, such as `data.value`; empty for the object itself.
    """

    value: object = field(repr=False)
    of: str
    path: str = ""
    within: str = ""

    @classmethod
    def of_object(cls, obj: Json) -> "Part":
        """A whole object."""
        return cls(obj, _called(obj))

    @property
    def where(self) -> str:
        """The field, with the text that it stands in."""
        return " in ".join(filter(None, (self.path, self.within))) or "metadata"

    def refused(self, message: str, remedy: str) -> Refused:
        """What is wrong with this part."""
        return Refused(self.of, Problem(self.where, message, remedy))

    def part(self, name: str) -> "Part":
        """A field of this part, which may be a path of several.

        Raises:
            Refused: this part, or one on the way, has no fields.
        """
        part = self
        for step in name.split("."):
            part = part.key(step)
        return part

    def key(self, name: str) -> "Part":
        """A field of this part, whose name may have dots.

        Raises:
            Refused: this part has no fields.
        """
        if self.value is None:
            value = None
        elif isinstance(self.value, dict):
            value = self.value.get(name)
        else:
            raise self.refused("has no fields of its own", f"write {name} under it")
        return Part(value, self.of, f"{self.path}.{name}".lstrip("."), self.within)

    @property
    def is_there(self) -> bool:
        """Whether something stands here that says something; an empty text does not."""
        return self.value is not None and self.value != ""

    def text(self, default: str | None = None) -> str:
        """The text that stands here.

        Args:
            default: what stands for nothing; None where something must be there.

        Raises:
            Refused: it is no text, or there is none.
        """
        if not self.is_there and default is not None:
            return default
        if not self.is_there:
            raise self.refused("is empty", "fill it in")
        if not isinstance(self.value, str):
            raise self.refused("is no text", "write a text, in quotes")
        return self.value

    def flag(self) -> bool:
        """Whether this is switched on.

        Raises:
            Refused: it is neither true nor false.
        """
        if not isinstance(self.value, bool | None):
            raise self.refused("is neither true nor false", "write true or false")
        return self.value is True

    def each(self) -> Iterator["Part"]:
        """The parts of a list.

        Raises:
            Refused: it is no list.
        """
        if self.value is not None and not isinstance(self.value, list):
            raise self.refused("is no list", "write a list")
        for index, value in enumerate(self.value or ()):
            yield Part(value, self.of, f"{self.path}[{index}]", self.within)

    def named(self, name: str) -> "Part":
        """The one part of a list that is called that.

        Raises:
            Refused: none is, or several are.
        """
        found = [each for each in self.each() if each.key("name").value == name]
        if len(found) != 1:
            count = "several entries" if found else "no entry"
            raise self.refused(f"has {count} of the name that is asked for", "have one entry of each name")
        return found[0]

    def decoded(self, default: str | None = None) -> str:
        """The text that stands here as base64, as the data of Secrets does.

        Raises:
            Refused: it is no such text, or there is none.
        """
        try:
            return base64.b64decode("".join(self.text(default).split()), validate=True).decode()
        except (binascii.Error, ValueError):
            raise self.refused("is no text in base64", "encode the text with base64") from None

    @property
    def name(self) -> str:
        """The name of a whole object; empty where it has none."""
        return _of(self.value, "name")

    @property
    def namespace(self) -> str:
        """The namespace of a whole object; empty where it has none."""
        return _of(self.value, "namespace")


def labels_of(obj: object) -> dict[str, str]:
    """The labels of a whole object, those that are none left out."""
    labels = _metadata(obj).get("labels")
    pairs = labels.items() if isinstance(labels, dict) else ()
    return {key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str)}


def said(text: object) -> str:
    """What others say, cut where it is long."""
    words = " ".join(str(text or "").split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _called(obj: Json) -> str:
    place = "/".join(filter(None, (_of(obj, "namespace"), _of(obj, "name"))))
    return f"{said(obj.get('kind')) or 'an object'} {place or 'without a name'}"


def _of(obj: object, name: str) -> str:
    value = _metadata(obj).get(name)
    return value if isinstance(value, str) else ""


def _metadata(obj: object) -> Mapping[str, object]:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return metadata if isinstance(metadata, dict) else {}
