"""What people order of a rollout, by annotations of its Canary: whoever may write those decides.

`flagger.app/pause` holds for as long as it stands there. `flagger.app/order` says one thing that is to be done once:

::

    promote | abort | restart | resume   revision=REVISION by=WHO at=WHEN why it is ordered

All behind the first word may be left out. Any new value is another order. It is done once, and what was done is stored
with what it led to, so that a crash in between repeats it; what can't be done is said, and not tried again later: an
order is about the rollout that whoever gave it has seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from canary.api.status import Phase
from canary.api.traffic import ALL_PRIMARY
from canary.rollout import bake
from canary.rollout.analysis import begin_anew
from canary.rollout.capacity import ROLLING_BACK
from canary.rollout.decision import Decision, DropFinalizer, Event
from canary.rollout.new_pods import ANALYSED
from canary.rollout.rollback import roll_back
from canary.rollout.situation import Situation, warning
from canary.rollout.start import decline
from canary.rollout.steps import waits_for_person

PAUSED: Final = "Paused"
"""Reason of a rollout that a person has stopped by annotation."""

ORDER_ANNOTATION: Final = "flagger.app/order"
"""On a Canary: any new value is an order."""

PAUSE_ANNOTATION: Final = "flagger.app/pause"
"""On a Canary: as long as it says anything, such as who has set it, nothing is done."""

_LONGEST: Final = 512
"""Characters of these at most; more are cut off, as they come to stand in the status."""

S = TypeVar("S", bound=Situation)


def order_of(s: Situation) -> str:
    """The order that was given last; empty where none was."""
    return _annotation(s, ORDER_ANNOTATION)


def pause_of(s: Situation) -> str:
    """What says that nothing is to be done, and who does; empty where nothing says so."""
    return _annotation(s, PAUSE_ANNOTATION)


def _annotation(s: Situation, name: str) -> str:
    return as_read(s.canary.metadata.annotations.get(name, ""))


def as_read(text: str) -> str:
    """What is read of such an annotation, and stored once it is heeded."""
    return " ".join(text[:_LONGEST].split())


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody orders.

    Args:
        verb: what is to be done.
        revision: the only revision that is meant; empty for whichever is rolled out.
        by: who says so, by their own word.
        at: when.
        why: why.
    """

    verb: str
    revision: str = ""
    by: str = ""
    at: str = ""
    why: str = ""

    @property
    def signature(self) -> str:
        """Who has ordered it, when and why, in words."""
        words = [f"by {self.by}" if self.by else "", f"at {self.at}" if self.at else ""]
        told = " ".join(word for word in words if word)
        return f"{told}: {self.why}".removeprefix(": ") if self.why else told


def order_in(text: str) -> Order:
    """Read an order."""
    verb, *words = text.split()
    named: dict[str, str] = {}
    while words and words[0].partition("=")[0] in ("revision", "by", "at"):
        name, _, value = words.pop(0).partition("=")
        named[name] = value
    return Order(verb, **named, why=" ".join(words))


def ordered(s: S, promote: Callable[[S], Decision]) -> Decision | None:
    """What an order leads to; None where none is given, or it can't be done yet.

    Args:
        s: the Canary and its facts.
        promote: the decision to give the version to everybody.
    """
    text = order_of(s)
    if not text or text == s.status.last_order:
        return None
    order = order_in(text)
    if order.verb == "resume":
        # Whoever ends a pause by annotation has not said that the step is over, too.
        meant = waits_for_person(s) and not (s.status.paused or _is_of_another(s, order))
        resumed = s.status.step_resumed or meant
        status = s.status.replace(step_resumed=resumed)
        return _heeded(s, Decision(status, "resumed", events=(Event(_told(s, "Resumed", order)),)))
    if why := _impossible(s, order):
        told = f"Order to {order.verb} {s.full_name} is not heeded, {why}"
        return _heeded(s, Decision(s.status, told, events=(warning(_signed(told, order)),)))
    match order.verb:
        case "abort":
            return _abort(s, order)
        case "promote":
            return _forward(s, promote(s), _told(s, "Promotion ordered for", order)) if _may_promote(s) else None
    return _forward(s, begin_anew(s), _told(s, "Restart ordered for", order)) if _may_go_on(s) else None


def _is_of_another(s: Situation, order: Order) -> bool:
    """Whether it is about another version than the one that is rolled out."""
    return s.changed or s.status.phase not in ANALYSED or order.revision not in ("", s.status.last_applied_spec)


def _told(s: Situation, what: str, order: Order) -> str:
    return _signed(f"{what} {s.full_name}", order)


def _signed(told: str, order: Order) -> str:
    return f"{told} {order.signature}".rstrip()


def _heeded(s: Situation, decision: Decision) -> Decision:
    return replace(decision, status=decision.status.replace(last_order=order_of(s)), wake=decision.wake or s.now)


def _impossible(s: Situation, order: Order) -> str:
    """Why an order can't be done, now or later; empty where it can."""
    phase, under_way = s.status.phase, s.status.last_applied_spec
    if order.verb not in ("abort", "promote", "restart"):
        return "it is none of promote, abort, restart and resume"
    if order.verb == "abort" and bake.can_put_back(s):
        under_way = s.status.last_promoted_spec
    elif phase is Phase.WAITING and order.verb == "abort":
        under_way = s.facts.target.revision if s.facts.target is not None else ""
    elif phase is Phase.PROMOTING:
        return "the version is being promoted already"
    elif phase not in ANALYSED:
        return "no version is rolled out"
    if order.revision and order.revision != under_way:
        return f"it is about revision {order.revision}, and {under_way or 'none'} is rolled out"
    if order.verb == "restart" and s.facts.partitions is not None:
        return "its pods are replaced in place; abort it, and retry it"
    if order.verb != "abort" and s.changed:
        return "a newer revision has come"
    if order.verb != "abort" and s.status.reason == ROLLING_BACK:
        return "the version is being taken back"
    return ""


def _may_go_on(s: Situation) -> bool:
    """Whether nothing stands in the way of a version that is to go on; what does is mended or ends first."""
    stopped = s.facts.problems or s.canary.spec.suspend or pause_of(s)
    return not stopped and (s.facts.partitions is not None or s.facts.primary is not None)


def _may_promote(s: Situation) -> bool:
    return _may_go_on(s) and s.canary_ready


def _forward(s: Situation, decision: Decision, told: str) -> Decision:
    """What was ordered, told before what it leads to; it counts as done where the rollout has moved by it."""
    if decision.status == s.status:
        return decision
    return _heeded(s, replace(decision, events=(Event(told), *decision.events)))


def _abort(s: Situation, order: Order) -> Decision | None:
    """Take the version back: also where the spec can't work, or somebody has stopped it."""
    if s.facts.partitions is None and s.facts.primary is None and s.kept:
        return None  # it is made again first
    why = _signed("aborted", order)
    if bake.can_put_back(s):
        return _heeded(s, bake.put_back(s, why))
    if s.status.phase is Phase.WAITING:
        declined = decline(s, why, "Aborted")
        return _heeded(s, declined) if declined.status != s.status else declined
    decision = roll_back(s, why, ordered=True)
    begun = decision.ending is not None or decision.status.reason == ROLLING_BACK
    return _heeded(s, decision) if begun else decision


def stopped_by(s: Situation) -> str:
    """Who has stopped it, in words; empty where nobody has, or where requests are on their way back."""
    returning = s.status.reason == ROLLING_BACK and s.split != ALL_PRIMARY
    return f"paused {pause_of(s)}" if pause_of(s) and not returning else ""


def pause_told(s: Situation, decision: Decision) -> Decision:
    """The decision with what newly stops the rollout, or does no more."""
    if pause_of(s) == s.status.paused or DropFinalizer() in decision.actions:
        return decision
    if pause_of(s):
        event = warning(f"Paused {s.full_name} {pause_of(s)}")
    else:
        event = Event(f"The pause of {s.full_name} has ended")
    # Whoever has ended it by an order is told of by that.
    resumed = not pause_of(s) and decision.status.last_order != s.status.last_order
    events = decision.events if resumed else (event, *decision.events)
    return replace(decision, status=decision.status.replace(paused=pause_of(s)), events=events)
