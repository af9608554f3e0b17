"""A member whose Canary is moved by the decisions of a member's own controller, in the world of its simulation."""

from collections.abc import Callable, Mapping
from datetime import datetime

from canary.api.canary import Canary
from canary.api.meta import JsonObject
from canary.fleet.simulation.clusters import Cluster, Place, annotated, applied
from canary.rollout.simulation import Annotate, Edit, Scenario, World


class Played(Cluster):
    """A member with the real decisions in it.

    Args:
        place: what the hub knows of it.
        scenario: from a Canary to what happens around it, from the moment on that it is applied.
        world: from a scenario to its world.
    """

    def __init__(
        self, place: Place, scenario: Callable[[Canary, datetime], Scenario], world: Callable[[Scenario], World] = World
    ) -> None:
        super().__init__(place)
        self._scenario = scenario
        self._make = world
        self.world: World | None = None

    @property
    def canary(self) -> Canary | None:
        """The Canary as it is there."""
        return self.world.canary if self.world is not None else None

    def apply(self, raw: JsonObject, now: datetime) -> None:
        """Somebody applies the Canary: its world begins with it."""
        if self.world is None:
            self.world = self._make(self._scenario(applied(None, raw), now))
            return
        made = applied(self.world.canary, raw)
        for key, value in made.metadata.annotations.items():
            if self.world.canary.metadata.annotations.get(key) != value:
                self.world.change(Annotate(key, value))
        if made.spec != self.world.canary.spec:
            self.world.change(Edit(made.spec))

    def annotate(self, annotations: Mapping[str, str | None], now: datetime) -> None:
        """Somebody annotates the Canary."""
        if self.world is None:
            return
        gone = {key: value for key, value in annotations.items() if value is None}
        if gone:
            self.world.canary = annotated(self.world.canary, gone)
            self.world.change(Annotate("fleet.canary.dev/seen", now.isoformat()))
        for key, value in annotations.items():
            if value is not None:
                self.world.change(Annotate(key, value))

    def next_moment(self) -> datetime | None:
        """When something happens in it next."""
        return self.world.next_moment() if self.world is not None else None

    def advance(self, now: datetime) -> None:
        """Let its controller do what is due, moment by moment."""
        world = self.world
        if world is None:
            return
        world.settle()
        while (moment := world.next_moment()) is not None and moment <= now:
            world.advance(moment)
            world.settle()
        if world.now < now:
            world.advance(now)
            world.settle()
