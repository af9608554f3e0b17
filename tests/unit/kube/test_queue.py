"""The work queue: due keys, one at a time each, and no change ever lost."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from canary.kube.queue import QueueState


def test_an_added_key_is_due_at_once_and_only_once() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 1.0)
    state.add("a", 2.0)

    assert state.take(2.0) == "a"
    assert state.take(2.0) is None


def test_keys_come_in_the_order_in_which_they_were_due() -> None:
    state: QueueState[str] = QueueState()
    state.schedule("late", 3.0)
    state.schedule("early", 1.0)
    state.add("now", 2.0)

    assert [state.take(3.0) for _ in range(3)] == ["early", "now", "late"]


def test_a_timer_is_not_due_before_its_time() -> None:
    state: QueueState[str] = QueueState()
    state.schedule("a", 5.0)

    assert state.take(4.9) is None
    assert state.next_due() == 5.0
    assert state.take(5.0) == "a"


def test_add_at_keeps_the_earlier_timer_and_schedule_replaces_it() -> None:
    state: QueueState[str] = QueueState()
    state.add_at("a", 5.0)
    state.add_at("a", 9.0)
    assert state.next_due() == 5.0

    state.schedule("a", 9.0)
    assert state.next_due() == 9.0


def test_a_key_in_flight_is_not_taken_again_before_it_is_done() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    assert state.take(0.0) == "a"
    state.add("a", 1.0)

    assert state.take(2.0) is None
    state.done("a", 2.0)
    assert state.take(2.0) == "a"


def test_a_change_during_the_work_is_not_lost_to_the_timer_set_at_its_end() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    state.add("a", 1.0)
    state.schedule("a", 60.0)
    state.done("a", 1.0)

    assert state.take(1.0) == "a"


def test_taking_a_key_spends_its_timer_too() -> None:
    state: QueueState[str] = QueueState()
    state.schedule("a", 5.0)
    state.add("a", 1.0)
    state.take(1.0)
    state.done("a", 1.0)

    assert state.next_due() is None


def test_changes_gather_while_a_key_rests() -> None:
    """Those that came while it was worked on, too."""
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    state.add("a", 1.0)
    state.done("a", 2.0, rest=3.0)
    state.add("a", 4.0)

    assert state.take(4.9) is None
    assert state.take(5.0) == "a"
    assert state.next_due() is None


def test_a_change_after_the_rest_is_looked_at_at_once() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    state.done("a", 2.0, rest=3.0)
    state.add("a", 7.0)

    assert state.take(7.0) == "a"


def test_a_timer_waits_for_no_rest() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    state.schedule("a", 2.5)
    state.done("a", 2.0, rest=3.0)

    assert state.take(2.5) == "a"


@pytest.mark.parametrize("when", ["while it is worked on", "while it rests", "while a change waits"])
def test_what_is_urged_waits_for_no_rest(when: str) -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    if when == "while it is worked on":
        state.urge("a", 1.0)
    state.done("a", 2.0, rest=3.0)
    if when == "while a change waits":
        state.add("a", 2.0)
    if when != "while it is worked on":
        state.urge("a", 2.0)

    assert state.take(2.0) == "a"
    assert state.next_due() is None


def test_a_discarded_key_does_not_run() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.schedule("a", 1.0)
    state.discard("a")

    assert state.take(9.0) is None
    assert len(state) == 0


def test_depth_counts_what_is_due_and_not_in_flight() -> None:
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.add("b", 0.0)
    state.schedule("c", 9.0)
    state.take(0.0)

    assert (state.depth(1.0), state.in_flight, len(state)) == (1, 1, 2)


def test_moving_a_timer_forever_takes_no_memory() -> None:
    state: QueueState[str] = QueueState()
    for due in range(10_000, 0, -1):
        state.schedule("a", float(due))

    assert len(state._heap) < 100
    assert state.take(1.0) == "a"
    assert state.next_due() is None


def test_what_was_at_rest_goes_before_thousands_that_are_set_up() -> None:
    """A settled key that changes is next, though all of the others have waited longer."""
    state: QueueState[str] = QueueState()
    state.add("settled", 0.0)
    assert state.take(0.0) == "settled"
    state.done("settled", 0.0)
    for number in range(3000):
        state.add(f"new {number}", 10.0)
    assert state.take(10.0) == "new 0"
    state.add("new 0", 11.0)
    state.done("new 0", 11.0, 0.1)
    state.add("settled", 12.0)

    assert state.take(12.0) == "settled"
    assert state.take(12.0) == "new 1"


def test_what_goes_first_does_not_stop_the_others() -> None:
    state: QueueState[str] = QueueState()
    for key in "abcde":
        state.add(key, 0.0)
        state.take(0.0)
        state.done(key, 0.0)
    for key in "xy":
        state.add(key, 5.0)
    for key in "abcde":
        state.add(key, 6.0)

    assert "".join(str(state.take(7.0)) for _ in range(7)) == "abcxdey"


def test_a_key_that_never_settles_rests_whatever_changes() -> None:
    """Its own writes come back as changes, while it is worked on and afterwards: none of them ends the rest."""
    state: QueueState[str] = QueueState()
    state.add("a", 0.0)
    state.take(0.0)
    state.add("a", 0.1)
    state.rest("a", 5.0)
    state.add("a", 0.2)
    state.done("a", 0.3, 0.1)
    state.add("a", 1.0)

    assert state.take(4.9) is None
    assert state.take(5.0) == "a"
    state.done("a", 5.1, 0.1)
    assert state.take(1000.0) is None, "the changes were looked at, all at once"


def test_what_is_urged_waits_for_no_rest_that_was_asked_for() -> None:
    state: QueueState[str] = QueueState()
    state.rest("a", 60.0)
    state.urge("a", 1.0)
    state.rest("a", 90.0)

    assert state.take(1.0) == "a"


def test_nothing_is_kept_of_a_key_that_is_gone() -> None:
    state: QueueState[str] = QueueState()
    for name in map(str, range(100)):
        state.add(name, 0.0)
        assert state.take(0.0) == name
        state.discard(name)
        state.done(name, 0.0, 0.1)
    state.add("last", 1.0)
    state.take(1.0)
    state.done("last", 1.0)

    kept = [each for each in vars(state).values() if isinstance(each, (dict, set, list))]
    assert max(map(len, kept)) == 1


class QueueMachine(RuleBasedStateMachine):
    """The queue against the plainest model of it: two dictionaries and a set."""

    keys = st.sampled_from("abc")

    def __init__(self) -> None:
        super().__init__()
        self.state: QueueState[str] = QueueState()
        self.changed: dict[str, float] = {}
        self.timers: dict[str, float] = {}
        self.urged: set[str] = set()
        self.rested: dict[str, float] = {}
        self.in_flight: set[str] = set()
        self.ended: dict[str, float] = {}
        self.discarded: set[str] = set()
        self.ahead = 0
        self.now = 0.0

    @rule(seconds=st.integers(0, 5))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule(key=keys)
    def add(self, key: str) -> None:
        self.state.add(key, self.now)
        self.changed.setdefault(key, max(self.now, self.rested.get(key, 0)))

    @rule(key=keys)
    def urge(self, key: str) -> None:
        self.state.urge(key, self.now)
        self.changed[key] = min(self.now, self.changed.get(key, self.now))
        self.urged.add(key)

    @rule(key=keys, delay=st.integers(0, 9))
    def schedule(self, key: str, delay: int) -> None:
        self.state.schedule(key, self.now + delay)
        self.timers[key] = self.now + delay

    @rule(key=keys, delay=st.integers(0, 9))
    def add_at(self, key: str, delay: int) -> None:
        self.state.add_at(key, self.now + delay)
        self.timers[key] = min(self.now + delay, self.timers.get(key, float("inf")))

    @rule(key=keys, seconds=st.integers(0, 9))
    def rest(self, key: str, seconds: int) -> None:
        self.state.rest(key, self.now + seconds)
        until = self.rested[key] = max(self.now + seconds, self.rested.get(key, 0))
        if key not in self.urged:
            self.changed.pop(key, None)
        self.timers[key] = min(until, self.timers.get(key, float("inf")))

    @rule(key=keys)
    def discard(self, key: str) -> None:
        self.state.discard(key)
        self.spend(key)
        self.rested.pop(key, None)
        self.ended.pop(key, None)
        if key in self.in_flight:
            self.discarded.add(key)

    @rule()
    def take(self) -> None:
        due = self.due()
        key = self.state.take(self.now)
        if key is None:
            assert not any(when <= self.now for when in due.values())
            return
        ready = {each for each, when in due.items() if when <= self.now}
        first = {each for each in ready if self.goes_first(each, due[each])}
        others = ready - first
        goes = first if first and not (others and self.ahead >= 3) else others
        assert key in goes
        assert due[key] == min(due[each] for each in goes)
        self.ahead = self.ahead + 1 if goes is first and others else 0
        self.spend(key)
        self.in_flight.add(key)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), rest=st.integers(0, 3))
    def done(self, data: st.DataObject, rest: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.in_flight)))
        self.state.done(key, self.now, rest)
        self.in_flight.discard(key)
        if key not in self.discarded:
            self.ended[key] = self.now
        self.discarded.discard(key)
        until = self.rested[key] = max(self.now + rest, self.rested.get(key, 0))
        if key in self.changed and key not in self.urged:
            self.changed[key] = max(self.changed[key], until)

    def goes_first(self, key: str, due: float) -> bool:
        return key in self.urged or (key in self.ended and due - self.ended[key] >= 1)

    def spend(self, key: str) -> None:
        self.changed.pop(key, None)
        self.timers.pop(key, None)
        self.urged.discard(key)

    @invariant()
    def agrees(self) -> None:
        assert self.state.next_due() == min(self.due().values(), default=None)
        assert self.state.in_flight == len(self.in_flight)

    def due(self) -> dict[str, float]:
        waiting = (self.changed.keys() | self.timers.keys()) - self.in_flight
        ever = float("inf")
        return {key: min(self.changed.get(key, ever), self.timers.get(key, ever)) for key in waiting}


TestQueueMachine = QueueMachine.TestCase
