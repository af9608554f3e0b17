"""Many Canaries in virtual time, each in a world of its own, which see of one another what the controller would."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from canary.api.canary import Canary, parse_canary
from canary.controller.observe.rollouts import Rollouts
from canary.kube.store import Change, Key
from canary.kube.types import Json
from canary.rollout.facts import Facts
from canary.rollout.simulation import Deploy, Reading, SafeWorld, Scenario, Scheduled, Version


class Member(SafeWorld):
    """One world of several."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.beside: Callable[[Facts], Facts] = lambda facts: facts

    def facts(self) -> Facts:
        """What the controller sees now, of the others too."""
        return self.beside(super().facts())

    def look_again(self) -> None:
        """Somebody else's change concerns this one."""
        self._wake = self.now

    @property
    def raw(self) -> Json:
        """The Canary as the API server has it."""
        raw = self.canary.to_json()
        return {**raw, "status": self.canary.status.to_json()}


class Fleet:
    """Worlds whose time passes together.

    Args:
        scenarios: one for each Canary.
        limit: how many rollouts may go on at once; 0 for any number.
        watch: is called with the time whenever a Canary has been looked at.
    """

    def __init__(
        self, scenarios: list[Scenario], limit: int = 0, watch: Callable[["Fleet"], None] = lambda _: None
    ) -> None:
        self.limit = limit
        self.now: datetime = scenarios[0].start
        self.worlds: Mapping[str, Member] = {each.canary.key: Member(each) for each in scenarios}
        self._watch = watch
        self.restart()
        for key, world in self.worlds.items():
            world.beside = partial(self._beside, key)

    def restart(self) -> None:
        """Another controller takes over: nothing is known but what is stored."""
        self.rollouts = Rollouts(self.limit)
        for key in self.worlds:
            self._take(key)
        for world in self.worlds.values():
            world.look_again()

    def run(self, span: timedelta) -> None:
        """Let time pass, until then or until nothing more would happen."""
        end = self.now + span
        while True:
            moments = {key: moment for key, each in self.worlds.items() if (moment := each.next_moment()) is not None}
            if not moments or min(moments.values()) > end:
                break
            self.now = max(self.now, min(moments.values()))
            for key in [key for key, each in moments.items() if each <= self.now]:
                self._settle(key)
        self.now = end

    def _beside(self, key: str, facts: Facts) -> Facts:
        turn, dependencies = self.rollouts.turn(key, facts.now), self.rollouts.dependencies(key)
        return replace(facts, turn=turn, dependencies=dependencies, group=self.rollouts.group(key))

    def _settle(self, key: str) -> None:
        world = self.worlds[key]
        world.advance(self.now)
        world.settle()
        status, target = world.canary.status, world.cluster.target
        current = target is None or target.revision == status.last_applied_spec
        self.rollouts.decided(key, status.phase, current=current)
        woken = self._take(key) | self.rollouts.passed(key)
        self._watch(self)
        for other in woken:
            self.worlds[other].now = max(self.worlds[other].now, self.now)
            self.worlds[other].look_again()

    def _take(self, key: str) -> frozenset[str]:
        namespace, _, name = key.partition("/")
        return self.rollouts.take(Change(Key(namespace, name), None, self.worlds[key].raw))


def canary_of(namespace: str, name: str, **spec: Any) -> Canary:
    analysis = {"interval": "1m", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
    analysis["metrics"] = [{"name": "request-success-rate", "threshold": 99}]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return parse_canary(
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}", "generation": 1},
            "spec": {"targetRef": target, "service": {"port": 80}, "analysis": analysis, **spec},
        }
    )


def story_of(canary: Canary, *, at: float = 60, bad: bool = False) -> Scenario:
    """A new version is deployed after a minute."""
    versions = {"v1": Version(), "v2": Version(readings=(Reading(1.0),) if bad else ())}
    changes = (Scheduled(timedelta(seconds=at), Deploy("v2")),)
    return Scenario(canary=canary, versions=versions, changes=changes)
