"""Registries whose rows are loaded when they are first named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar, cast

T = TypeVar("T")


class Rows(Mapping[str, T]):
    """A mapping that knows where its values are, and loads each the first time that somebody asks for it.

    Args:
        places: MODULE:ATTRIBUTE of each value, by its key.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        """The value of a key.

        Raises:
            KeyError: there is none.
        """
        if key not in self._loaded:
            module, _, attribute = self._places[key].partition(":")
            self._loaded[key] = cast("T", getattr(import_module(module), attribute))
        return self._loaded[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key: nothing is loaded for that."""
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._places)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._places)
