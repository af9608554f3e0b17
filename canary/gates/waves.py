"""The gates of a fleet's waves that look at what others do: those of a Canary, and one that only its hub can see."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from canary.api.fleet import CanaryFleet, WaveGate
from canary.api.problems import Problem
from canary.gates import argocd, flux
from canary.gates.base import Looking, unreadable
from canary.kube.types import CANARY_FLEET, ObjectRef
from metrics.gotemplate import evaluate, parse

NAMES: Final = frozenset({"name", "namespace", "release", "wave"})
"""What a gate's template may call."""


@dataclass(frozen=True, slots=True)
class WaveMoment:
    """What a gate is asked for.

    Args:
        fleet: the fleet.
        wave: name of the wave that waits.
        gate: the gate.
    """

    fleet: CanaryFleet
    wave: str
    gate: WaveGate

    @property
    def owner(self) -> ObjectRef:
        """The fleet, as an object."""
        return ObjectRef(CANARY_FLEET, self.fleet.namespace, self.fleet.name)

    def render(self, text: str) -> str:
        """A text with its templates filled in.

        Raises:
            TemplateError: it can't be.
        """
        who = {"name": self.fleet.name, "namespace": self.fleet.namespace}
        return evaluate(parse(text, NAMES), {**who, "release": self.fleet.spec.release, "wave": self.wave})


def looking(gate: WaveGate) -> Looking | None:
    """What knows a gate that a Canary may have, too; None where it is another one."""
    if gate.argocd is not None:
        return argocd.GATE
    return flux.GATE if gate.flux is not None else None


def problems(fleet: CanaryFleet) -> Iterator[Problem]:
    """Texts of the gates of a fleet's waves that can't be filled in."""
    for number, wave in enumerate(fleet.spec.waves):
        for index, gate in enumerate(wave.gates):
            where = f"spec.waves[{number}].gates[{index}]"
            named = (("argocd", gate.argocd), ("flux", gate.flux), ("rancherFleet", gate.rancher_fleet))
            for name, each in named:
                if each is not None:
                    yield from unreadable(f"{where}.{name}.revision", each.revision, NAMES)
