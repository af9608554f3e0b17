"""What can become of a release over many clusters: the stories that come with the program."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from canary.api.analysis import REQUEST_SUCCESS_RATE
from canary.api.fleet import CanaryFleet
from canary.cli.rehearse.story import NEW, Behaviour, Happening, Story, Stretch
from canary.fleet.joint import compared

ALL_FAIL = 100.0
ANOTHER = "another"
"""A version that is not the release."""
LITTLE = "a-little-worse"
"""Name of the story in which no member finds by itself what is wrong."""


@dataclass(frozen=True, slots=True)
class FleetStory:
    """What becomes of a release.

    Args:
        name: what it is called.
        description: what it is about, in a sentence.
        bad: from the names of the members, wave by wave, to those in which the new version is bad.
        turns_bad: the same of those in which it turns bad once it is promoted.
        other: the same of those to which another version comes than the release's images say.
        away: the same of those that can't be reached from a minute after the beginning on.
        gates_open: whether gates open.
        errors: percent of the requests to a bad version that fail.
        concerns: whether it tells anything of a fleet.
    """

    name: str
    description: str
    bad: Callable[[Sequence[Sequence[str]]], Sequence[str]] = lambda waves: ()
    turns_bad: Callable[[Sequence[Sequence[str]]], Sequence[str]] = lambda waves: ()
    other: Callable[[Sequence[Sequence[str]]], Sequence[str]] = lambda waves: ()
    away: Callable[[Sequence[Sequence[str]]], Sequence[str]] = lambda waves: ()
    gates_open: bool = True
    errors: float = ALL_FAIL
    concerns: Callable[[CanaryFleet], bool] = lambda fleet: True


def _first(waves: Sequence[Sequence[str]]) -> Sequence[str]:
    return next((wave[:1] for wave in waves if wave), ())


def _last(waves: Sequence[Sequence[str]]) -> Sequence[str]:
    return next((wave[-1:] for wave in reversed(waves) if wave), ())


def _all(waves: Sequence[Sequence[str]]) -> Sequence[str]:
    return [name for wave in waves for name in wave]


def _judges_together(fleet: CanaryFleet) -> bool:
    return fleet.spec.joint_verdict is not None and REQUEST_SUCCESS_RATE in compared(fleet)


def _bakes(fleet: CanaryFleet) -> bool:
    return bool(dict(fleet.spec.template.spec.get("analysis") or {}).get("bake"))


STORIES = (
    FleetStory("healthy", "The release is good in every member."),
    FleetStory(
        "bad-everywhere",
        "All requests to the new version fail, in every member.",
        bad=_all,
    ),
    FleetStory(
        LITTLE,
        "So few requests to it fail, in every member, that none of them finds it by itself.",
        bad=_all,
        concerns=_judges_together,
    ),
    FleetStory("bad-in-the-last-wave", "All requests to it fail in one member of the last wave.", bad=_last),
    FleetStory(
        "turns-bad-after-promotion",
        "In one member of the first wave it turns bad five minutes after its promotion.",
        turns_bad=_first,
        concerns=_bakes,
    ),
    FleetStory(
        "another-version",
        "In a member of the last wave another version is deployed than the release's images say.",
        other=_last,
        concerns=lambda fleet: bool(fleet.spec.images),
    ),
    FleetStory(
        "member-unreachable",
        "A member of the first wave can't be reached from a minute after the beginning on.",
        away=_first,
    ),
    FleetStory(
        "gate-never-opens",
        "The release is good; no gate opens.",
        gates_open=False,
        concerns=lambda fleet: any(wave.gates for wave in fleet.spec.waves),
    ),
)

BY_NAME: Mapping[str, FleetStory] = {each.name: each for each in STORIES}


def behaviour(story: FleetStory, waves: Sequence[Sequence[str]], member: str, promoted_after: timedelta) -> Story:
    """What becomes of the new version in one member, as a story of its Canary.

    Args:
        story: what becomes of the release.
        waves: the names of the members, wave by wave.
        member: the name of this one.
        promoted_after: how long its rollout takes.
    """
    stretches: tuple[Stretch, ...] = ()
    if member in story.bad(waves):
        stretches = (Stretch(errors=story.errors),)
    elif member in story.turns_bad(waves):
        stretches = (Stretch(after=promoted_after + timedelta(minutes=5), errors=ALL_FAIL),)
    others = (Happening(at=timedelta(0), deploy=ANOTHER),) if member in story.other(waves) else ()
    return Story(name=story.name, versions={NEW: Behaviour(stretches=stretches)}, changes=others)
