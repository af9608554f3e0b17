"""What people order of a rollout: the annotations that say so, and in one line why they can't be heeded."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from canary.cli.cluster.view import View, view_of
from canary.cli.failures import FAILED, CommandError
from canary.kube.client import KubeClient
from canary.kube.errors import KubeError
from canary.kube.types import CANARY, Json
from canary.rollout.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION
from canary.rollout.overrides import OVERRIDE_ANNOTATION
from canary.rollout.situation import RETRY_ANNOTATION
from canary.rollout.steps import TO_BE_RESUMED

MANAGER: Final = "kubectl-canary"
"""Who has written these annotations, in `metadata.managedFields`."""

UNDER_WAY: Final = ("Progressing", "WaitingPromotion")

Annotations = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Signed:
    """An order with who gives it, when, and why."""

    verb: str
    by: str
    at: str
    why: str

    def text(self, revision: str = "") -> str:
        """It as the controller reads it."""
        named = {"revision": revision, "by": self.by, "at": self.at}
        words = [f"{name}={value}" for name, value in named.items() if value]
        return " ".join([self.verb, *words, self.why]).rstrip()

    def signature(self) -> str:
        """Who has stopped it, when and why, as the status comes to tell it."""
        return f"by {self.by} at {self.at}{': ' + self.why if self.why else ''}"


Annotate = Callable[[View, Signed], Annotations]
"""What is to stand on the Canary for an order; raises a `CommandError` where it could not be heeded."""


def _refused(view: View, why: str) -> CommandError:
    return CommandError(f"{view.namespace}/{view.name}: {why}", code=FAILED)


def _of_the_version(view: View, signed: Signed) -> Annotations:
    if view.phase == "Promoting" or view.phase == "Finalising":
        raise _refused(view, "the version is being promoted already")
    if signed.verb == "abort" and _bakes(view):
        return {ORDER_ANNOTATION: signed.text(str(view.status.get("lastPromotedSpec") or "")), **_unpaused(view)}
    waits = view.phase == "Waiting" and signed.verb == "abort"
    if view.phase not in UNDER_WAY and not waits:
        raise _refused(view, f"no version is rolled out; it is {view.phase or 'not seen by a controller yet'}")
    # Of one that waits for its approval the status has no name yet.
    revision = "" if waits else str(view.status.get("lastAppliedSpec") or "")
    return {ORDER_ANNOTATION: signed.text(revision), **_unpaused(view)}


def _unpaused(view: View) -> Annotations:
    return {PAUSE_ANNOTATION: None} if PAUSE_ANNOTATION in view.annotations else {}


def _bakes(view: View) -> bool:
    """Whether its promoted version is looked at, or is held as it has failed there, so that it can be put back."""
    held = view.phase == "Failed" and view.reason == "Held"
    bake = view.status.get("bake")
    return isinstance(bake, dict) and bool(bake.get("startTime")) and (view.phase == "Succeeded" or held)


def _pause(view: View, signed: Signed) -> Annotations:
    if paused := view.annotations.get(PAUSE_ANNOTATION):
        raise _refused(view, f"it is paused already, {paused}")
    return {PAUSE_ANNOTATION: signed.signature()}


def _resume(view: View, signed: Signed) -> Annotations:
    if view.reason == TO_BE_RESUMED and not view.annotations.get(PAUSE_ANNOTATION):
        return {ORDER_ANNOTATION: signed.text(str(view.status.get("lastAppliedSpec") or ""))}
    if not view.annotations.get(PAUSE_ANNOTATION):
        remedy = "spec.suspend stops it: take that out of the spec" if view.suspended else "it is not paused"
        raise _refused(view, remedy)
    return {PAUSE_ANNOTATION: None, ORDER_ANNOTATION: signed.text()}


def _retry(view: View, signed: Signed) -> Annotations:
    if view.phase != "Failed" and view.reason != "Held":
        raise _refused(view, f"there is nothing to try again; it is {view.phase or 'not seen by a controller yet'}")
    return {RETRY_ANNOTATION: signed.signature()}


def _override(view: View, signed: Signed) -> Annotations:
    if view.phase not in (*UNDER_WAY, "Waiting"):
        raise _refused(view, f"no rollout waits or goes on; it is {view.phase or 'not seen by a controller yet'}")
    return {OVERRIDE_ANNOTATION: signed.signature()}


ORDERS: Final[Mapping[str, Annotate]] = MappingProxyType(
    {
        "promote": _of_the_version,
        "abort": _of_the_version,
        "restart": _of_the_version,
        "pause": _pause,
        "resume": _resume,
        "retry": _retry,
        "override": _override,
    }
)


async def give(client: KubeClient, namespace: str, name: str, verb: str, why: str) -> View:
    """Give an order.

    Returns:
        The Canary as it was when the order was given.

    Raises:
        KubeError: there is none of that name, or it may not be written.
        CommandError: the order could not be heeded.
    """
    view = view_of(await client.get(CANARY, namespace, name))
    patch: Json = {"metadata": {"annotations": ORDERS[verb](view, await sign(client, verb, why))}}
    await client.merge_patch(CANARY, namespace, name, patch, field_manager=MANAGER)
    return view


async def sign(client: KubeClient, verb: str, why: str) -> Signed:
    """An order by whoever types it, now."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Signed(verb, await _who(client), at, " ".join(why.split()))


async def _who(client: KubeClient) -> str:
    """Who gives the order: as the cluster knows them, else as this machine does."""
    try:
        found = await client.user()
    except KubeError:
        found = ""
    return "_".join((found or getpass.getuser()).split())
