"""The joint verdict: what all members have compared fails a release that no single member has failed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary, parse_canary
from canary.api.fleet import CanaryFleet, parse_fleet
from canary.api.fleet_rules import canary_in, problems
from canary.api.fleet_status import FleetPhase, FleetStatus, MemberState
from canary.api.status import CanaryStatus, CheckStatus, Counted, Evidence, Phase, Verdict
from canary.fleet import joint
from canary.fleet.decide import decide
from canary.fleet.facts import Facts, Member, Reachable, Seen, Unreachable
from canary.fleet.orders import ORDER_ANNOTATION
from metrics.judge.evidence import BETS
from metrics.judge.joint import Bets, Joint, together
from tests.unit.fleet.fleets import MINUTE, START, fleet_of

RATE, DURATION = "request-success-rate", "request-duration"
COMPARED: tuple[dict[str, Any], ...] = ({"name": RATE, "compareTo": "primary"},)
TWO: list[dict[str, Any]] = [{"name": "one", "count": 2}, {"name": "rest"}]
AWAY = Unreachable(START + MINUTE)


def fleet_with(metrics: Sequence[Mapping[str, Any]] = COMPARED, **spec: Any) -> CanaryFleet:
    """A fleet that judges what its members have compared."""
    raw = fleet_of(**{"waves": [{"name": "all"}], "jointVerdict": {}, **spec}).to_json()
    raw["spec"]["template"]["spec"]["analysis"]["metrics"] = [dict(each) for each in metrics]
    return parse_fleet(raw)


def at_rest() -> Canary:
    """A member's Canary before the release."""
    status = CanaryStatus(phase=Phase.SUCCEEDED, last_promoted_spec="v1", last_applied_spec="v1")
    return parse_canary(canary_in(fleet_of())).replace(status=status)


def rolls(
    won: float, *, uid: str = "", minute: int = 2, version: str = "v2", promoted: bool = False, **others: float
) -> Canary:
    """A member's Canary whose bets have each come to so much, as logarithms; others are metrics by name."""
    phase = Phase.SUCCEEDED if promoted else Phase.PROGRESSING
    status = CanaryStatus(
        phase=phase,
        last_promoted_spec=version if promoted else "v1",
        last_applied_spec=version,
        analysis_start_time=START + minute * MINUTE,
        checks=tuple(check(name, each) for name, each in {RATE: won, **others}.items()),
    )
    canary = at_rest()
    return canary.replace(status=status, metadata=canary.metadata.replace(uid=uid))


def check(name: str, won: float) -> CheckStatus:
    counts = {"canary": Counted(requests=100, bad=4), "promoted": Counted(requests=900, bad=9)}
    evidence = Evidence(bets=(won,) * BETS, **counts)
    return CheckStatus(name=name.replace("_", "-"), verdict=Verdict.PASS, evidence=evidence)


class Hub:
    """A hub that sees members as it is told, and stores what it decides."""

    def __init__(self, fleet: CanaryFleet, *members: str) -> None:
        self.fleet, self.at = fleet, 0
        self.look(**{name: at_rest() for name in members})

    def look(self, **members: Canary | Unreachable) -> FleetStatus:
        """Look until nothing changes any more."""
        seen: dict[str, Seen] = {
            name: each if isinstance(each, Unreachable) else Reachable(each) for name, each in members.items()
        }
        there = tuple(Member(name, {}, each) for name, each in seen.items())
        for _ in range(6):
            self.at += 1
            decision = decide(self.fleet, Facts(START + timedelta(seconds=self.at), there))
            stored = FleetStatus.model_validate(decision.status.to_json())
            self.fleet = self.fleet.replace(status=stored)
        return self.fleet.status

    def order(self, text: str) -> None:
        annotations = {ORDER_ANNOTATION: text}
        self.fleet = self.fleet.replace(metadata=self.fleet.metadata.replace(annotations=annotations))


def failed(status: FleetStatus) -> bool:
    return status.phase is not FleetPhase.PROGRESSING


class TestVerdict:
    """When a release fails by the numbers of all members together."""

    @pytest.mark.field(
        "CanaryFleet.spec.jointVerdict.falseRollback",
        "CanaryFleet.status.joint[].name",
        "CanaryFleet.status.joint[].verdict",
        "CanaryFleet.status.joint[].value",
        "CanaryFleet.status.joint[].threshold",
        "CanaryFleet.status.joint[].samples",
        "CanaryFleet.status.joint[].pValue",
        "CanaryFleet.status.joint[].members",
        "CanaryFleet.status.joint[].message",
        "CanaryFleet.status.members[].evidence.metrics[].name",
        "CanaryFleet.status.members[].evidence.metrics[].bets",
        "CanaryFleet.status.members[].evidence.metrics[].canary.requests",
        "CanaryFleet.status.members[].evidence.metrics[].canary.bad",
        "CanaryFleet.status.members[].evidence.metrics[].promoted.requests",
        "CanaryFleet.status.members[].evidence.metrics[].promoted.bad",
        "status.checks[].evidence.bets",
        "status.checks[].evidence.canary.requests",
        "status.checks[].evidence.canary.bad",
        "status.checks[].evidence.promoted.requests",
        "status.checks[].evidence.promoted.bad",
    )
    def test_it_fails_with_the_numbers_the_reason_and_the_members_though_none_of_them_has_failed(self) -> None:
        """1 in 100 is promised, which is e to the 4.6; each of three has come to e to the 1.6."""
        hub = Hub(fleet_with(onFailure="rollbackAll"), "a", "b", "c")
        two = hub.look(a=rolls(1.6), b=rolls(1.6), c=at_rest())
        assert (two.phase, [each.verdict for each in two.joint]) == (FleetPhase.PROGRESSING, [Verdict.PASS])
        status = hub.look(a=rolls(1.6), b=rolls(1.6), c=rolls(1.6))

        assert (status.phase, status.reason) == (FleetPhase.ROLLING_BACK, "WaveFailed")
        assert status.cause == (
            "wave all fails by the numbers of all together: request-success-rate 4 % (12 of 300) against 1 % (27 of "
            "2700) in 3 members together is worse by more than 0.1 % (p 0.0082, where 0.01 is enough): a, b, c"
        )
        assert {each.state for each in status.members} == {MemberState.ROLLING_BACK}
        (joint,) = status.joint
        assert (joint.name, joint.verdict, joint.value, joint.threshold) == (RATE, Verdict.FAIL, 4, "1 and 0.1")
        assert (joint.samples, joint.members, joint.p_value) == (300, 3, 0.00823)

    @pytest.mark.parametrize(("promised", "fails"), [(5, True), (1, False)])
    def test_how_often_it_may_err_is_said_in_percent(self, promised: float, fails: bool) -> None:
        hub = Hub(fleet_with(jointVerdict={"falseRollback": promised}), "a", "b")
        assert failed(hub.look(a=rolls(1.6), b=rolls(1.6))) is fails

    def test_without_it_members_decide_alone_and_nothing_is_kept_of_what_they_compare(self) -> None:
        hub = Hub(fleet_with(jointVerdict=None), "a", "b")
        status = hub.look(a=rolls(50), b=rolls(50))
        assert (status.phase, status.joint) == (FleetPhase.PROGRESSING, ())
        assert [each.evidence for each in status.members] == [None, None]

    def test_of_several_metrics_each_must_say_more(self) -> None:
        """Of two, the first must come to twice as much (Holm); one of which nothing is known yet counts, too."""
        both = fleet_with([*COMPARED, {"name": DURATION, "compareTo": "primary"}])
        assert not failed(Hub(both, "a", "b").look(a=rolls(2.5), b=rolls(2.5)))
        assert failed(Hub(fleet_with(), "a", "b").look(a=rolls(2.5), b=rolls(2.5)))
        assert failed(Hub(both, "a", "b").look(a=rolls(2.7, request_duration=0), b=rolls(2.7, request_duration=0)))

    def test_a_member_in_which_the_version_does_well_speaks_for_it(self) -> None:
        assert not failed(Hub(fleet_with(), "a", "b").look(a=rolls(6), b=rolls(-3)))

    def test_a_wave_that_does_well_hides_nothing_of_the_next_which_fails_alone(self) -> None:
        """It costs as much as there are waves to look at each from which on it may be worse."""
        hub = Hub(fleet_with(waves=TWO, onFailure="rollbackWave"), "a", "b", "c")
        hub.look(a=rolls(-200, promoted=True), b=rolls(-200, promoted=True), c=at_rest())
        status = hub.look(a=rolls(-200, promoted=True), b=rolls(-200, promoted=True), c=rolls(5.5))

        assert "wave rest fails by the numbers of all together" in status.cause
        assert status.cause.endswith(": c")
        assert [each.state for each in status.members] == [MemberState.PASSED, MemberState.PASSED, "RollingBack"]

    def test_a_fleet_that_watches_judges_and_writes_nothing(self) -> None:
        hub = Hub(fleet_with(mode="watch"), "a", "b")
        status = hub.look(a=rolls(4), b=rolls(4))
        assert (status.phase, status.reason) == (FleetPhase.FAILED, "Held")

    def test_who_has_promoted_the_release_has_done_so_past_the_joint_verdict_too(self) -> None:
        hub = Hub(fleet_with(), "a", "b")
        hub.order("promote by=mia")
        assert not failed(hub.look(a=rolls(9), b=rolls(9)))


class TestNotFooled:
    """What counts of a member, and how often."""

    def test_one_that_can_t_be_reached_counts_with_what_it_said_last_whichever_hub_asks(self) -> None:
        hub = Hub(fleet_with(), "a", "b")
        assert not failed(hub.look(a=rolls(3), b=at_rest()))
        assert failed(hub.look(a=AWAY, b=rolls(3)))

    def test_one_whose_version_bakes_counts_with_what_its_rollout_came_to(self) -> None:
        hub = Hub(fleet_with(waves=TWO), "a", "b", "c")
        hub.look(a=rolls(3, promoted=True), b=rolls(0, promoted=True), c=at_rest())
        bakes = rolls(0, promoted=True)
        bakes = bakes.replace(status=bakes.status.replace(checks=(CheckStatus(name="other", verdict=Verdict.PASS),)))
        assert failed(hub.look(a=bakes, b=bakes, c=rolls(3)))

    def test_a_cluster_that_is_a_member_under_two_names_counts_once(self) -> None:
        assert not failed(Hub(fleet_with(), "a", "b").look(a=rolls(3, uid="1"), b=rolls(3, uid="1")))
        assert failed(Hub(fleet_with(), "a", "b").look(a=rolls(3, uid="1"), b=rolls(3, uid="2")))

    @pytest.mark.field(
        "CanaryFleet.status.members[].evidence.uid",
        "CanaryFleet.status.members[].evidence.since",
        "CanaryFleet.status.members[].evidence.metrics[].lost",
    )
    def test_what_was_won_against_another_version_does_not_count_and_what_was_lost_does(self) -> None:
        """Who tries often enough would win by chance."""
        won = Hub(fleet_with(), "a", "b")
        won.look(a=rolls(4, uid="1"), b=at_rest())
        assert not failed(won.look(a=rolls(0, uid="1", minute=9, version="v3"), b=rolls(3)))
        assert failed(won.look(a=rolls(2, uid="1", minute=9, version="v3"), b=rolls(3)))

        lost = Hub(fleet_with(), "a", "b")
        lost.look(a=rolls(-2), b=at_rest())
        status = lost.look(a=rolls(2, minute=9, version="v3"), b=rolls(3))
        evidence = status.members[0].evidence
        assert evidence is not None
        assert (failed(status), evidence.since, evidence.metrics[0].lost) == (False, START + 9 * MINUTE, (-2.0,) * BETS)

    def test_a_rollout_from_before_it_might_begin_does_not_count(self) -> None:
        before = rolls(9, promoted=True, version="v1", minute=-30)
        hub = Hub(fleet_with())
        assert not failed(hub.look(a=before, b=before))
        assert failed(hub.look(a=rolls(3), b=rolls(3)))

    def test_a_release_that_is_tried_again_is_judged_by_what_comes_after(self) -> None:
        hub = Hub(fleet_with(), "a", "b")
        assert failed(hub.look(a=rolls(4), b=rolls(4)))
        hub.order("retry by=mia")
        assert not failed(hub.look(a=rolls(9), b=rolls(9)))
        assert failed(hub.look(a=rolls(9, minute=9, version="v3"), b=rolls(9, minute=9, version="v3")))

    def test_one_whose_controller_bets_on_something_else_counts_not_and_harms_nothing(self) -> None:
        other = rolls(9)
        checks = (check(RATE, 9).replace(evidence=Evidence(bets=(9.0,))),)
        other = other.replace(status=other.status.replace(checks=checks))
        status = Hub(fleet_with(), "a", "b").look(a=other, b=rolls(1))
        assert (failed(status), status.joint[0].members) == (False, 1)

    def test_numbers_in_a_status_that_are_none_count_for_nothing(self) -> None:
        raw = {"bets": [1.0, float("inf")], "canary": {"requests": -3, "bad": float("inf")}}
        assert Evidence.model_validate(raw) == Evidence()

    @given(
        told=st.lists(
            st.tuples(st.integers(-30, 30), st.integers(1, 3), st.booleans()),  # won, which version, seen
            max_size=8,
        )
    )
    def test_whatever_a_member_rolls_out_it_never_counts_for_more_than_the_product_of_all_its_versions(
        self, told: list[tuple[int, int, bool]]
    ) -> None:
        """Which is a fair bet: of each version of which anything was seen, what it came to last."""
        hub, last, order = Hub(fleet_with(jointVerdict={"falseRollback": 0.01}), "a"), dict[int, int](), list[int]()
        for won, version, seen in told:
            if order and version < order[-1]:
                continue  # a version that is gone does not come back as the same rollout
            hub.look(a=rolls(won, minute=version, version=f"v{version + 1}") if seen else AWAY)
            if failed(hub.fleet.status):
                return
            if seen:
                order.append(version)
                last[version] = won
        evidence = hub.fleet.status.members[0].evidence
        assert (evidence is None) == (not last)
        if evidence is not None:
            (metric,) = evidence.metrics
            counted = metric.bets[0] + (metric.lost[0] if metric.lost else 0)
            *before, now = [last[each] for each in sorted(last)]
            assert counted <= now + min([0.0, *before]) + 1e-6
            assert metric.bets[0] == now


class TestRules:
    """What can't be put together is refused by its field."""

    @pytest.mark.parametrize("won", [0.5, 5.0])
    def test_a_decision_judges_the_numbers_once(self, won: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of hundreds of members that takes most of its time; the verdict and what is shown of it are of one piece."""
        hub, judged = Hub(fleet_with(), "a", "b"), list[int]()

        def counted(stages: Sequence[Sequence[Bets]]) -> Joint:
            judged.append(len(stages))
            return together(stages)

        monkeypatch.setattr(joint, "together", counted)
        there = tuple(Member(name, {}, Reachable(rolls(won))) for name in "ab")
        decision = decide(hub.fleet, Facts(START + MINUTE, there))
        assert (failed(decision.status), [each.verdict for each in decision.status.joint], judged) == (
            won > 1,
            [Verdict.FAIL if won > 1 else Verdict.PASS],
            [1],
        )

    @pytest.mark.parametrize(
        "metrics",
        [
            [{"name": RATE, "thresholdRange": {"min": 99}}],
            [{"name": RATE, "compareTo": "primary", "dryRun": True}],
            [{"name": RATE, "compareTo": "primary", "method": "mannWhitney"}],
        ],
    )
    def test_there_must_be_a_metric_whose_requests_are_compared(self, metrics: list[dict[str, Any]]) -> None:
        (said,) = (str(each) for each in problems(fleet_with(metrics)) if each.field == "spec.jointVerdict")
        assert said == (
            "spec.jointVerdict: no metric of the template is compared, so that members have nothing to be put "
            "together; set compareTo: primary in one of spec.template.spec.analysis.metrics, or take it out"
        )

    def test_what_is_replaced_pod_by_pod_is_judged_step_by_step(self) -> None:
        raw = fleet_with([{"name": RATE, "compareTo": "previous"}]).to_json()
        raw["spec"]["template"]["spec"]["targetRef"] = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop"}
        said = [str(each) for each in problems(parse_fleet(raw)) if each.field == "spec.jointVerdict"]
        assert said == [
            "spec.jointVerdict: each step of a StatefulSet is judged by itself, and can't be put together; take it out"
        ]

    @pytest.mark.parametrize("promised", [0.001, 51])
    def test_how_often_it_may_err_has_bounds(self, promised: float) -> None:
        (said,) = map(str, problems(fleet_with(jointVerdict={"falseRollback": promised})))
        assert said == f"spec.jointVerdict.falseRollback: {promised:g} % is no promise; write 0.01 to 50"
