"""What the requests of a window say about telling good versions from bad ones, step by step of the spec."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from canary.api.traffic import TOTAL_WEIGHT
from canary.cli.backtest import chance

MOST_RATE = 1e9
"""Requests a second that no service gets: a greater number comes of dividing by next to nothing."""

QUIET = 0.05
"""The part of all looks that are quieter than a quiet one."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A version that is to be found.

    Args:
        times: how many times the allowed share of its requests fails.
        rate: its error rate, 0 to 1.
        requests: how many requests a look needs to tell it from a healthy one; None where no number does.
    """

    times: int
    rate: float
    requests: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """A step that gives the canary a share of the requests.

    Args:
        weight: percent of the requests.
        requests: of one look, with the traffic of the median look.
        quiet: of one look, with the traffic of a quiet one.
        healthy_fails: probability that a look at a healthy version fails, with median traffic.
        bad_passes: probability that a look at a version with twice the allowed errors passes, with median traffic.
        rates_needed: by bad version, the requests a second of the whole service that it takes.
    """

    weight: int
    requests: float
    quiet: float
    healthy_fails: float
    bad_passes: float
    rates_needed: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """How far the traffic reaches.

    Args:
        window: what one look at the success rate looks back on.
        allowed: the share of failed requests that the spec accepts, 0 to 1.
        health: the error rate of a healthy version.
        per_second: requests a second of the median look.
        quiet: requests a second of a quiet look.
        bad: versions to be found.
        shares: by step; empty where the spec gives the canary no share.
        rolled_back: probability that chance alone rolls a healthy version back, with median traffic; None without
            shares.
    """

    window: timedelta
    allowed: float
    health: chance.Health
    per_second: float
    quiet: float
    bad: tuple[Bad, ...]
    shares: tuple[Share, ...]
    rolled_back: float | None


def traffic(
    success: Sequence[float],
    per_second: Sequence[float],
    *,
    least: float,
    window: timedelta,
    weights: Sequence[int],
    looks: Sequence[int],
    threshold: int,
) -> Traffic | None:
    """Say how far the traffic reaches.

    Args:
        success: the success rate in percent at every look; NaN is none.
        per_second: the requests a second at every look; NaN is none, and what can't be one counts as none.
        least: the success rate that the spec asks for, in percent.
        window: what one look looks back on.
        weights: percent of the requests that the canary gets, by step; empty where the spec gives it no share.
        looks: how many looks each of these steps takes.
        threshold: failed checks that roll a version back.

    Returns:
        None where no request is recorded.
    """
    seconds = window.total_seconds()
    per_second = [rate if 0 <= rate <= MOST_RATE else math.nan for rate in per_second]
    health = chance.health(success, [rate * seconds for rate in per_second])
    rates = sorted(rate for rate in per_second if not math.isnan(rate))
    if health is None or not rates:
        return None
    median, quiet = rates[len(rates) // 2], rates[int(len(rates) * QUIET)]
    allowed = min(max(1 - least / 100, 0.0), 1.0)
    bad = tuple(
        Bad(times, rate, chance.needed(allowed, health.rate, rate))
        for times in chance.TIMES
        if (rate := allowed * times) <= 1
    )
    worse = min(allowed * chance.TIMES[0], 1.0)
    shares = []
    for weight in weights:
        part = weight / TOTAL_WEIGHT
        requests = round(median * seconds * part)
        shares.append(
            Share(
                weight=weight,
                requests=median * seconds * part,
                quiet=quiet * seconds * part,
                # Without a request there is no success rate, so that nothing fails and nothing passes.
                healthy_fails=chance.fails(requests, allowed, health.rate) if requests else 0.0,
                bad_passes=1 - chance.fails(requests, allowed, worse) if requests else 1.0,
                rates_needed=tuple(None if each.requests is None else each.requests / (seconds * part) for each in bad),
            )
        )
    fails = [each.healthy_fails for each, count in zip(shares, looks, strict=True) for _ in range(count)]
    rolled_back = chance.rolled_back(fails, threshold) if shares else None
    return Traffic(window, allowed, health, median, quiet, bad, tuple(shares), rolled_back)
