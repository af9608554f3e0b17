"""How the demonstration ended, and what there is to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from canary.sandbox.demo.load import Load, load_of
from canary.sandbox.traffic import Answer


@dataclass(frozen=True, slots=True)
class Ending:
    """How the rollout of one version ended.

    Attributes:
        version: that was rolled out.
        phase: the Canary's, at the end.
        seconds: from the change of the image until the version's own pods were gone.
        load: what all requests of that time came to.
        highest: the greatest share of the requests that the version had while it was a canary, in percent.
        reason: why it ended so, in the words of the Canary's status.
        everybody: how many requests would have failed if the version had answered all of them, as it did its own.
    """

    version: str
    phase: str
    seconds: float
    load: Load
    highest: int
    reason: str = ""
    everybody: int = 0

    @property
    def in_words(self) -> str:
        """How it ended, in a few words."""
        how = {"Succeeded": "promoted", "Failed": "rolled back"}.get(self.phase, f"ended in phase {self.phase}")
        return f"{how}, {self.load.served} served, {self.load.failed} failed"


def problems_of_good(ending: Ending) -> tuple[str, ...]:
    """What is wrong with how the good version ended."""
    found = []
    if ending.phase != "Succeeded":
        found.append(f"{ending.version} was not promoted: {ending.reason}")
    if ending.load.failed:
        found.append(f"{ending.load.failed} requests failed while {ending.version} rolled out")
    return tuple(found)


def problems_of_bad(ending: Ending) -> tuple[str, ...]:
    """What is wrong with how the bad version ended."""
    return () if ending.phase == "Failed" else (f"{ending.version} was not rolled back: {ending.reason}",)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demonstration showed: how the good and the bad version ended."""

    good: Ending
    bad: Ending

    @property
    def problems(self) -> tuple[str, ...]:
        """What went otherwise than it should."""
        return (*problems_of_good(self.good), *problems_of_bad(self.bad))


def everybody(version: str, answers: Sequence[Answer]) -> int:
    """How many of some requests would have failed if one version had answered all of them.

    From its first failure on it is taken to fail as often as it did with the requests that it had.
    """
    first = min((answer.at for answer in answers if answer.version == version and answer.lost), default=None)
    if first is None:
        return 0
    since = [answer for answer in answers if answer.at >= first]
    own = load_of(answer for answer in since if answer.version == version)
    return round(len(since) * own.failed / own.requests)


def report(outcome: Outcome, pictures: Sequence[Path], canary: str) -> list[str]:
    """What happened, where the pictures are, and what to type next.

    Args:
        outcome: how it ended.
        pictures: the files drawn.
        canary: the program's name, as it is typed.
    """
    return [
        "What happened",
        *_ending(outcome.good),
        *_ending(outcome.bad),
        *(f"  Not as it should be: {problem}" for problem in outcome.problems),
        "",
        "Pictures",
        *(f"  {path}" for path in pictures),
        "",
        "Next: the same by hand, on a cluster that stays",
        f"  {canary} sandbox up    # and the exports that it prints",
        f"  {canary} sandbox example | kubectl apply -f -",
        "  kubectl -n test get canaries --watch",
        "  kubectl -n test set image deployment/app app=sample/web:1.1.0",
        f"  {canary} sandbox down",
    ]


def _ending(ending: Ending) -> list[str]:
    how = {"Succeeded": "was promoted", "Failed": "was rolled back"}.get(ending.phase, f"ended in phase {ending.phase}")
    load = ending.load
    part = f" ({100 * load.failed / load.requests:.1f} %)" if load.failed else ""
    served = f"{load.served} requests served, {load.failed} failed{part}"
    told = [f"  {ending.version} {how} after {ending.seconds:.0f} s: {served}"]
    if ending.phase == "Failed":
        told += [f"    why: {ending.reason}"] if ending.reason else []
        told += [f"    no more than {ending.highest} % of the requests were led to it"]
        told += [f"    with {ending.version} for everybody at once, about {ending.everybody} would have failed"]
    return told
