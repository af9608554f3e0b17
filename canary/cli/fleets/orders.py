"""What people order of a fleet: the annotations that its hub reads, and in one line why they can't be heeded."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import FleetPhase, WaveState
from canary.cli.cluster.orders import MANAGER, Annotations, Signed, sign
from canary.cli.failures import FAILED, CommandError
from canary.cli.fleets.access import read
from canary.fleet.orders import ORDER_ANNOTATION, PAUSE_ANNOTATION, impossible, pause_of
from canary.kube.client import KubeClient
from canary.kube.types import CANARY_FLEET, Json
from canary.rollout.orders import Order


def waits_for_person(fleet: CanaryFleet) -> bool:
    """Whether a wave waits for a gate that a person opens."""
    waves = enumerate(zip(fleet.status.waves, fleet.spec.waves, strict=False), 1)
    return any(
        there.state is WaveState.GATED
        and number > fleet.status.resumed
        and any(not gate.answers for gate in wave.gates)
        for number, (there, wave) in waves
    )


def _refused(fleet: CanaryFleet, why: str) -> CommandError:
    return CommandError(f"{fleet.key}: {why}", code=FAILED)


def _order(fleet: CanaryFleet, signed: Signed) -> str:
    """The order as its hub reads it, about the release that whoever gives it has seen."""
    release = fleet.status.release
    return signed.text("" if release.split() != [release] else release)


def _why_not(fleet: CanaryFleet, verb: str) -> str:
    if fleet.status.phase is FleetPhase.EMPTY:
        return "no hub has seen it yet: does one run that looks at this namespace?"
    return impossible(fleet, fleet.status, Order(verb))


def _once(fleet: CanaryFleet, signed: Signed) -> Annotations:
    if why := _why_not(fleet, signed.verb):
        raise _refused(fleet, why)
    return {ORDER_ANNOTATION: _order(fleet, signed), **({PAUSE_ANNOTATION: None} if pause_of(fleet) else {})}


def _pause(fleet: CanaryFleet, signed: Signed) -> Annotations:
    if fleet.watches:
        raise _refused(fleet, "the fleet only watches: there is nothing that a pause would hold")
    if paused := pause_of(fleet):
        raise _refused(fleet, f"it is paused already, {paused}")
    return {PAUSE_ANNOTATION: signed.signature()}


def _resume(fleet: CanaryFleet, signed: Signed) -> Annotations:
    if pause_of(fleet):
        # With it, the event of a release that goes on says who has ended its pause.
        named: Annotations = {} if _why_not(fleet, signed.verb) else {ORDER_ANNOTATION: _order(fleet, signed)}
        return {PAUSE_ANNOTATION: None, **named}
    if why := _why_not(fleet, signed.verb):
        raise _refused(fleet, why)
    if not waits_for_person(fleet):
        raise _refused(fleet, "it is not paused, and no wave waits for a person")
    return {ORDER_ANNOTATION: _order(fleet, signed)}


ORDERS: Final[Mapping[str, Callable[[CanaryFleet, Signed], Annotations]]] = MappingProxyType(
    {"promote": _once, "abort": _once, "retry": _once, "pause": _pause, "resume": _resume}
)
"""What is to stand on the fleet for an order; each raises a `CommandError` where it could not be heeded."""


async def give(client: KubeClient, namespace: str, name: str, verb: str, why: str) -> CanaryFleet:
    """Give an order.

    Returns:
        The fleet as it was when the order was given.

    Raises:
        KubeError: there is none of that name, or it may not be written.
        CommandError: the order could not be heeded.
    """
    if verb not in ORDERS:
        raise CommandError(f"a fleet has no {verb}; {verb} the Canary of a member there, or write {_words()}")
    fleet = read(await client.get(CANARY_FLEET, namespace, name))
    patch: Json = {"metadata": {"annotations": ORDERS[verb](fleet, await sign(client, verb, why))}}
    await client.merge_patch(CANARY_FLEET, namespace, name, patch, field_manager=MANAGER)
    return fleet


def _words() -> str:
    *most, last = sorted(ORDERS)
    return f"{', '.join(most)} or {last}"
