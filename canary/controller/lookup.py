"""What is asked about the surroundings of a Canary, by whoever says what is wrong with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.controller.observe.index import Claims
from canary.kube.types import Json, Resource
from canary.workloads.configs import ConfigRef


class Gap(Enum):
    """Why an object can't be looked at, where nobody can say that there is none."""

    UNKNOWN = "it can't be known whether there is one"
    UNSERVED = "nobody has installed its kind"


Found = Json | Gap | None
"""An object; None where there is none."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The ConfigMaps and Secrets of a Canary's pods.

    Args:
        read: all that pods of the target or of the primary read; None where that is not known.
        missing: `configmap/NAME` or `secret/NAME` of what pods can't start without and does not exist.
        copied: the same of what the primary reads its own copies of.
    """

    read: frozenset[ConfigRef] | None = None
    missing: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()


class Lookup(Protocol):
    """What there is around a Canary, as far as it is known to whoever asks."""

    @property
    def claims(self) -> Claims:
        """Which Canaries want which workloads for themselves."""

    def find(self, resource: Resource, namespace: str, name: str) -> Found:
        """An object, or why there is none to look at."""

    def configuration(self, canary: Canary) -> Configuration:
        """What its pods read."""

    def strangers(self, canary: Canary) -> Iterable[Problem]:
        """What is wrong with objects of others that have the names of what is made for it."""
