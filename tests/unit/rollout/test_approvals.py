"""Gates that people open: who counts, what it comes to, and that nothing of it is lost or heeded at another moment."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import ApprovalState, ApprovalStatus, Outcome, Phase
from canary.rollout.approvals import has_opened, news, refusal
from canary.rollout.facts import Facts
from canary.rollout.simulation import Annotate, Deploy, Edit, Reading, Reply, SafeWorld, Scenario, Timeline, Version
from canary.rollout.situation import Situation
from canary.rollout.turns import Turn
from canary.rollout.votes import PREFIX, Vote, read, votes_in

V2 = (60, Deploy("v2"))
NOBODY = (Reply(approved=False),)
CONFIRMS = ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion"]
PEOPLE = {"approvers": ["alice", "bob", "eve"], "minApprovals": 2}
HOUR = timedelta(hours=1)

Make = Callable[..., Canary]
Play = Callable[..., Timeline]
Story = Callable[..., Scenario]


def gated(kind: str, **approval: Any) -> dict[str, Any]:
    """An analysis that waits for people."""
    return {"stepWeight": 50, "webhooks": [{"name": "qa", "type": kind, "gate": {"approval": approval}}]}


class Ballot(SafeWorld):
    """A world in which people vote as a test says, once a gate waits.

    Args:
        scenario: what happens; nobody votes by itself.
        votes: what is said of each gate that waits, once it does.
    """

    def __init__(self, scenario: Scenario, votes: Callable[[ApprovalStatus], Iterable[Vote]]) -> None:
        super().__init__(scenario)
        self.votes = votes
        self.seen: set[str] = set()

    def pass_once(self) -> bool:
        for entry in self.canary.status.approvals:
            if entry.state is ApprovalState.WAITING and entry.moment not in self.seen:
                self.seen.add(entry.moment)
                for vote in self.votes(entry):
                    self.change(Annotate(vote.key, vote.text()))
        return super().pass_once()


def says(who: str, yes: bool, why: str = "") -> Callable[[ApprovalStatus], Vote]:
    return lambda entry: Vote(who, yes, entry.gate, entry.moment, "2026-01-01T00:00:00Z", why)


def all_of(*votes: Callable[[ApprovalStatus], Vote]) -> Callable[[ApprovalStatus], list[Vote]]:
    return lambda entry: [vote(entry) for vote in votes]


def told(line: Timeline) -> list[str]:
    return [event.message for entry in line.entries for event in entry.events]


@pytest.mark.parametrize("kind", CONFIRMS)
class TestWhoCounts:
    """Those who are named, each once."""

    def test_enough_of_them_open_it(self, canary: Make, story: Story, kind: str) -> None:
        votes = all_of(says("alice", True, "well tested"), says("bob", True))
        line = Ballot(story(canary(**gated(kind, **PEOPLE)), V2, replies=NOBODY), votes).run()
        assert line.status.phase is Phase.SUCCEEDED
        assert f"alice approves {kind} gate qa of app.prod: well tested" in told(line)
        assert f"bob approves {kind} gate qa of app.prod" in told(line)
        (ended,) = line.status.history
        assert {(each.gate, each.type, each.state) for each in ended.approvals} == {("qa", kind, "Approved")}
        assert [(each.by, each.message) for each in ended.approvals[0].votes] == [("alice", "well tested"), ("bob", "")]
        assert line.status.approvals == ()

    @pytest.mark.parametrize(
        "votes",
        [
            all_of(says("alice", True)),
            all_of(says("alice", True), says("mallory", True)),
            all_of(says("alice", True), says("Alice", True), says("alice ", True), says("bob%20", True)),
        ],
    )
    def test_others_and_too_few_do_not(self, canary: Make, story: Story, kind: str, votes: Any) -> None:
        scenario = story(canary(**gated(kind, **PEOPLE)), V2, replies=NOBODY, limit=HOUR)
        world = Ballot(scenario, votes)
        line = world.run()
        assert line.status.reason == "WaitingForApproval"
        assert line.status.message == "qa: has 1 of 2 approvals, of alice, bob, eve"
        assert line.passes < 200

    def test_one_who_votes_twice_counts_once(self, canary: Make, story: Story, kind: str) -> None:
        """Also under another name of the annotation."""

        class Twice(Ballot):
            def pass_once(self) -> bool:
                for key, vote in list(votes_in(self.canary.metadata.annotations)):
                    if vote is not None and not key.endswith("-2"):
                        self.canary = self.canary.replace(
                            metadata=self.canary.metadata.replace(
                                annotations={**self.canary.metadata.annotations, f"{key[:-2]}-2": vote.text()}
                            )
                        )
                return super().pass_once()

        scenario = story(canary(**gated(kind, **PEOPLE)), V2, replies=NOBODY, limit=HOUR)
        assert Twice(scenario, all_of(says("alice", True))).run().status.message.startswith("qa: has 1 of 2")

    def test_where_nobody_is_named_anybody_may(self, canary: Make, story: Story, kind: str) -> None:
        line = Ballot(story(canary(**gated(kind)), V2, replies=NOBODY), all_of(says("zoe", True))).run()
        assert line.status.phase is Phase.SUCCEEDED

    def test_a_no_takes_the_version_back(self, canary: Make, story: Story, kind: str) -> None:
        """At once, however many have approved."""
        votes = all_of(says("alice", True), says("bob", True), says("eve", False, "it's Friday"))
        line = Ballot(story(canary(**gated(kind, **PEOPLE), onFailure="hold"), V2, replies=NOBODY), votes).run()
        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Rejected")
        assert line.status.message.startswith("gate qa was rejected by eve at 2026-01-01T00:0")
        (ended,) = line.status.history
        assert ended.outcome is Outcome.ROLLED_BACK
        assert "it's Friday" in ended.cause
        assert ended.approvals[0].state is ApprovalState.REJECTED

    @pytest.mark.parametrize("stops", ["suspended", "paused", "invalid"])
    def test_a_no_is_heeded_like_an_abort_where_all_else_stands_still(
        self, canary: Make, story: Story, kind: str, stops: str
    ) -> None:
        """Nobody resumes a rollout to have it taken back."""
        made = canary(**gated(kind, **PEOPLE))
        changes: dict[str, Edit | Annotate] = {
            "suspended": Edit(made.spec.replace(suspend=True)),
            "paused": Annotate("flagger.app/pause", "by mia"),
            "invalid": Edit(made.spec.replace(service=made.spec.service.replace(port=0))),
        }
        world = Ballot(story(made, V2, replies=NOBODY), lambda _: ())
        world.run(HOUR)
        world.change(changes[stops])
        assert world.run(1.05 * HOUR).status.phase is not Phase.FAILED
        world.votes, world.seen = all_of(says("eve", False)), set()
        world.run(1.1 * HOUR)
        line = world.run(1.1 * HOUR)
        assert (line.status.phase, line.status.reason) == (Phase.FAILED, "Rejected")

    def test_votes_on_another_moment_count_for_nothing(self, canary: Make, story: Story, kind: str) -> None:
        def other(entry: ApprovalStatus) -> list[Vote]:
            return [Vote(each, True, entry.gate, "0123456789") for each in ("alice", "bob")]

        scenario = story(canary(**gated(kind, **PEOPLE)), V2, replies=NOBODY, limit=HOUR)
        world = Ballot(scenario, other)
        assert world.run().status.message == "qa: has 0 of 2 approvals, of alice, bob, eve"
        assert not list(votes_in(world.canary.metadata.annotations)), "they are taken off"

    def test_nobody_is_asked_twice_in_a_rollout_and_anew_in_the_next(
        self, canary: Make, story: Story, kind: str
    ) -> None:
        asked: list[str] = []

        def votes(entry: ApprovalStatus) -> list[Vote]:
            asked.append(entry.moment)
            return [says(each, True)(entry) for each in ("alice", "bob")]

        world = Ballot(story(canary(**gated(kind, **PEOPLE)), V2, (2000, Deploy("v3")), replies=NOBODY), votes)
        line = world.run()
        assert [each.revision for each in line.status.history] == ["v3", "v2"]
        assert len(asked) == len(set(asked))
        assert not list(votes_in(world.canary.metadata.annotations))


@pytest.mark.parametrize("kind", CONFIRMS)
class TestTimeout:
    """What nobody has decided in time comes to what the spec says."""

    @pytest.mark.parametrize(("result", "phase"), [("reject", Phase.FAILED), ("approve", Phase.SUCCEEDED)])
    def test_the_result_is_told_with_its_cause(
        self, canary: Make, play: Play, kind: str, result: str, phase: Phase
    ) -> None:
        line = play(canary(**gated(kind, timeout="30m", onTimeout=result)), V2, replies=NOBODY)
        assert line.status.phase is phase
        said = {"reject": "rejected", "approve": "approved"}[result]
        words = f"has 0 of 1 approvals after 30m: {said}, as its onTimeout says"
        (ended,) = line.status.history
        assert {each.message for each in ended.approvals} == {words}
        assert any(each.endswith(f"gate qa of app.prod {words}") for each in told(line))
        first = ended.approvals[0]
        assert first.decided is not None
        assert first.decided - first.since == timedelta(minutes=30)
        if phase is Phase.FAILED:
            assert (line.status.reason, ended.cause) == ("Rejected", f"gate qa {words}")

    def test_without_one_it_waits_and_costs_little(self, canary: Make, play: Play, kind: str) -> None:
        line = play(canary(**gated(kind)), V2, replies=NOBODY, limit=timedelta(hours=2))
        assert line.status.reason == "WaitingForApproval"
        assert line.passes < 2 * 60 * 4
        assert sum("waiting for" in each for each in told(line)) == 1


def test_a_check_that_fails_once_while_people_think_costs_no_vote(canary: Make, story: Story) -> None:
    """Half of the votes are there; then a look fails; then the other half comes."""
    bad = Version(readings=(Reading(1.0, weight=50, after=timedelta(minutes=4)),))
    back = Reading(100.0, weight=50, after=timedelta(minutes=5))
    versions = {"v2": Version(readings=(*bad.readings, back))}
    made = canary(**gated("confirm-promotion", **PEOPLE), threshold=5)
    world = Ballot(story(made, V2, replies=NOBODY, versions=versions, limit=HOUR), all_of(says("alice", True)))
    world.run(timedelta(minutes=12))
    (entry,) = (each for each in world.canary.status.approvals if each.type == "confirm-promotion")
    assert world.canary.status.failed_checks > 0
    assert [each.by for each in entry.votes] == ["alice"]
    second = says("bob", True)(entry)
    world.change(Annotate(second.key, second.text()))
    assert world.run().status.phase is Phase.SUCCEEDED


def test_it_goes_on_with_half_of_its_votes_when_the_controller_dies(canary: Make, story: Story) -> None:
    world = Ballot(story(canary(**gated("confirm-promotion", **PEOPLE)), V2, replies=NOBODY), all_of(says("eve", True)))
    world.run(timedelta(minutes=10))
    (entry,) = world.canary.status.approvals
    world.restart()
    second = says("bob", True)(entry)
    world.change(Annotate(second.key, second.text()))
    line = world.run()
    assert line.status.phase is Phase.SUCCEEDED
    assert sum("eve approves" in each for each in told(line)) == 1


def test_who_is_no_approver_any_more_does_not_count(canary: Make, story: Story) -> None:
    made = canary(**gated("confirm-promotion", **PEOPLE))
    world = Ballot(story(made, V2, replies=NOBODY, limit=HOUR), all_of(says("alice", True)))
    world.run(timedelta(minutes=10))
    edited = canary(**gated("confirm-promotion", approvers=["bob", "eve"], minApprovals=1))
    world.change(Edit(edited.spec))
    line = world.run()
    assert line.status.message == "qa: has 0 of 1 approvals, of bob, eve"
    assert "alice has taken back what they said of confirm-promotion gate qa of app.prod" in told(line)


def test_one_gate_after_the_other_each_is_told(canary: Make, play: Play) -> None:
    """A gate that is called beside one that people open doesn't make the controller look all the time."""
    people = {"name": "qa", "type": "confirm-promotion", "gate": {"approval": {}}}
    called = {"name": "ops", "type": "confirm-promotion", "url": "http://hooks.test/"}
    closed = (Reply(approved=False, name="ops"),)
    line = play(canary(stepWeight=50, webhooks=[people, called]), V2, replies=closed, limit=HOUR)
    assert line.status.message.startswith("ops: ")
    assert line.passes < 500


class Line(Ballot):
    """A world in which another rollout goes on, until it is this one's turn."""

    granted = False

    def facts(self) -> Facts:
        return replace(super().facts(), turn=Turn(1, ("prod/other",), self.granted))


def test_an_approval_that_is_taken_back_in_the_queue_does_not_start_anything(canary: Make, story: Story) -> None:
    """Until it is the rollout's turn nothing was done by their word; so they may think anew."""
    scenario = story(canary(**gated("confirm-rollout")), V2, replies=NOBODY, limit=2 * HOUR)
    world = Line(scenario, all_of(says("alice", True)))
    world.run(timedelta(minutes=10))
    assert world.canary.status.reason == "Queued"
    ((key, _),) = votes_in(world.canary.metadata.annotations)
    world.change(Annotate(key, "taken back"))
    world.granted = True
    waits = world.run(HOUR).status
    assert (waits.phase, waits.reason) == (Phase.WAITING, "WaitingForApproval")
    assert waits.message == "qa: has 0 of 1 approvals"
    again = says("alice", True)(waits.approvals[0])
    world.change(Annotate(again.key, again.text()))
    assert world.run().status.phase is Phase.SUCCEEDED


def test_in_the_queue_no_address_is_asked_again(canary: Make, story: Story) -> None:
    people = {"name": "qa", "type": "confirm-rollout", "gate": {"approval": {}}}
    called = {"name": "ops", "type": "confirm-rollout", "url": "http://hooks.test/"}
    replies = (Reply(approved=True, name="ops"), Reply(approved=False, name="ops", start=timedelta(minutes=15)))
    scenario = story(canary(stepWeight=50, webhooks=[people, called]), V2, replies=replies, limit=2 * HOUR)
    world = Line(scenario, all_of(says("alice", True)))
    world.run(timedelta(minutes=20))
    assert world.canary.status.reason == "Queued"
    world.granted = True
    assert world.run().status.phase is Phase.SUCCEEDED


FORGED = ("another moment", "a stranger", "another gate", "altered", "cut off", "doubled")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_of_ten_thousand_votes_that_are_replayed_or_altered_none_opens_a_gate(
    canary: Make, story: Story, data: st.DataObject
) -> None:
    """A hundred of them together at a time, on a gate that waits."""
    world = _waiting(canary, story)
    (entry,) = world.canary.status.approvals
    draw = data.draw
    forged: dict[str, str] = {}
    kinds = draw(st.lists(st.sampled_from(FORGED), min_size=100, max_size=100))
    seed = draw(st.integers(0, 2**32))
    for number, kind in enumerate(kinds):
        text = _forged(kind, entry, seed + number)
        forged[f"{PREFIX}{number}"] = text
    metadata = world.canary.metadata.replace(annotations=forged)
    s = Situation(world.canary.replace(metadata=metadata), world.facts())
    assert news(s) is None
    assert not refusal(s)
    assert not has_opened(s)


@cache
def _waiting(canary: Make, story: Story) -> SafeWorld:
    world = Ballot(story(canary(**gated("confirm-promotion", **PEOPLE)), V2, replies=NOBODY), all_of())
    world.run(timedelta(minutes=10))
    return world


def _forged(kind: str, entry: ApprovalStatus, number: int) -> str:
    who = ("alice", "bob", "eve")[number % 3]
    good = Vote(who, True, entry.gate, entry.moment, "2026-01-01T00:00:00Z", "tested")
    text = good.text()
    match kind:
        case "another moment":
            moment = f"{(int(entry.moment, 16) + 1 + number) % 16**10:010x}"
            return replace(good, moment=moment).text()
        case "a stranger":
            return replace(good, by=f"{who}{number}").text()
        case "another gate":
            return replace(good, gate=f"qa{number}").text()
        case "cut off":
            return text[: number % text.index(" at=")]
        case "doubled":
            return text.replace("moment=", "moment=0 moment=")
    return f"{chr(0x2460 + number % 60)}{text}"


NAMES = st.text(min_size=1, max_size=40).filter(lambda name: "\0" not in name)


@given(by=NAMES, gate=NAMES, yes=st.booleans(), at=st.text(max_size=30), why=st.text(max_size=400))
@settings(max_examples=300)
def test_a_vote_is_read_as_it_was_written(by: str, gate: str, yes: bool, at: str, why: str) -> None:
    """Its first word is who votes, whatever else is in it: by that the API server's policy goes."""
    vote = Vote(by, yes, gate, "0123456789", at, why)
    text = vote.text()
    assert text.split(" ")[0] == by.replace("%", "%25").replace(" ", "%20")
    found = read(text)
    assert found is not None
    assert (found.by, found.approves, found.gate, found.moment) == (by, yes, gate, "0123456789")
    assert vote.key.startswith(PREFIX)
    assert len(vote.key.partition("/")[2]) <= 63


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "yes",
            "alice",
            "alice maybe gate=qa moment=1",
            "alice yes",
            "alice yes gate=qa",
            "alice yes moment=1",
        ),
        *(" yes gate=qa moment=1", "alice YES gate=qa moment=1", "alice\nyes gate=qa moment=1", "a" * 3000 + " yes"),
        "alice yes gate=qa gate=other moment=1",
    ],
)
def test_what_is_no_vote_is_none(text: str) -> None:
    assert read(text) is None
