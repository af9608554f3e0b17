"""A rehearsal plays one Canary, at no time of day: what waits for others, or for an hour, is left out and said."""

from canary.api.canary import parse_canary
from canary.api.scheduling import Scheduling
from canary.cli.rehearse.conditions import playable


def test_a_freeze_is_left_out_and_named_and_a_priority_needs_no_word() -> None:
    frozen = {"freezeWindows": [{"name": "new-year", "start": "2026-01-01T00:00", "duration": "24h"}]}
    spec = {"targetRef": {"kind": "Deployment", "name": "app"}, "scheduling": frozen}
    played, notes = playable(parse_canary({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec}))
    assert played.spec.scheduling == Scheduling()
    assert [each.startswith("spec.scheduling is left out") for each in notes] == [True]
    spec["scheduling"] = {"priority": 10}
    assert playable(parse_canary({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec}))[1] == ()
