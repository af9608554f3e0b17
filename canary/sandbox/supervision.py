"""The death of a part, told at once to whoever waits for something else."""

import asyncio
from collections.abc import Callable
from types import TracebackType

from canary.sandbox.process import PartFailed


class Watchers:
    """Who wants to know when a part dies without having been told to.

    Attributes:
        failure: the first such death.
    """

    def __init__(self) -> None:
        self.failure: PartFailed | None = None
        self._listeners: list[Callable[[PartFailed], None]] = []

    def listen(self, listener: Callable[[PartFailed], None]) -> Callable[[], None]:
        """Have a function called, from another thread, at each death; the result takes it back."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, failure: PartFailed) -> None:
        """Tell all of them."""
        if self.failure is None:
            self.failure = failure
        for listener in list(self._listeners):
            listener(failure)


class Guard:
    """An async context that is cancelled when a part dies, and then raises that part's `PartFailed`."""

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers
        self._forget: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> None:
        self._task = task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        if task is not None:
            self._forget = self._watchers.listen(lambda failure: call_in(loop, task.cancel))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._forget is not None:
            self._forget()
        failure = self._watchers.failure
        if failure is not None and (error is None or isinstance(error, asyncio.CancelledError)):
            if self._task is not None:
                self._task.uncancel()
            raise failure from None


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call a function in another thread's loop, unless that loop is over."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
