"""Writes into members: what of a fleet that is gone is given up and forgotten."""

import asyncio
from typing import cast

import pytest

from canary.fleet.decision import Annotate, Write
from canary.hub.link import Link
from canary.hub.writer import Whom, Work, Writer
from canary.kube.errors import Forbidden

pytestmark = pytest.mark.looptime(noop_cycles=1)

SHOP = Whom("prod/shop", "eu")


class Refusing:
    """A member that refuses after a while."""

    def __init__(self, after: float = 0.0) -> None:
        self._after = after
        self.given_up = False

    async def write(self, name: str, write: Write) -> None:
        try:
            await asyncio.sleep(self._after)
        except asyncio.CancelledError:
            self.given_up = True
            raise
        raise Forbidden("PATCH", name, "not here")


def work(link: Refusing) -> dict[str, Work]:
    return {"eu": Work(cast("Link", link), "shop", [Annotate("eu", {"a": "b"})])}


async def test_what_was_refused_goes_with_its_fleet_and_no_other_s(looptime: int) -> None:
    writer = Writer(lambda _: None)
    for fleet in ("prod/shop", "prod/cart"):
        await writer.write(fleet, work(Refusing()))
    writer.forget("prod/shop")
    assert (writer.refused(SHOP), writer.due_in("prod/shop")) == ("", None)
    assert writer.refused(Whom("prod/cart", "eu")) == "not here"


async def test_a_member_that_does_not_answer_keeps_its_fleet_for_a_quarter_of_a_second(looptime: int) -> None:
    """What others say meanwhile is told within 1 s of it."""
    writer = Writer(lambda _: None)
    began = asyncio.get_running_loop().time()
    await writer.write("prod/shop", work(Refusing(after=60)))
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.25, abs=0.01)
    await writer.close()


async def test_a_write_that_is_on_its_way_is_given_up_and_leaves_nothing(looptime: int) -> None:
    writer, link = Writer(lambda _: None), Refusing(after=60)
    await writer.write("prod/shop", work(link))
    writer.forget("prod/shop")
    await asyncio.sleep(100)
    assert (link.given_up, writer.refused(SHOP)) == (True, "")
