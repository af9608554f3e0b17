"""A keyed work queue: each key is worked on by one worker at a time, as soon as it is due.

`QueueState` is the whole logic without a clock; `WorkQueue` is the asyncio shell around it.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from canary.kube.backoff import Backoff

K = TypeVar("K", bound=Hashable)

_Entry = tuple[float, int, K]

_CALM = 1.0
"""Seconds without work after which a key was at rest."""
_AHEAD = 3
"""So many go first in a row while others wait."""


class QueueState(Generic[K]):
    """Which keys are due when, and which are being worked on.

    A key has two reasons to run, kept apart: a change (`add`, `urge`), which must be looked at as soon as can be,
    and a timer (`schedule`, `add_at`), which may be moved. So a worker that ends by setting its next timer never
    loses a change that came while it worked. Both are spent when the key is taken.

    Changes come in swarms: each pod of a workload is one. A key that was just worked on rests for a moment, and what
    changes meanwhile is looked at once, at the end of it. What is urged, and timers, wait for no rest.

    Where more is due than can be worked on, what was at rest goes first, and what is worked on again and again, or was
    never worked on, waits its turn: a change of one that is settled isn't lost in thousands that are set up. One in
    four that are taken is of the others, so that all get on.
    """

    def __init__(self) -> None:
        self._changed: dict[K, float] = {}
        self._urged: set[K] = set()
        self._rests: dict[K, float] = {}
        self._timers: dict[K, float] = {}
        self._in_flight: set[K] = set()
        # When the work on a key ended last.
        self._ended: dict[K, float] = {}
        self._discarded: set[K] = set()
        # Entries are (due, order, key); all but the latest one of a key are stale, and skipped.
        self._latest: dict[K, int] = {}
        self._heap: list[_Entry[K]] = []
        # Those that are due: what goes first, and the others.
        self._first: list[_Entry[K]] = []
        self._others: list[_Entry[K]] = []
        self._order = 0
        self._ahead = 0

    def add(self, key: K, now: float) -> None:
        """Make a key due as soon as it has rested; while it is being worked on, it runs again afterwards."""
        if key not in self._changed:
            self._changed[key] = max(now, self._rests.get(key, now))
            self._push(key)

    def urge(self, key: K, now: float) -> None:
        """Make a key due at once, however lately it was worked on."""
        self._urged.add(key)
        self._changed[key] = min(now, self._changed.get(key, now))
        self._push(key)

    def add_at(self, key: K, due: float) -> None:
        """Make a key due at ``due`` unless its timer is earlier already."""
        if due < self._timers.get(key, float("inf")):
            self.schedule(key, due)

    def schedule(self, key: K, due: float) -> None:
        """Set a key's timer, replacing the one it has; a change that waits stays due at once."""
        self._timers[key] = due
        self._push(key)

    def rest(self, key: K, until: float) -> None:
        """Have a key's changes wait until then, those that came already and those to come; it runs then by itself.

        What is urged, and timers, don't wait. A rest that is longer already stays.
        """
        self._rests[key] = until = max(until, self._rests.get(key, until))
        if key not in self._urged:
            self._changed.pop(key, None)
        self._timers[key] = min(until, self._timers.get(key, until))
        self._push(key)

    def take(self, now: float) -> K | None:
        """Take the key that has been due longest, of those that go first if there is any; in flight until `done`."""
        while self._heap and self._heap[0][0] <= now:
            ready = heapq.heappop(self._heap)
            heapq.heappush(self._first if self._goes_first(ready) else self._others, ready)
        first, other = self._valid(self._first), self._valid(self._others)
        turn = other is not None and self._ahead >= _AHEAD
        entry = first if first is not None and not turn else other
        if entry is None:
            return None
        heapq.heappop(self._first if entry is first else self._others)
        self._ahead = self._ahead + 1 if entry is first and other is not None else 0
        key = entry[2]
        self._spend(key)
        self._in_flight.add(key)
        return key

    def _goes_first(self, entry: "_Entry[K]") -> bool:
        """Whether a key was at rest before it became due, or is urged."""
        due, _, key = entry
        ended = self._ended.get(key)
        return key in self._urged or (ended is not None and due - ended >= _CALM)

    def done(self, key: K, now: float, rest: float = 0.0) -> None:
        """End the work on a key; if it became due meanwhile, it can be taken again.

        Args:
            key: What was worked on.
            now: When it ends.
            rest: For how many seconds changes of it can wait.
        """
        self._in_flight.discard(key)
        if key in self._discarded:
            self._discarded.discard(key)
            self._ended.pop(key, None)
        else:
            self._ended[key] = now
        for other in [each for each, until in self._rests.items() if until <= now]:
            del self._rests[other]
        until = self._rests[key] = max(now + rest, self._rests.get(key, now))
        if key in self._changed and key not in self._urged:
            self._changed[key] = max(self._changed[key], until)
        self._push(key)

    def discard(self, key: K) -> None:
        """Forget a key, that it waits and that it was ever worked on; work in flight goes on."""
        self._spend(key)
        self._rests.pop(key, None)
        self._ended.pop(key, None)
        if key in self._in_flight:
            self._discarded.add(key)

    def _spend(self, key: K) -> None:
        self._changed.pop(key, None)
        self._urged.discard(key)
        self._timers.pop(key, None)
        self._latest.pop(key, None)

    def next_due(self) -> float | None:
        """When the next key that isn't in flight is due; None when none waits."""
        entries = [self._valid(heap) for heap in (self._first, self._others, self._heap)]
        return min((entry[0] for entry in entries if entry is not None), default=None)

    def _valid(self, heap: "list[_Entry[K]]") -> "_Entry[K] | None":
        """The first entry of a heap that isn't stale; those before it are dropped."""
        while heap:
            _, order, key = heap[0]
            if order == self._latest.get(key):
                return heap[0]
            heapq.heappop(heap)
        return None

    def depth(self, now: float) -> int:
        """How many keys are due and wait for a worker."""
        waiting = {key for each in (self._changed, self._timers) for key, due in each.items() if due <= now}
        return len(waiting - self._in_flight)

    @property
    def in_flight(self) -> int:
        """How many keys are being worked on."""
        return len(self._in_flight)

    def __len__(self) -> int:
        """How many keys wait, due or not."""
        return len(self._changed.keys() | self._timers.keys())

    def _due(self, key: K) -> float | None:
        changed, timer = self._changed.get(key), self._timers.get(key)
        if changed is None or timer is None:
            return timer if changed is None else changed
        return min(changed, timer)

    def _push(self, key: K) -> None:
        due = self._due(key)
        if due is None or key in self._in_flight:
            return
        self._latest[key] = self._order = self._order + 1
        heapq.heappush(self._heap, (due, self._order, key))
        self._compact()

    def _compact(self) -> None:
        """Keep stale entries from piling up when timers far ahead are moved again and again."""
        if len(self._heap) <= 64 + 4 * max(len(self._changed), len(self._timers)):
            return
        self._heap = [entry for entry in self._heap if entry[1] == self._latest.get(entry[2])]
        heapq.heapify(self._heap)


class WorkQueue(Generic[K]):
    """The queue that workers wait on, in the running loop's time (seconds).

    Args:
        backoff: How long what failed waits.
        rest: For how many seconds a key that was worked on lets changes gather.
    """

    def __init__(self, backoff: Backoff | None = None, *, rest: float = 0.0) -> None:
        self._state: QueueState[K] = QueueState()
        self._rest = rest
        self._backoff = backoff or Backoff(first=0.2, cap=60.0)
        self._failures: dict[K, int] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.Handle | None = None
        self._alarm_at: float | None = None

    def add(self, key: K) -> None:
        """Make a key due as soon as it has rested; while it is being worked on, it runs again afterwards."""
        self._state.add(key, _now())
        self._call()

    def urge(self, key: K) -> None:
        """Make a key due at once, however lately it was worked on."""
        self._state.urge(key, _now())
        self._call()

    def add_after(self, key: K, delay: float) -> None:
        """Make a key due in ``delay`` seconds unless its timer is earlier already."""
        self._state.add_at(key, _now() + delay)
        self._call()

    def schedule(self, key: K, delay: float) -> None:
        """Set a key's timer to ``delay`` seconds from now, replacing the one it has."""
        self._state.schedule(key, _now() + delay)
        self._call()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Set a key's timer by its failures in a row, one more with each call; `forget` starts over.

        Args:
            key: What failed.
            at_least: Seconds that the server asked to wait.

        Returns:
            The delay in seconds.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, self._backoff.delay(failures))
        self.schedule(key, delay)
        return delay

    def rest(self, key: K, seconds: float) -> None:
        """Have a key's changes wait for so long, those that came already and those to come; it runs then by itself.

        What is urged, and timers, don't wait. A rest that is longer already stays.
        """
        self._state.rest(key, _now() + seconds)
        self._call()

    def forget(self, key: K) -> None:
        """Start a key's failures over: its work succeeded, or it is gone."""
        self._failures.pop(key, None)

    def discard(self, key: K) -> None:
        """Forget a key, that it waits, that it was ever worked on, and its failures; work in flight goes on."""
        self._state.discard(key)
        self.forget(key)

    async def get(self) -> K:
        """Wait for a key that is due and take it; call `done` afterwards, whatever happened."""
        while True:
            key = self._state.take(_now())
            if key is not None:
                self._call()
                return key
            await self._called()

    async def _called(self) -> None:
        """Wait until there may be something to do."""
        call = asyncio.get_running_loop().create_future()
        self._idle.append(call)
        self._call()
        try:
            await call
        except asyncio.CancelledError:
            if call in self._idle:
                self._idle.remove(call)
            else:
                self._call()
            raise

    def _call(self) -> None:
        """Have one worker come for what is due, or set the alarm to when something will be: the others sleep on."""
        due = self._state.next_due()
        if due is not None and due <= _now():
            while self._idle:
                call = self._idle.popleft()
                if not call.done():
                    call.set_result(None)
                    return
            return
        if due == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = None if due is None else asyncio.get_running_loop().call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        self._call()

    def done(self, key: K) -> None:
        """End the work on a key."""
        self._state.done(key, _now(), self._rest)
        self._call()

    @property
    def depth(self) -> int:
        """How many keys are due and wait for a worker."""
        return self._state.depth(_now())

    @property
    def in_flight(self) -> int:
        """How many keys are being worked on."""
        return self._state.in_flight

    def failures(self, key: K) -> int:
        """How many times in a row a key has failed."""
        return self._failures.get(key, 0)


def _now() -> float:
    return asyncio.get_running_loop().time()
