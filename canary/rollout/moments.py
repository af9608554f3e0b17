"""Which moment of a rollout something is run for: once for each, however often the controller is killed.

The name of a moment is made of what is stored, so that whoever goes on after a crash finds what was begun.
"""

from hashlib import sha256

from canary.api.canary import Canary
from canary.api.status import Phase

JUDGED = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
"""Phases in which a new version is looked at."""

LENGTH = 10
"""Characters of a moment's name: by chance, two of a Canary have the same once in 10^12 pairs."""


def moment(canary: Canary, *, primary: bool = False) -> str:
    """The name of what is looked at now: a step of a rollout, anew after each failed check; or a bake.

    Before the first step it is the rollout's beginning.

    Args:
        canary: the Canary, with the status that is stored.
        primary: whether the promoted version is looked at, not the canary.
    """
    status = canary.status
    if primary:
        bake = status.bake
        baked = (bake.start_time, bake.failed_checks) if bake is not None else ()
        return _named(canary, True, status.last_promoted_spec, *baked)
    return _named(canary, False, *_place(canary), status.failed_checks)


def step(canary: Canary) -> str:
    """The name of a step of a rollout, whatever its checks say: what people approve stays approved."""
    return _named(canary, "step", *_place(canary))


def _place(canary: Canary) -> tuple[object, ...]:
    """Where a rollout stands; before its first step it is told from others of the same revision by its beginning."""
    status = canary.status
    begun: tuple[object, ...] = (status.analysis_start_time,)
    if status.analysis_start_time is None:
        begun = ("begin", status.rollout_start_time, status.last_retry)
    return (status.last_applied_spec, *begun, status.canary_weight, status.iterations, status.partition)


def starting(canary: Canary, revision: str, retry: str = "") -> str:
    """The name of the moment in which a revision waits to be rolled out.

    Args:
        canary: the Canary, with the status that is stored: what it says of the rollout before.
        revision: what the target carries.
        retry: the word by which another try is asked for.
    """
    status = canary.status
    return _named(canary, "start", revision, retry, status.last_applied_spec, status.rollout_start_time)


def of_gate(canary: Canary, at: str, type_: str, name: str) -> str:
    """The name of what one gate is asked at a moment, as no other is."""
    return _named(canary, "gate", at, type_, name)


def _named(canary: Canary, *parts: object) -> str:
    said = "/".join(str(part) for part in (canary.metadata.uid, *parts))
    return sha256(said.encode()).hexdigest()[:LENGTH]


def wanted(canary: Canary) -> str:
    """The moment whose answers are still waited for; empty where nothing is looked at."""
    status = canary.status
    if status.phase in JUDGED:
        return moment(canary)
    if status.is_baking:
        return moment(canary, primary=True)
    return ""
