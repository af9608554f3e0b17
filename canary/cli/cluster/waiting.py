"""`canary wait`: until a rollout has come to what is waited for, or can't any more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from canary.cli.cluster import tables
from canary.cli.cluster.live import watch
from canary.cli.cluster.view import View, view_of
from canary.cli.cluster.waits import waits_for
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.types import Json

PROMOTED = ("Initialized", "Succeeded")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is waited for.

    Args:
        phase: the phase; `promoted` for any in which a version is.
        revision: the only revision that counts; empty for any.
    """

    phase: str = "promoted"
    revision: str = ""

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


class _Over(Exception):  # noqa: N818 - no error: what was waited for has come
    """The waiting has an end."""


async def wait(
    client: KubeClient, namespace: str, name: str, wanted: Wanted, limit: timedelta, tell: Callable[[str], None]
) -> None:
    """Wait.

    Args:
        client: the way to the cluster.
        namespace: where the Canary is.
        name: its name.
        wanted: what is waited for.
        limit: for how long.
        tell: is told each step of the rollout.

    Raises:
        CommandError: it won't come, or not in time.
        KubeError: there is none of that name, or it can't be read.
    """
    seen, last = False, ""
    view: View | None = None

    def show(found: Sequence[Json], _: str) -> None:
        nonlocal seen, last, view
        if not found:
            raise CommandError(f"{namespace}/{name}: it was deleted", code=FAILED)
        view = view_of(found[0])
        if wanted.reached(view):
            raise _Over
        seen = seen or view.status.get("lastAppliedSpec") == wanted.revision
        if why := wanted.lost(view, seen=seen):
            raise CommandError(f"{namespace}/{name}: {why}", code=FAILED)
        told = f"{namespace}/{name} {view.phase or '-'} {view.weight}% {tables.step(view)}".rstrip()
        if told != last:
            last = told
            tell(told)

    try:
        async with asyncio.timeout(limit.total_seconds()):
            await watch(client, namespace, name, show)
    except _Over:
        return
    except TimeoutError:
        waits = waits_for(view, datetime.now(UTC)) if view is not None else ""
        raise CommandError(
            f"{namespace}/{name}: not in time; it waits for {waits or 'a new version'}", code=FAILED
        ) from None
