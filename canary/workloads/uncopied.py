"""What the kinds of target have in common of which no copy is made: one object is both of the versions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from canary.api.canary import Canary
from canary.kube.types import Json, Resource
from canary.workloads.base import Rules, Services, name_of


class Uncopied(ABC):
    """Targets without a copy beside them, whose Services are not ours; every function is pure."""

    resource: Resource

    @abstractmethod
    def revision(self, target: Json) -> str:
        """What tells the versions of the target apart."""

    def carried(self, target: Json, tracked: Mapping[str, str]) -> str:
        """The revision alone."""
        return self.revision(target)

    def primary(
        self,
        target: Json,
        canary: Canary,
        *,
        tracked: Mapping[str, str],
        rules: Rules,
        existing: Json | None = None,
    ) -> Json:
        """There is no copy to make.

        Raises:
            ValueError: always.
        """
        msg = f"of {self.resource.kind} {name_of(target)} no copy is made"
        raise ValueError(msg)

    def primary_revision(self, primary: Json) -> str | None:
        """None: there is no primary."""
        return None

    def carries(
        self, primary: Json, target: Json, *, tracked: Mapping[str, str], copies: Mapping[str, str], rules: Rules
    ) -> bool:
        """Never: nothing is a copy."""
        return False

    def essence(self, primary: Json) -> Json:
        """Empty: there is no copy."""
        return {}

    def scaled(self, workload: Json, replicas: int) -> Json:
        """Empty: its pods are the users' own, and scaled by whoever scales them."""
        return {}

    def version_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """None: its own Services lead to its pods."""
        return ()

    def apex_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services, primary: Json | None = None
    ) -> tuple[Json, ...]:
        """None: users call what its author gave them."""
        return ()

    def handed_back_services(
        self, target: Json, canary: Canary, *, rules: Rules, observed: Services
    ) -> tuple[Json, ...]:
        """None: nothing was taken."""
        return ()
