"""Asking gates: what they go by is started where there is none yet, and looked at through the watch."""

from dataclasses import replace
from typing import Final

from canary.api.analysis import Webhook
from canary.api.canary import Canary
from canary.controller.ask.builds import Builds
from canary.controller.ask.pods import pods_of
from canary.controller.ask.runs import Runs, not_ours
from canary.controller.observe.caches import Caches, Freshness
from canary.controller.options import Options
from canary.gates.base import Building, Known, Looking, Moment, Reading, Said, Starting, State
from canary.gates.registry import gate_for
from canary.kube.client import KubeClient
from canary.kube.errors import Forbidden, KubeError, NotFound, Retryable
from canary.kube.types import Json, Resource, name_of
from canary.rollout.facts import HookAnswer, Undecided
from canary.rollout.kept_checks import MOST_WORDS
from canary.rollout.messages import shortened
from canary.workloads.base import Target, images_of
from canary.workloads.registry import target_for
from metrics.gotemplate import TemplateError

_UNDECIDED: Final = {
    State.RUNNING: Undecided.RUNNING,
    State.WAITING: Undecided.WAITING,
    State.UNAVAILABLE: Undecided.UNAVAILABLE,
}


class Gates:
    """Asks gates.

    Args:
        client: where what they go by is made.
        caches: where it is seen.
        options: the controller's settings.
        builds: asks Jenkins.
    """

    def __init__(self, client: KubeClient, caches: Caches, options: Options, builds: Builds) -> None:
        self._builds = builds
        self._client = client
        self._caches = caches
        self._namespace, self._rules = options.namespace, options.rules
        self._runs = Runs(client, caches)

    async def ask(self, canary: Canary, hook: Webhook, run: str) -> HookAnswer:
        """What the gate of a webhook says.

        Args:
            canary: the Canary, with the status that is stored.
            hook: the webhook.
            run: the moment of the rollout; what the gate starts is started once for each.

        Raises:
            Retryable: the API server could not be had.
        """
        known = gate_for(hook.gate) if hook.gate is not None else None
        if known is None:
            return HookAnswer(approved=False, message="its gate says nothing of what answers")
        moment = Moment(canary, hook, run, self._images(canary))
        try:
            said = await self._said(known, moment)
        except Retryable:
            raise
        except TemplateError as error:
            said = Said(State.UNAVAILABLE, f"it can't be filled in: {error}")
        except KubeError as error:
            rights = f"; the component {known.component} gives the rights" if isinstance(error, Forbidden) else ""
            said = Said(State.UNAVAILABLE, f"the API server refuses it: {error.message}{rights}")
        words = shortened(said.words, MOST_WORDS)
        return HookAnswer(said.state is State.PASSED, words, _UNDECIDED.get(said.state), said.run)

    async def _said(self, gate: Known, moment: Moment) -> Said:
        match gate:
            case Starting():
                return await self._started(gate, moment)
            case Looking():
                return self._looked(gate, moment)
            case Reading():
                return await self._read(gate, moment)
            case Building():
                return await self._builds.ask(moment)

    def _looked(self, gate: Looking, moment: Moment) -> Said:
        ref = gate.ref(moment.canary.namespace, moment.gate)
        run = f"{ref.resource.kind} {ref.namespace}/{ref.name}"
        if self._namespace not in (None, ref.namespace):
            words = f"the controller looks at nothing outside of {self._namespace}; {run} is"
            return Said(State.UNAVAILABLE, words, run)
        if (unseen := self._unseen(ref.resource, gate)) is not None:
            return replace(unseen, run=run)
        found = self._caches.get(*ref)
        if found is None:
            return Said(State.UNAVAILABLE, f"{run} does not exist; create it, or correct its name", run)
        said = gate.said(moment, found)
        return Said(said.state, f"{run}: {said.words}", run)

    async def _read(self, gate: Reading, moment: Moment) -> Said:
        pods = await self._pods(moment.canary)
        (resource,) = gate.kinds
        reports: list[Json] = []
        for selector in gate.selectors(pods):
            try:
                listed = await self._client.list(resource, moment.canary.namespace, label_selector=selector)
            except NotFound:
                return Said(State.UNAVAILABLE, _not_installed(resource, gate))
            reports += listed["items"]
        return gate.said(moment, pods, reports)

    async def _pods(self, canary: Canary) -> list[Json]:
        """The pods of the target."""
        kind = target_for(canary)
        return await pods_of(self._client, kind, self._target(canary, kind), self._rules) or []

    async def _started(self, gate: Starting, moment: Moment) -> Said:
        kind = gate.kind(moment.gate)
        resource = kind.resource
        if (unseen := self._unseen(resource, gate)) is not None:
            return unseen
        found = await self._runs.there(resource, gate.start(moment))
        run = f"{resource.kind} {name_of(found)}"
        if words := not_ours(found, moment.canary):
            return Said(State.UNAVAILABLE, words, run)
        parts = kind.parts
        said = gate.said(found, await self._runs.parts(found, parts.resource, parts.label) if parts else ())
        return Said(said.state, said.words, run)

    def _unseen(self, resource: Resource, gate: Known) -> Said | None:
        """Why nothing of a kind can be run, or looked at; None where it can."""
        state = self._caches.state(resource)
        match state.freshness:
            case Freshness.ABSENT:
                return Said(State.UNAVAILABLE, _not_installed(resource, gate))
            case Freshness.FORBIDDEN:
                name = resource.full_name
                words = f"the controller may not list or watch {name}; the component {gate.component} gives the rights"
                return Said(State.UNAVAILABLE, words)
        return None

    def _images(self, canary: Canary) -> dict[str, str]:
        return images_of(self._target(canary, target_for(canary)))

    def _target(self, canary: Canary, kind: Target | None) -> Json | None:
        return self._caches.get(kind.resource, canary.namespace, canary.target_name) if kind else None


def _not_installed(resource: Resource, gate: Known) -> str:
    return f"{resource.full_name} are not installed in this cluster; install {gate.system}, or take the gate out"
