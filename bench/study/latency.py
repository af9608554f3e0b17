"""Rollouts whose canary is slower: the judge on histograms, classic and native."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from math import inf

import numpy as np
from scipy.special import ndtr

from bench.study.ours import STEPS, Ended
from metrics.judge.evidence import worse
from metrics.judge.histogram import Histogram, Timed, slower_than_quantile

CLASSIC = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, inf)
"""The buckets that Prometheus' client libraries have unless told otherwise, in seconds."""
NATIVE = tuple(float(2 ** (each / 8)) for each in range(-64, 32))
"""Those of a native histogram of schema 3."""
_MEDIAN, _SPREAD = 0.06, 0.7
_LOOK, _LOOKS, _BEFORE = 10.0, 30, 180
_LEVEL = 0.05
_CHUNK = 100


def slower(
    bounds: tuple[float, ...], times: float, rate: float, number: int, seed: Sequence[int], pool: ProcessPoolExecutor
) -> list[Ended]:
    """Simulate rollouts of five minutes whose canary takes `times` as long for each request (log-normal, p99 0.3 s)."""
    chunks = [(bounds, times, rate, min(_CHUNK, number - first), (*seed, first)) for first in range(0, number, _CHUNK)]
    return [ended for some in pool.map(_some, chunks) for ended in some]


def _some(chunk: tuple[tuple[float, ...], float, float, int, Sequence[int]]) -> list[Ended]:
    bounds, times, rate, number, seed = chunk
    chance = np.random.default_rng(seed)
    parts = {each: _parts(bounds, each) for each in (1.0, times)}
    return [_one(bounds, parts[times], parts[1.0], rate, chance) for _ in range(number)]


def _one(
    bounds: tuple[float, ...], slow: np.ndarray, usual: np.ndarray, rate: float, chance: np.random.Generator
) -> Ended:
    def histogram(parts: np.ndarray, share: float) -> Histogram:
        return Histogram(bounds, tuple(chance.poisson(parts * rate * _LOOK * share).tolist()))

    weights = [STEPS[look * len(STEPS) // _LOOKS] for look in range(_LOOKS)]
    looks = [Timed(histogram(slow, weight), histogram(usual, 1 - weight), _LOOK) for weight in weights]
    said = slower_than_quantile(looks, 0.99, usual=[histogram(usual, 1) for _ in range(_BEFORE)])
    since = worse(said.looks, usual=said.usual).since(_LEVEL)
    until = said.looks if since is None else said.looks[: since + 1]
    return Ended(
        found=None if since is None else (since + 1) * _LOOK,
        requests=sum(look.canary.requests for look in until),
        bad=sum(look.canary.bad for look in until),
        seconds=len(until) * _LOOK,
    )


def _parts(bounds: tuple[float, ...], times: float) -> np.ndarray:
    """The part of all requests in each bucket."""
    below = ndtr((np.log(np.array(bounds)) - np.log(_MEDIAN * times)) / _SPREAD)
    return np.diff(below, prepend=0.0)
