"""How requests are divided between the two versions, and how far a workload has come: values that every room shares."""

from dataclasses import dataclass

SERVICE_LABEL = "flagger.app/service"
"""On the pods of both versions: the name of the one Service that leads to both, where their numbers divide requests."""

TOTAL_WEIGHT = 100
"""The weights of one split always sum to this, in percent."""


@dataclass(frozen=True, slots=True)
class Split:
    """The share of requests that each version gets, in percent.

    Args:
        canary: percent of requests answered by the canary, 0 to 100; the primary answers what nobody else does.
        mirror: percent of requests copied to the canary, its answers thrown away; 0 is no mirroring.
        matched: whether the canary's share is only for requests that match the spec's headers, cookies or query.
        baseline: percent of requests answered by the baseline, fresh pods of what the primary runs.
        header: the step of the spec, from 1, by whose conditions requests reach the canary for themselves; 0 for none.

    Raises:
        ValueError: a share is outside 0..100, or both versions' are more than that together.
    """

    canary: int
    mirror: int = 0
    matched: bool = False
    baseline: int = 0
    header: int = 0

    def __post_init__(self) -> None:
        for share in (self.canary, self.mirror, self.baseline, self.canary + self.baseline):
            if not 0 <= share <= TOTAL_WEIGHT:
                msg = f"a share of traffic is 0 to {TOTAL_WEIGHT} percent, not {share}"
                raise ValueError(msg)

    @property
    def primary(self) -> int:
        """Percent of requests answered by the primary."""
        return TOTAL_WEIGHT - self.canary - self.baseline


ALL_PRIMARY = Split(canary=0)


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a workload has come, as its own status tells.

    Args:
        desired: replicas that its spec asks for.
        updated: replicas of the current revision.
        ready: ready replicas, of any revision.
        available: available replicas, of any revision.
        total: all replicas that exist, old ones included.
        observed: whether the workload's controller has seen the current generation.
        stalled: what keeps the workload's controller from making its pods, or why it has given up; else empty.
    """

    desired: int
    updated: int
    ready: int
    available: int
    total: int
    observed: bool = True
    stalled: str = ""
