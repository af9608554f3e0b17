"""The rules of others, on the same traffic."""

import numpy as np
from scipy.special import ndtr

from bench.study.ours import STEPS, Ended
from bench.study.worlds import Numbers, Traffic, World

_INTERVAL = 60.0
_SUCCESS = 0.99
_THRESHOLD = 5
_LOOKS = 120


def flagger(traffic: Traffic, number: int, seed: tuple[int, ...]) -> list[Ended]:
    """Flagger's rule: at each minute 99 % of the minute's requests; five minutes that fail, or are silent, roll back.

    A minute that fails keeps the weight where it is; the last weight's success promotes.
    """
    world = World(traffic, number, np.random.default_rng(seed))
    step, failed = np.zeros(number, int), np.zeros(number, int)
    requests, bad = np.zeros(number), np.zeros(number)
    time, found = np.zeros(number), np.full(number, np.nan)
    for _ in range(_LOOKS):
        goes_on = (step < len(STEPS)) & (failed < _THRESHOLD)
        n, k, _, _ = world.look(np.array(STEPS)[np.minimum(step, len(STEPS) - 1)], _INTERVAL)
        passes = (n > 0) & (n - k >= _SUCCESS * n)
        requests, bad, time = requests + goes_on * n, bad + goes_on * k, time + goes_on * _INTERVAL
        step, failed = step + (goes_on & passes), failed + (goes_on & ~passes)
        found = np.where(goes_on & (failed >= _THRESHOLD), time, found)
    return [
        Ended(None if np.isnan(found[each]) else float(found[each]), requests[each], bad[each], time[each])
        for each in range(number)
    ]


ALPHAS = (0.02, 0.05)
"""The levels of Kayenta and of PipeCD."""


def repeated(looks: tuple[int, ...], window: int | None, number: int, seed: tuple[int, ...]) -> dict[int, list[float]]:
    """How often a Mann-Whitney test that is repeated at each look finds two versions different that are alike.

    Each look brings one more value of each version, and the test, two-sided, by its normal approximation, takes the
    last ones. The number of pairs in which the canary's value is higher is brought up to date rather than counted anew.

    Args:
        looks: after how many the answer is wanted.
        window: how many values it takes; None of all since ten before the first look.
        number: how many rollouts.
        seed: of their randomness.

    Returns:
        For each number of looks, the share at each of the levels.
    """
    before, chance, count = window or 10, np.random.default_rng(seed), max(looks)
    canary, promoted = (chance.standard_normal((number, before + count), np.float32) for _ in range(2))
    found, shares = np.zeros((len(ALPHAS), number), bool), {}
    above = _above(canary[:, :before], promoted[:, :before])
    for look in range(count):
        end = before + look
        start = end - before if window else 0
        above = above + (canary[:, end, None] > promoted[:, start : end + 1]).sum(1)
        above = above + (canary[:, start:end] > promoted[:, end, None]).sum(1)
        if window:
            above = above - (canary[:, start, None] > promoted[:, start : end + 1]).sum(1)
            above = above - (canary[:, start + 1 : end + 1] > promoted[:, start, None]).sum(1)
        p_values = _p_value(above, end - start + (0 if window else 1))
        for level, alpha in enumerate(ALPHAS):
            found[level] |= p_values < alpha
        if look + 1 in looks:
            shares[look + 1] = [float(each) for each in found.mean(axis=1)]
    return shares


def tolerant(looks: tuple[int, ...], window: int, number: int, seed: tuple[int, ...]) -> dict[int, float]:
    """The same as Kayenta has it since it compares with a quarter of the difference, rather than with none.

    It holds a canary to be different where the 98 % interval of the difference (Hodges and Lehmann's) lies beyond a
    quarter of its estimate: where the test still rejects once the canary's values are moved by that.
    """
    chance, count = np.random.default_rng(seed), max(looks)
    canary, promoted = (chance.standard_normal((number, window + count), np.float32) for _ in range(2))
    found, shares = np.zeros(number, bool), {}
    for look in range(count):
        some = slice(look + 1, look + 1 + window)
        pairs = (canary[:, some, None] - promoted[:, None, some]).reshape(number, -1)
        moved = np.median(pairs, axis=1) / 4
        above = (pairs > moved[:, None]).sum(axis=1)
        found |= _p_value(above, window) < ALPHAS[0]
        if look + 1 in looks:
            shares[look + 1] = float(found.mean())
    return shares


def _above(canary: Numbers, promoted: Numbers) -> Numbers:
    return sum((canary[:, each, None] > promoted).sum(axis=1) for each in range(canary.shape[1]))


def _p_value(above: Numbers, size: int) -> Numbers:
    z = (np.abs(above - size * size / 2) - 0.5) / np.sqrt(size * size * (2 * size + 1) / 12)
    return 2 * (1 - ndtr(z))
