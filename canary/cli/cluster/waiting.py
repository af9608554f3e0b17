"""`canary wait`: until a rollout has come to what is waited for, or can't any more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

from canary.cli.cluster import tables
from canary.cli.cluster.live import watch
from canary.cli.cluster.view import View, view_of
from canary.cli.cluster.waits import waits_for
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.types import CANARY, Json, Resource

PROMOTED = ("Initialized", "Succeeded")


class Over(Exception):  # noqa: N818 - no error: what was waited for has come
    """The waiting has an end."""


class Lost(Exception):  # noqa: N818 - told as a failure of what was waited for
    """What was waited for won't come any more; its words say why."""


class Awaited(Protocol):
    """What is waited for, of an object of some kind."""

    resource: ClassVar[Resource]

    def look(self, raw: Json, *, seen: bool) -> str:
        """How it stands, in words.

        Args:
            raw: the object.
            seen: whether the revision was seen being rolled out.

        Raises:
            Over: it is as it is waited for.
            Lost: it won't be so any more.
        """

    def sees(self, raw: Json) -> bool:
        """Whether the revision that is waited for is under way."""

    def waits(self, raw: Json) -> str:
        """What it waits for, in words."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is waited for of a Canary.

    Args:
        phase: the phase; `promoted` for any in which a version is.
        revision: the only revision that counts; empty for any.
    """

    resource: ClassVar[Resource] = CANARY
    phase: str = "promoted"
    revision: str = ""

    def look(self, raw: Json, *, seen: bool) -> str:
        """How the Canary stands, in words.

        Raises:
            Over: it is as it is waited for.
            Lost: it won't be so any more.
        """
        view = view_of(raw)
        if self.reached(view):
            raise Over
        if why := self.lost(view, seen=seen):
            raise Lost(why)
        return f"{view.phase or '-'} {view.weight}% {tables.step(view)}".rstrip()

    def sees(self, raw: Json) -> bool:
        """Whether the revision that is waited for is rolled out."""
        return view_of(raw).status.get("lastAppliedSpec") == self.revision

    def waits(self, raw: Json) -> str:
        """What it waits for, in words."""
        return waits_for(view_of(raw), datetime.now(UTC))

    def reached(self, view: View) -> bool:
        """Whether it is so."""
        if self.phase == "promoted":
            promoted = view.phase in PROMOTED
            return promoted and self.revision in ("", str(view.status.get("lastPromotedSpec") or ""))
        return view.phase == self.phase and self.revision in ("", str(view.status.get("lastAppliedSpec") or ""))

    def lost(self, view: View, *, seen: bool) -> str:
        """Why it won't be so any more; empty while it may.

        Args:
            view: the Canary.
            seen: whether the revision was seen being rolled out.
        """
        applied = str(view.status.get("lastAppliedSpec") or "")
        if view.phase == "Failed" and self.phase != "Failed" and self.revision in ("", applied):
            return f"it has failed: {view.message or view.reason}"
        if self.revision and seen and applied != self.revision:
            return f"revision {applied} came in the place of {self.revision}"
        return ""


async def wait(
    client: KubeClient, namespace: str, name: str, wanted: Awaited, limit: timedelta, tell: Callable[[str], None]
) -> None:
    """Wait.

    Args:
        client: the way to the cluster.
        namespace: where it is.
        name: its name.
        wanted: what is waited for.
        limit: for how long.
        tell: is told each step of the rollout.

    Raises:
        CommandError: it won't come, or not in time.
        KubeError: there is none of that name, or it can't be read.
    """
    seen, last, latest = False, "", None

    def show(found: Sequence[Json], _: str) -> None:
        nonlocal seen, last, latest
        if not found:
            raise Lost("it was deleted")
        latest = found[0]
        seen = seen or wanted.sees(latest)
        told = f"{namespace}/{name} {wanted.look(latest, seen=seen)}"
        if told != last:
            last = told
            tell(told)

    try:
        async with asyncio.timeout(limit.total_seconds()):
            await watch(client, namespace, name, show, wanted.resource)
    except Over:
        return
    except Lost as error:
        raise CommandError(f"{namespace}/{name}: {error}", code=FAILED) from None
    except TimeoutError:
        waits = wanted.waits(latest) if latest is not None else ""
        raise CommandError(
            f"{namespace}/{name}: not in time; it waits for {waits or 'a new version'}", code=FAILED
        ) from None
