"""What is known when a decision about a fleet is made: values only, collected by whoever asks for the decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem


@dataclass(frozen=True, slots=True)
class Reachable:
    """A member whose API server answers.

    Args:
        canary: the Canary as it is there; None where there is none.
        refused: why what was to be written into it last was not, in words; empty where it was, or nothing was to be.
        user: as whom its API server knows the hub; empty where that is not known.
    """

    canary: Canary | None = None
    refused: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A member of which nothing is known now.

    Args:
        since: since when it can't be reached.
        why: why, in words that hold nothing secret.
    """

    since: datetime
    why: str = "its API server does not answer"


Seen = Reachable | Unreachable


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster that may be a member.

    Args:
        name: its name, which no other one has.
        labels: its labels, by which it is chosen.
        seen: what is known of it now.
    """

    name: str
    labels: Mapping[str, str]
    seen: Seen


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """Ask whether the gate of that name is open, for the wave of that number."""

    wave: int
    gate: str


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What a gate says.

    Args:
        opens: whether the wave may begin.
        message: why not, in words.
    """

    opens: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """What is known of a route that divides requests between clusters.

    Args:
        name: what it is called in messages, such as `HTTPRoute shop`.
        weights: by member, what each of its parts that lead to members gives them.
        problem: why its weights can't be known, or set, in words; empty where they can.
        behind: why requests don't go yet as it says, in words; empty where they do, or nobody tells.
        refused: why its weights were not written when they were to be last, in words; empty where they were.
        settle: how long requests may go on as before once it was written.
    """

    name: str
    weights: tuple[Mapping[str, int], ...] = ()
    problem: str = ""
    behind: str = ""
    refused: str = ""
    settle: timedelta = timedelta(0)

    def gives(self, weights: Mapping[str, int]) -> bool:
        """Whether each of its parts gives these members so much."""
        return all(each.get(name) == weight for each in self.weights for name, weight in weights.items())


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known.

    Args:
        now: the time.
        members: every cluster that the hub knows, whether its labels are asked for or not.
        gates: what gates have said to the questions of the last decision.
        told: number of the last notice that was told.
        problems: what keeps the spec from working, by `canary.api.fleet_rules`.
        routes: the routes that the fleet names, in their order.
    """

    now: datetime
    members: tuple[Member, ...] = ()
    gates: Mapping[GateQuestion, GateAnswer] = field(default_factory=dict)
    told: int = 0
    problems: tuple[Problem, ...] = ()
    routes: tuple[RouteSeen, ...] = ()
