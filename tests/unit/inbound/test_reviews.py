"""Whose a token is: whoever brings bad ones keeps nobody else waiting. In virtual time, an answer takes 50 ms."""

import asyncio

import pytest

from inbound.reviews import (
    BURST,
    MOST_PEERS,
    MOST_REMEMBERED,
    REFILL,
    REGULARS_AT_ONCE,
    REMEMBERED,
    SLOWEST_ANSWER,
    STRANGERS_AT_ONCE,
    Reviews,
    TooManyStrangers,
    network_of,
)

pytestmark = pytest.mark.looptime

ANSWER = 0.05
MALLORY, BOB = "192.0.2.66", "192.0.2.2"


class Registry:
    """Knows whose tokens are that begin with `good`; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.fails = False
        self.takes = ANSWER

    async def __call__(self, token: str) -> str | None:
        self.asked.append(token)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.at_once -= 1
        if self.fails:
            raise OSError
        return token.removeprefix("good-") if token.startswith("good-") else None


async def flood(reviews: Reviews[str], peer: str, count: int, name: str = "bad") -> list[str | BaseException | None]:
    return await asyncio.gather(
        *(reviews.holder(f"{name}{number}", peer) for number in range(count)), return_exceptions=True
    )


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_whoever_floods_is_turned_away_and_a_stranger_from_elsewhere_is_let_in_soon() -> None:
    registry = Registry()
    reviews = Reviews(registry)
    flooding = asyncio.create_task(flood(reviews, MALLORY, 10_000))
    await asyncio.sleep(0)

    began = now()
    assert await reviews.holder("good-bob", BOB) == "bob"

    assert now() - began < 1
    answers = await flooding
    assert sum(isinstance(each, TooManyStrangers) for each in answers) == 10_000 - BURST
    assert answers.count(None) == BURST
    assert registry.most_at_once <= STRANGERS_AT_ONCE + REGULARS_AT_ONCE


async def test_one_whose_token_was_good_lately_is_let_in_even_from_the_address_of_the_flood() -> None:
    """As where all callers come through one proxy."""
    reviews = Reviews(Registry())
    assert await reviews.holder("good-bob", MALLORY) == "bob"
    await asyncio.sleep(REMEMBERED + 1)
    flooding = asyncio.create_task(flood(reviews, MALLORY, 10_000))
    await asyncio.sleep(0)

    began = now()
    assert await reviews.holder("good-bob", MALLORY) == "bob"

    assert now() - began <= ANSWER + 0.001
    await flooding


async def test_a_flood_of_bad_tokens_makes_no_good_one_forgotten() -> None:
    registry = Registry()
    reviews = Reviews(registry)
    await reviews.holder("good-bob", BOB)
    for number in range(MOST_REMEMBERED + 1):
        await reviews.holder(f"bad{number}", f"198.51.{number // 256}.{number % 256}")
        if number % 100 == 0:
            await reviews.holder("good-bob", BOB)
    asked = registry.asked.count("good-bob")

    await reviews.holder("good-bob", BOB)

    assert registry.asked.count("good-bob") - asked <= 1
    assert len(reviews._bad) == MOST_REMEMBERED


async def test_an_answer_counts_for_some_seconds_whatever_it_is() -> None:
    registry = Registry()
    reviews = Reviews(registry)
    for token, holder in (("good-bob", "bob"), ("bad", None)):
        for _ in range(3):
            assert await reviews.holder(token, BOB) == holder
        assert registry.asked.count(token) == 1
        await asyncio.sleep(REMEMBERED + 1)
        assert await reviews.holder(token, BOB) == holder
        assert registry.asked.count(token) == 2


async def test_many_who_bring_the_same_token_at_once_are_one_question() -> None:
    """One who goes away doesn't take it from the others."""
    registry = Registry()
    reviews = Reviews(registry)
    calls = [asyncio.create_task(reviews.holder("good-bob", BOB)) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()

    assert await asyncio.gather(*calls[1:]) == ["bob"] * 49

    assert registry.asked == ["good-bob"]


async def test_an_address_that_was_turned_away_may_come_again_later() -> None:
    reviews = Reviews(Registry())
    await flood(reviews, MALLORY, 100)
    with pytest.raises(TooManyStrangers) as refused:
        await reviews.holder("bad-again", MALLORY)

    await asyncio.sleep(refused.value.seconds + 1 / REFILL)

    assert await reviews.holder("good-eve", MALLORY) == "eve"


async def test_what_could_not_be_asked_counts_against_nobody_and_is_asked_again() -> None:
    registry = Registry()
    reviews = Reviews(registry)
    registry.fails = True
    for number in range(3 * int(BURST)):
        with pytest.raises(OSError):  # noqa: PT011 - it is the registry's own
            await reviews.holder(f"good-{number}", BOB)
    registry.fails = False
    assert await reviews.holder("good-bob", BOB) == "bob"


async def test_who_does_not_answer_is_waited_for_no_longer_than_that() -> None:
    registry = Registry()
    registry.takes = 100 * SLOWEST_ANSWER
    reviews = Reviews(registry)
    began = now()
    answers = await flood(reviews, BOB, 10)
    assert {type(each) for each in answers} == {TimeoutError}
    assert now() - began <= SLOWEST_ANSWER + 0.001
    assert registry.at_once == 0


async def test_a_token_that_is_good_no_more_lets_nobody_in() -> None:
    registry = Registry()
    reviews = Reviews(registry)
    await reviews.holder("good-bob", BOB)
    await asyncio.sleep(REMEMBERED + 1)

    async def nobody(_: str) -> str | None:
        return None

    reviews._ask = nobody
    assert await reviews.holder("good-bob", BOB) is None


async def test_no_more_addresses_are_remembered_than_so_many() -> None:
    reviews = Reviews(Registry())
    for number in range(MOST_PEERS + 10):
        reviews._taken(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(reviews._peers) == MOST_PEERS


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_a_machine_with_many_addresses_is_one(peer: str, network: str) -> None:
    assert network_of(peer) == network
