"""How far a workload has come that is rolled out in place, pod by pod: values that every room shares."""

from dataclasses import dataclass
from typing import Final

NO_POD: Final = 1_000_000_000
"""The partition at which no pod is updated.

It lies beyond every pod, and not at their number, so that a pod that scaling adds is none of the new version either.
It is no larger so that whoever adds a number of pods to it stays within 32 bits.
"""


@dataclass(frozen=True, slots=True)
class PodState:
    """One of the pods that the workload's spec asks for.

    Args:
        name: its name.
        uid: tells it from the one that takes its place under the same name.
        index: its number, the first being 0, wherever its ordinals begin.
        revision: what it was made from, as Kubernetes names it.
        ready: whether it gets requests.
        available: whether it has been ready for as long as the workload asks for.
        terminating: whether it is on its way out; it is neither ready nor available then.
    """

    name: str
    uid: str
    index: int
    revision: str
    ready: bool
    available: bool
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Partitions:
    """A workload whose pods are of two versions, divided by their number.

    Args:
        partition: the index from which on pods are updated by Kubernetes.
        current: the revision that pods below the partition are made from, as Kubernetes names it. Once all pods run
            another one and are ready, it is that: Kubernetes keeps no way back from then on.
        update: the revision that the template stands for, as Kubernetes names it.
        pods: the pods that there are, by index; nobody has looked where the workload's own status says that all run
            the current revision and that none is about to be updated.
    """

    partition: int = NO_POD
    current: str = ""
    update: str = ""
    pods: tuple[PodState, ...] = ()

    @property
    def strays(self) -> tuple[PodState, ...]:
        """The pods that were made from anything but the current revision, by index."""
        return tuple(pod for pod in self.pods if pod.revision != self.current)
