"""What asks the outside world, loaded when it is wanted: settled Canaries ask nothing, and a start is to be quick."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from canary.api.canary import Canary
from canary.rollout.facts import Answer, Question

if TYPE_CHECKING:
    from canary.controller.ask.asker import Asker

_MODULE = "canary.controller.ask.asker"


class LaterAsker:
    """Asks questions.

    Args:
        make: makes whoever does, at the first question; its module is loaded by then.
    """

    def __init__(self, make: "Callable[[type[Asker]], Asker]") -> None:
        self._make = make
        self._asker: Asker | None = None

    async def __call__(self, canary: Canary, question: Question) -> Answer:
        """Ask one question."""
        if _MODULE not in sys.modules:
            # In a thread: what is under way of other Canaries need not wait for it.
            await asyncio.to_thread(import_module, _MODULE)
        if self._asker is None:
            from canary.controller.ask.asker import Asker  # noqa: PLC0415 - it is loaded by now

            self._asker = self._make(Asker)
        return await self._asker(canary, question)
