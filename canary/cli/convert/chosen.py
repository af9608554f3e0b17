"""Steps of a Rollout that lead chosen requests to the canary, or copies of all."""

from dataclasses import dataclass, field
from typing import Final

from canary.cli.convert.fields import Part
from canary.cli.convert.own_routes import Own
from canary.kube.types import Json, mapping

_VALUES: Final = ("exact", "prefix", "regex")
_ALL: Final = ({"path": {"prefix": "/"}}, {"path": {"regex": ".*"}}, {"path": {"regex": "/.*"}})
"""Conditions that every request meets."""


@dataclass(slots=True)
class Chosen:
    """What such steps come to.

    Args:
        own: the route that the controller makes; or why it can't, in words.
        headers: the conditions of each route that is there so far, by its name.
        mirrored: whether requests are copied so far.
    """

    own: Own | str
    headers: dict[str, list[Json]] = field(default_factory=dict)
    mirrored: bool = False

    def read(self, step: Part, written: list[Json]) -> None:
        """Read a step, and add what it comes to."""
        if isinstance(self.own, str):
            for kind, ours in (("setHeaderRoute", "header"), ("setMirrorRoute", "mirror")):
                step.lost(kind, f"a step {ours} needs a route that the controller makes: {self.own}")
            return
        if "setHeaderRoute" in step:
            self._header(step.part("setHeaderRoute"), self.own, written)
        if "setMirrorRoute" in step:
            self._mirror(step, step.part("setMirrorRoute"), written)

    def _header(self, route: Part, own: Own, written: list[Json]) -> None:
        name = route.text("name")
        matches = [found for each in route.parts("match") if (found := _condition(each))]
        if own.together and matches:
            matches = [{key: value for each in matches for key, value in each.items()}]
        before = dict(self.headers)
        self.headers.pop(name, None)
        if matches:
            self.headers[name] = [{"headers": each} for each in matches]
        if self.headers != before:
            conditions = [each for some in self.headers.values() for each in some]
            written.append({"header": {"match": conditions} if conditions else {}})

    def _mirror(self, step: Part, route: Part, written: list[Json]) -> None:
        route.take("name")
        percentage, conditions = route.number("percentage"), route.take("match")
        weighted = any(each.get("weight") for each in written)
        if not conditions:
            if self.mirrored and not weighted:
                written.append({"mirror": {"weight": 0}})
            self.mirrored = False
        elif weighted:
            step.lost(
                "setMirrorRoute", "copies go to a canary that answers none yet: write mirror before the first weight"
            )
        elif not isinstance(conditions, list) or not any(each in _ALL for each in conditions):
            step.lost(
                "setMirrorRoute", "a step mirror copies all requests, whatever they are; write it where they may be"
            )
        else:
            step.differs("setMirrorRoute", "the copies end with the first weight")
            written.append({"mirror": {"weight": 100 if percentage is None else min(percentage, 100)}})
            self.mirrored = True


def _condition(match: Part) -> Json:
    """One header with its value; empty where it can't be read, which is told."""
    name, value = match.text("headerName"), match.mapping("headerValue")
    said = {key: value[key] for key in _VALUES if isinstance(value.get(key), str) and value[key]}
    if not name or len(said) != 1 or mapping(value).keys() - said.keys():
        match.source.note(match.path, "it is no header with one of exact, prefix and regex", lost=True)
        return {}
    return {name.lower(): said}
