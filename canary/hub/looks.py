"""Looks at what gates of waves wait for: one object of the hub's own cluster each, when the gate is asked."""

from typing import Final

from canary.api.fleet import CanaryFleet, WaveGate
from canary.api.gates import RancherFleetGate
from canary.fleet.facts import GateAnswer
from canary.gates import rancher_fleet
from canary.gates.base import Looking, Said, State
from canary.gates.waves import WaveMoment, looking
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, KubeError, NotFound
from canary.kube.types import ObjectRef
from canary.rollout.messages import shortened
from metrics.gotemplate import TemplateError

MOST_WORDS: Final = 300
"""Characters of what a gate says at most: they come to stand in the status."""

COMPONENT: Final = "fleet/gates"
"""Where the components are that give the rights."""


async def look(client: KubeClient, fleet: CanaryFleet, wave: str, gate: WaveGate) -> GateAnswer:
    """What a gate says that looks at an object; one that can't be looked at is closed, and says why.

    Args:
        client: the way to the hub's own cluster.
        fleet: the fleet.
        wave: name of the wave that waits.
        gate: the gate.
    """
    moment = WaveMoment(fleet, wave, gate)
    try:
        said = await _said(client, moment)
    except TemplateError as error:
        said = Said(State.UNAVAILABLE, f"it can't be filled in: {error}")
    except Forbidden as error:
        remedy = f"a component of {COMPONENT} gives the rights"
        said = Said(State.UNAVAILABLE, f"the API server refuses it: {error.message}; {remedy}")
    except KubeError as error:
        said = Said(State.UNAVAILABLE, f"it can't be looked at: {error.message}")
    return GateAnswer(said.state is State.PASSED, shortened(said.words, MOST_WORDS))


async def _said(client: KubeClient, moment: WaveMoment) -> Said:
    gate = moment.gate
    if gate.rancher_fleet is not None:
        return await _of_rancher(client, moment, gate.rancher_fleet)
    known = looking(gate)
    return await _looked(client, moment, known) if known is not None else Said(State.UNAVAILABLE, "nothing answers")


async def _looked(client: KubeClient, moment: WaveMoment, known: Looking) -> Said:
    ref = known.ref(moment.fleet.namespace, moment.gate)
    try:
        found = await client.get(*ref)
    except NotFound as error:
        return _absent(ref, error)
    return _of(ref, known.said(moment, found))


async def _of_rancher(client: KubeClient, moment: WaveMoment, gate: RancherFleetGate) -> Said:
    ref = ObjectRef(rancher_fleet.GIT_REPO, gate.namespace, gate.git_repo)
    try:
        repo = await client.get(*ref)
    except NotFound as error:
        return _absent(ref, error)
    label = rancher_fleet.selector(gate)
    listed = await client.list(rancher_fleet.BUNDLE_DEPLOYMENT, label_selector=label)
    return _of(ref, rancher_fleet.said(gate, moment.render(gate.revision), repo, listed["items"]))


def _of(ref: ObjectRef, said: Said) -> Said:
    return Said(said.state, f"{ref.resource.kind} {ref.namespace}/{ref.name}: {said.words}")


def _absent(ref: ObjectRef, error: NotFound) -> Said:
    """An object that isn't there, or whose kind nobody has installed."""
    if error.is_unknown_kind:
        return Said(State.UNAVAILABLE, f"{ref.resource.full_name} are not installed in the hub's cluster")
    return Said(State.UNAVAILABLE, f"{ref.resource.kind} {ref.namespace}/{ref.name} does not exist")
