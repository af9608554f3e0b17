"""Links by which somebody votes: whose they are, that they work once, and that nobody makes one without the key."""

import json
import random
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import Canary
from canary.api.status import ApprovalState, ApprovalStatus, CanaryStatus
from canary.rollout.approvals import minded
from canary.rollout.decision import Decision, DropVotes
from canary.rollout.links import (
    LONGEST_LIFE,
    MOST_USED,
    PREFIX,
    SHORTEST_KEY,
    BadKey,
    BadLink,
    LateLink,
    Link,
    LinkRefused,
    UsedLink,
    _packed,
    _signature,
    check_unused,
    forgettable,
    keys_of,
    opened,
    signed,
)
from canary.rollout.simulation import Scenario
from canary.rollout.simulation.world import World
from canary.rollout.situation import Situation
from canary.rollout.votes import Vote
from canary.rollout.voting import VoteRefused, by_link

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
KEY, OTHER = b"k" * SHORTEST_KEY, b"o" * SHORTEST_KEY
HOUR = timedelta(hours=1)
LINK = Link("prod", "app", "qa", "0123456789", "alice", True, NOW + HOUR, "n0nce")
ALPHABET = string.ascii_letters + string.digits + "-_."

Make = Callable[..., Canary]
WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), min_size=1, max_size=60)


@given(
    words=st.lists(WORDS, min_size=6, max_size=6),
    approves=st.booleans(),
    lasts=st.integers(1, int(LONGEST_LIFE.total_seconds())),
)
def test_a_link_is_read_as_it_was_made(words: list[str], approves: bool, lasts: int) -> None:
    namespace, name, gate, moment, by, nonce = words
    link = Link(namespace, name, gate, moment, by, approves, NOW + timedelta(seconds=lasts), nonce)
    text = signed(link, KEY)
    assert set(text) <= set(ALPHABET)
    assert opened(text, [OTHER, KEY], NOW) == link


def test_it_works_until_its_time_is_over_and_for_no_longer_than_any_may() -> None:
    text = signed(LINK, KEY)
    assert opened(text, [KEY], NOW + HOUR - timedelta(seconds=1)) == LINK
    with pytest.raises(LateLink, match="was over at 2026-01-01T01:00:00Z; ask for a new one"):
        opened(text, [KEY], NOW + HOUR)
    for_ever = signed(replace(LINK, expires=NOW + LONGEST_LIFE + HOUR), KEY)
    with pytest.raises(BadLink, match="more than 31 days"):
        opened(for_ever, [KEY], NOW)


def test_a_key_can_be_changed_for_another() -> None:
    old, new = signed(LINK, KEY), signed(LINK, OTHER)
    assert keys_of(f"{OTHER.decode()}\n\n {KEY.decode()} \n") == (OTHER, KEY)
    assert opened(old, [OTHER, KEY], NOW) == opened(new, [OTHER, KEY], NOW)
    with pytest.raises(BadLink):
        opened(old, [OTHER], NOW)
    with pytest.raises(BadLink):
        opened(new, [], NOW)


@pytest.mark.parametrize("text", ["", " \n", "short", f"{'k' * 40}\nshort"])
def test_what_anybody_could_guess_is_no_key(text: str) -> None:
    with pytest.raises(BadKey, match="openssl rand -hex 32"):
        keys_of(text)


def altered(text: str, rng: random.Random) -> str:
    """A link as somebody might send it who has seen one, but not the key."""
    body, _, signature = text.partition(".")
    at = rng.randrange(len(text))
    word = "".join(rng.choices(ALPHABET, k=rng.randrange(1, 60)))
    longer = replace(LINK, expires=NOW + timedelta(days=rng.randrange(1, 30)))
    no = replace(LINK, approves=not LINK.approves, by=rng.choice(["alice", "bob", word]))
    made = rng.choice(
        [
            f"{text[:at]}{rng.choice(ALPHABET)}{text[at + 1 :]}",
            f"{text[:at]}{text[at + 1 :]}",
            f"{text[:at]}{word}{text[at:]}",
            text[:at],
            f"{body}.",
            body,
            f".{signature}",
            f"{body}.{signature}=",
            f"{body}={'.'}{signature}",
            f"{body}.{signature}.{signature}",
            f"{word}.{signature}",
            f"{body}.{word}",
            signed(LINK, word.encode().ljust(SHORTEST_KEY)),
            signed(LINK, b""),
            f"{signed(longer, OTHER).partition('.')[0]}.{signature}",
            f"{signed(no, OTHER).partition('.')[0]}.{signature}",
            word,
        ]
    )
    return made if made != text else ""


def test_of_ten_thousand_that_are_altered_unsigned_or_made_without_the_key_none_is_taken() -> None:
    rng, text = random.Random(7), signed(LINK, KEY)  # noqa: S311 - the same each time
    answers: Counter[type] = Counter()
    for _ in range(10_000):
        try:
            answers[type(opened(altered(text, rng), [KEY], NOW))] += 1
        except LinkRefused as error:
            answers[type(error)] += 1
    assert answers == {BadLink: 10_000}


@given(st.text(max_size=200) | st.text(ALPHABET, max_size=200))
def test_whatever_somebody_sends_is_no_link(text: str) -> None:
    with pytest.raises(BadLink):
        opened(text, [KEY], NOW)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=12))
def test_what_another_version_of_us_has_signed_is_told_as_such(value: Any) -> None:
    body = _packed(json.dumps(value).encode())
    with pytest.raises(BadLink, match="another version"):
        opened(f"{body}.{_signature(body, KEY)}", [KEY], NOW)


# --- What a link may still say ---------------------------------------------------------------------------------


def waiting(canary: Make, moment: str = LINK.moment, **annotations: str) -> Canary:
    people = {"approvers": ["alice", "bob"]}
    hook = {"name": "qa", "type": "confirm-promotion", "gate": {"approval": people}}
    made = canary(stepWeight=50, webhooks=[hook])
    entry = ApprovalStatus(gate="qa", type="confirm-promotion", moment=moment, since=NOW)
    metadata = made.metadata.replace(annotations={each.replace("__", "/"): text for each, text in annotations.items()})
    return made.replace(status=CanaryStatus(approvals=(entry,)), metadata=metadata)


def used(made: Canary, *added: tuple[str, str]) -> Canary:
    annotations = {**made.metadata.annotations, **dict(added)}
    return made.replace(metadata=made.metadata.replace(annotations=annotations))


def test_it_says_what_was_signed_and_nothing_else(canary: Make) -> None:
    vote = by_link(waiting(canary), LINK, at="2026-01-01T00:00:00Z", why="tested")
    assert vote == Vote("alice", True, "qa", LINK.moment, "2026-01-01T00:00:00Z", "by a link: tested")
    assert not by_link(waiting(canary), replace(LINK, approves=False), at="").approves


@given(replays=st.integers(1, 50), taken_back=st.booleans(), other=st.booleans())
def test_it_works_once_whatever_has_become_of_its_vote(
    canary: Make, replays: int, taken_back: bool, other: bool
) -> None:
    """Also where its vote was taken back, or somebody has said the contrary since."""
    made = waiting(canary)
    vote = by_link(made, LINK, at="")
    made = used(made, (LINK.key, LINK.mark()))
    if not taken_back:
        made = used(made, (vote.key, vote.text()))
    if other:
        no = replace(vote, approves=False)
        made = used(made, (no.key, no.text()))
    for _ in range(replays):
        with pytest.raises(UsedLink):
            by_link(made, LINK, at="")
    assert by_link(made, replace(LINK, nonce="another"), at="").by == "alice", "another link of the same words"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"moment": "9876543210"}, "another moment of the rollout"),
        ({"gate": "ops"}, "gate ops waits for nobody"),
        ({"by": "mallory"}, "none of the approvers"),
    ],
)
def test_it_is_for_one_moment_one_gate_and_one_approver(canary: Make, changed: dict[str, str], why: str) -> None:
    with pytest.raises(VoteRefused, match=why):
        by_link(waiting(canary), replace(LINK, **changed), at="")  # type: ignore[arg-type]  # texts alone


def test_once_its_gate_was_decided_it_says_nothing(canary: Make) -> None:
    made = waiting(canary)
    (entry,) = made.status.approvals
    for state in (ApprovalState.APPROVED, ApprovalState.REJECTED):
        decided = made.replace(status=CanaryStatus(approvals=(entry.replace(state=state),)))
        with pytest.raises(VoteRefused):
            by_link(decided, LINK, at="")


def test_no_more_used_links_are_remembered_than_so_many() -> None:
    marks = {f"{PREFIX}{number}": LINK.mark() for number in range(MOST_USED)}
    with pytest.raises(LinkRefused, match="canary approve"):
        check_unused(LINK, marks)
    check_unused(LINK, dict(list(marks.items())[1:]))


def test_a_used_link_is_remembered_until_it_would_not_work_any_more() -> None:
    """And an hour longer, as clocks differ; what says nothing is forgotten at once."""
    marks = {LINK.key: LINK.mark(), f"{PREFIX}x": "nonsense", f"{PREFIX}y": "until=²", "else": "until=0"}
    junk = [f"{PREFIX}x", f"{PREFIX}y"]
    assert sorted(forgettable(marks, NOW + 1.9 * HOUR)) == junk
    assert sorted(forgettable(marks, NOW + 2.1 * HOUR)) == sorted([*junk, LINK.key])


def test_the_controller_takes_it_off_then_and_not_with_the_rollout(
    canary: Make, story: Callable[..., Scenario]
) -> None:
    """So that it can't be used anew when the same is asked once more, as of a version that comes a second time."""
    world = World(story(canary(stepWeight=50)))
    world.run(timedelta(minutes=5))
    made = used(world.canary, (LINK.key, LINK.mark()))
    for now, gone in ((NOW + HOUR, False), (NOW + 3 * HOUR, True)):
        s = Situation(made, replace(world.facts(), now=now))
        dropped = DropVotes((LINK.key,)) in minded(s, Decision(made.status, "")).actions
        assert dropped is gone
