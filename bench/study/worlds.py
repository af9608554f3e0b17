"""How requests come to two versions, and which of them are bad."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Seen = tuple[Numbers, Numbers, Numbers, Numbers]
"""Requests and bad ones of the canary, requests and bad ones of the promoted version; one of each rollout."""


class Kind(StrEnum):
    """What a request has to do with the ones before it."""

    INDEPENDENT = "independent"
    OUTAGES = "outages of what both versions need: a minute in ten, a tenth of all requests"
    DAY = "load and failures that double and vanish within ten minutes"
    CLUSTERS = "failures in clusters of three on average, each in one version"
    RETRIES = "failures in clusters of ten on average, each in one version"
    PODS = "each of three pods of both versions bad for a minute in ten"
    NODE = "one of three pods of the canary on a node that makes it three times as bad"


@dataclass(frozen=True)
class Traffic:
    """What comes.

    Args:
        rate: requests a second, of both versions together.
        canary: the share of the canary's requests that is bad.
        promoted: that of the promoted version's.
        kind: how they hang together; the shares are those on average.
    """

    rate: float
    canary: float = 0.005
    promoted: float = 0.005
    kind: Kind = Kind.INDEPENDENT


class World:
    """Many rollouts side by side.

    Args:
        traffic: what comes to each.
        rollouts: how many.
        chance: where its randomness comes from.
    """

    def __init__(self, traffic: Traffic, rollouts: int, chance: np.random.Generator) -> None:
        self._traffic = traffic
        self._chance = chance
        self._phase = chance.uniform(0, 2 * np.pi, rollouts)
        self._ill = chance.random((rollouts, 1 if traffic.kind is Kind.OUTAGES else 6)) < _SHARE
        self._time = 0.0

    def look(self, weights: Numbers, seconds: float) -> Seen:
        """What comes within some seconds.

        Args:
            weights: the share of requests that the canary gets, in each rollout.
            seconds: how long.
        """
        traffic, chance = self._traffic, self._chance
        self._time += seconds
        wave = 1 + np.sin(2 * np.pi * self._time / _DAY + self._phase) if traffic.kind is Kind.DAY else 1.0
        load = traffic.rate * seconds * wave
        canary = chance.poisson(load * weights).astype(float)
        promoted = chance.poisson(load * (1 - weights)).astype(float)
        factors = self._factors(seconds, wave)
        return (
            canary,
            self._bad(canary, np.minimum(1, traffic.canary * factors[0])),
            promoted,
            self._bad(promoted, np.minimum(1, traffic.promoted * factors[1])),
        )

    def _factors(self, seconds: float, wave: Numbers | float) -> tuple[Numbers | float, Numbers | float]:
        """By how much each version's share is multiplied for now."""
        match self._traffic.kind:
            case Kind.DAY:
                return wave, wave
            case Kind.NODE:
                return 5 / 3, 1.0
            case Kind.OUTAGES:
                self._pass(seconds)
                both = np.where(self._ill[:, 0], _ILL, _WELL)
                return both, both
            case Kind.PODS:
                self._pass(seconds)
                pods = np.where(self._ill, _ILL, _WELL)
                return pods[:, :3].mean(axis=1), pods[:, 3:].mean(axis=1)
        return 1.0, 1.0

    def _pass(self, seconds: float) -> None:
        """Let time pass: who is ill recovers after a minute on average, and falls ill so that a tenth is, always."""
        recovers = 1 - np.exp(-seconds / 60)
        falls = recovers * _SHARE / (1 - _SHARE)
        drawn = self._chance.random(self._ill.shape)
        self._ill = np.where(self._ill, drawn >= recovers, drawn < falls)

    def _bad(self, requests: Numbers, share: Numbers) -> Numbers:
        size = {Kind.CLUSTERS: 3, Kind.RETRIES: 10}.get(self._traffic.kind)
        if size is None:
            return self._chance.binomial(requests.astype(int), share).astype(float)
        clusters = self._chance.poisson(requests * share / size)
        more = self._chance.negative_binomial(np.maximum(1, clusters), 1 / size)
        return np.minimum(requests, np.where(clusters > 0, clusters + more, 0)).astype(float)


_DAY = 600.0
_SHARE = 0.1
"""The share of time in which something is ill, and how much worse it is then, so that the average stays."""
_ILL, _WELL = 9.1, 0.1
