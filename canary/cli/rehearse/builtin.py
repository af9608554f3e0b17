"""The stories that come with the program: what can become of a new version, from good to never there."""

from typing import Final

from canary.api.analysis import GATES
from canary.cli.rehearse.story import NEW, Behaviour, Happening, Outage, Part, Saying, Story, Stretch, Times

HEALTHY: Final = "healthy"


def _of(name: str, description: str, *stretches: Stretch) -> Story:
    return Story(name=name, description=description, versions={NEW: Behaviour(stretches=stretches)})


def _leaking(percent: int) -> Stretch:
    """Errors and latency of a version that has leaked for this part of its rollout."""
    return Stretch(after=Part(percent), errors=percent**2 / 1_000, latency=Times(1 + percent / 100))


STORIES: Final = (
    Story(name=HEALTHY, description="The new version is good."),
    _of("dead-on-arrival", "All requests to the new version fail.", Stretch(errors=100.0)),
    _of(
        "fails-at-20-percent",
        "Half of its requests fail once the new version gets 20 % of them.",
        Stretch(weight=20, errors=50.0),
    ),
    _of(
        "slow-leak",
        "Errors and latency of the new version grow: up to 10 %, and twice as long, at the end of its steps.",
        *(_leaking(percent) for percent in range(5, 101, 5)),
    ),
    _of("latency-doubles", "The new version takes twice as long to answer.", Stretch(latency=Times(2.0))),
    _of("no-traffic", "No request reaches the new version, so that metrics have no values.", Stretch(no_data=True)),
    Story(
        name="metrics-server-down",
        description="The new version is good; the metrics server can't be asked.",
        metrics_down=(Outage(),),
    ),
    Story(
        name="gate-never-opens",
        description="The new version is good; nobody opens a gate.",
        hooks=tuple(Saying(type=gate, approves=False, message="nobody has opened it") for gate in GATES),
        needs_gate=True,
    ),
    Story(
        name="new-revision-in-mid-rollout",
        description="Half-way through the rollout of the new version a newer one comes; both are good.",
        changes=(Happening(at=Part(50.0), deploy="newer"),),
    ),
    Story(
        name="pods-never-ready",
        description="The pods of the new version never become ready.",
        versions={NEW: Behaviour(ready_after=None, why_not_ready="they never become ready")},
    ),
)

BY_NAME: Final = {story.name: story for story in STORIES}
