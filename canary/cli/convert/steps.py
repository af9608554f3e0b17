"""The steps of a Rollout, as the weights and the interval of an analysis; or as written steps, where these say more."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Final

from canary.api.durations import duration_text, parse_duration
from canary.cli.convert.chosen import Chosen
from canary.cli.convert.fields import Part
from canary.kube.types import Json

GATE: Final = "http://flagger-loadtester/gate/check"
"""The load tester's gate, where it runs beside the application."""

_SECONDS: Final = re.compile("[0-9]{1,9}")
_DEFAULT: Final = timedelta(minutes=1)

_LOST: Final = {
    "experiment": "write a step experiment behind a small weight, and a metric with compareTo: baseline, with a"
    " provider whose routes the controller makes; no further versions are run",
    "plugin": "there are no plugins; write a step gate, and a webhook that does it",
    "replicaProgressThreshold": "see analysis.canaryReadyThreshold",
}


@dataclass(slots=True)
class Steps:
    """What the steps come to.

    Args:
        written: the steps, as they would be written out.
        pauses: how long each pause is, and after how many steps of the Rollout it comes.
        analyses: the analyses of steps, and the written step of each.
    """

    written: list[Json] = field(default_factory=list)
    pauses: list[tuple[int, timedelta]] = field(default_factory=list)
    analyses: list[tuple[Part, Json]] = field(default_factory=list)

    @property
    def weights(self) -> list[int]:
        """The canary's share, step by step."""
        found = [each["weight"] for each in self.written if "weight" in each]
        return found[1:] if found[:1] == [0] else found

    @property
    def is_plain(self) -> bool:
        """Whether weights and an interval say all of it."""
        kinds = {kind for each in self.written for kind in each}
        ends = all("duration" in each["pause"] for each in self.written if "pause" in each)
        same = len({length for _, length in self.pauses}) <= 1
        grows = all(before < after for before, after in pairwise([0, *self.weights]))
        begins = not self.written or "pause" not in self.written[0]
        return kinds <= {"weight", "pause"} and ends and same and grows and begins

    @property
    def interval(self) -> timedelta:
        """The time between two looks: the pause, where all are the same; else a minute, or the shortest pause."""
        lengths = [length for _, length in self.pauses]
        if self.is_plain:
            return max(lengths, default=_DEFAULT)
        return min([_DEFAULT, *lengths])

    def before(self, step: int) -> timedelta:
        """How long it takes at least until so many steps of the Rollout are over."""
        return sum((length for at, length in self.pauses if at < step), timedelta(0))

    @property
    def last(self) -> timedelta:
        """How long it takes at least until the last look."""
        if self.is_plain:
            return self.interval * (len(self.weights) - 1)
        return sum((length for _, length in self.pauses), timedelta(0))

    def analysis(self) -> Json:
        """The fields of the analysis that say it."""
        said: Json = {"stepWeights": self.weights} if self.is_plain else {"steps": self.written}
        return {"interval": written(self.interval), **said}


def read(canary: Part, chosen: Chosen, *, scaled: bool) -> Steps:
    """Read `spec.strategy.canary.steps`, and say what becomes of each.

    Args:
        canary: `spec.strategy.canary`.
        chosen: takes the steps that choose or copy requests.
        scaled: whether the number of the canary's pods can be said apart from its weight.
    """
    found = Steps()
    for number, each in enumerate(canary.parts("steps")):
        _weight(each, found)
        if "pause" in each:
            _pause(number, each.part("pause"), found)
        if "setCanaryScale" in each:
            _scale(each, found, scaled=scaled)
        chosen.read(each, found.written)
        if "analysis" in each:
            step: Json = {"checks": []}
            found.written.append({"analysis": step})
            found.analyses.append((each.part("analysis"), step))
        each.all_lost(_LOST)
    if not any("weight" in each and each["weight"] for each in found.written):
        canary.source.note(canary.path, "it has no step with a weight; 50 is a guess", lost=False)
        found.written.append({"weight": 50})
    return found


def _weight(step: Part, found: Steps) -> None:
    if "setWeight" not in step:
        return
    weight = step.number("setWeight")
    if weight is None or weight > 100:
        step.lost("setWeight", "weights are percents, 0 to 100")
    else:
        found.written.append({"weight": weight})


def _pause(number: int, pause: Part, found: Steps) -> None:
    if "duration" not in pause:
        found.written.append({"pause": {}})
        return
    length = _length(pause)
    if length is None:
        pause.lost("duration", "it is no duration")
        return
    found.pauses.append((number, length))
    found.written.append({"pause": {"duration": written(length)}})


def _length(pause: Part) -> timedelta | None:
    text = pause.text("duration")
    try:
        length = timedelta(seconds=int(text)) if _SECONDS.fullmatch(text) else parse_duration(text)
    except (ValueError, OverflowError):
        return None
    return length if timedelta(seconds=1) <= length <= timedelta(hours=720) else None


def _scale(step: Part, found: Steps, *, scaled: bool) -> None:
    if not scaled:
        step.lost("setCanaryScale", "the canary has the pods that its weight takes, or those of its autoscaler")
        return
    scale = step.part("setCanaryScale")
    replicas, weight = scale.number("replicas"), scale.number("weight")
    if scale.take("matchTrafficWeight") is True:
        found.written.append({"scale": {"matchTraffic": True}})
    elif replicas:
        found.written.append({"scale": {"replicas": replicas}})
    elif weight is not None and weight <= 100:
        found.written.append({"scale": {"weight": weight}})
    else:
        step.lost("setCanaryScale", "a canary that is looked at has one pod at least; write scale with replicas")


def written(length: timedelta) -> str:
    """A duration as people write it: `10m`, and not `10m0s`."""
    text = duration_text(length)
    for least, kept in (("m0s", "m"), ("h0m", "h")):
        text = text.removesuffix(least) + kept if text.endswith(least) else text
    return text


def gate(kind: str) -> Json:
    """A gate that people open."""
    return {"name": kind, "type": kind, "url": GATE}
