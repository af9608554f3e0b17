"""What every gate is: a value of pure functions, as a traffic provider is one."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Final, Protocol

from canary.api.analysis import Webhook
from canary.api.canary import Canary
from canary.api.gates import ArgoCDGate, FluxGate, Gate
from canary.api.problems import Problem
from canary.kube.types import CANARY, Json, ObjectRef, Resource
from canary.workloads.jobs import name_for, texts
from metrics.gotemplate import TemplateError, evaluate, parse

NAMES: Final = frozenset(
    {"name", "namespace", "target", "service", "image", "repository", "tag", "digest", "revision", "weight", "run"}
)
"""What a gate's template may call."""


class State(Enum):
    """How far a gate has come."""

    PASSED = "passed"
    FAILED = "failed"
    RUNNING = "what was started has not ended"
    WAITING = "what others do is not done"
    UNAVAILABLE = "it can't be asked"


@dataclass(frozen=True, slots=True)
class Said:
    """What a gate says.

    Args:
        state: how far it has come.
        words: the same in words, with the end of its log, or its report.
        run: what answers, as people find it.
    """

    state: State
    words: str
    run: str = ""


class Looks(Protocol):
    """A gate that looks at an object of others, whoever waits for it."""

    @property
    def argocd(self) -> ArgoCDGate | None:
        """An Application of Argo CD."""

    @property
    def flux(self) -> FluxGate | None:
        """An object of Flux."""


class Asker(Protocol):
    """Who waits for a gate that looks: a Canary's rollout, or a wave of a fleet."""

    @property
    def gate(self) -> Looks:
        """The gate."""

    @property
    def owner(self) -> ObjectRef:
        """The object that waits."""

    def render(self, text: str) -> str:
        """A text with its templates filled in.

        Raises:
            TemplateError: it can't be.
        """


@dataclass(frozen=True, slots=True)
class Moment:
    """What a gate is asked for.

    Args:
        canary: the Canary, with the status that is stored.
        hook: the webhook that the gate stands in.
        run: the moment of the rollout: what is started is started once for each.
        images: the image of each container of the version that is rolled out.
    """

    canary: Canary
    hook: Webhook
    run: str
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def gate(self) -> Gate:
        """The gate."""
        return self.hook.gate or Gate()

    @property
    def owner(self) -> ObjectRef:
        """The Canary, as an object."""
        return ObjectRef(CANARY, self.canary.namespace, self.canary.name)

    @property
    def time(self) -> timedelta:
        """How long the answer is waited for."""
        return self.canary.time_for(self.hook)

    @property
    def name(self) -> str:
        """The name of what is started: of Canary, webhook, what the gate says, and moment."""
        written = json.dumps(self.gate.to_json(), sort_keys=True)
        made_of = sha256(written.encode()).hexdigest()
        return name_for(self.canary, self.hook.name, self.run, self.hook.type.value, made_of)

    def render(self, text: str) -> str:
        """A text with its templates filled in.

        Raises:
            TemplateError: it can't be.
        """
        canary, image = self.canary, next(iter(self.images.values()), "")
        repository, tag, digest = parts(image)
        names = {
            "name": canary.name,
            "namespace": canary.namespace,
            "target": canary.target_name,
            "service": canary.service_name,
            "image": image,
            "repository": repository,
            "tag": tag,
            "digest": digest,
            "revision": canary.status.last_applied_spec,
            "weight": str(canary.status.canary_weight),
            "run": self.run,
        }
        return evaluate(parse(text, NAMES), names)


def parts(image: str) -> tuple[str, str, str]:
    """Repository, tag and digest of an image; the tag is `latest` where it has neither."""
    named, _, digest = image.partition("@")
    path, slash, last = named.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{path}{slash}{name}", tag or ("" if digest or not image else "latest"), digest


def unreadable(path: str, template: object, names: frozenset[str] = NAMES) -> Iterator[Problem]:
    """Texts of a template that can't be filled in, with what it may call."""
    for where, text in texts(template, path):
        try:
            if "{{" in text:
                parse(text, names)
        except TemplateError as error:
            yield Problem(where, str(error), 'correct it; two braces that stand for themselves are {{ "{{" }}')


@dataclass(frozen=True, slots=True)
class Parts:
    """Where the parts of what was started are, such as a Job's pods.

    Args:
        resource: their kind.
        label: the label that carries the name of what they are part of.
    """

    resource: Resource
    label: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that is started for gates.

    Args:
        resource: where the API server serves it.
        has_ended: whether nothing of one runs any more.
        cancel: the merge patch that ends one; None where it is deleted.
        parts: where it is told how its parts fare; None where it tells all itself.
    """

    resource: Resource
    has_ended: Callable[[Json], bool]
    cancel: Json | None = None
    parts: Parts | None = None


@dataclass(frozen=True, slots=True)
class _Any:
    """What is known of any gate.

    Args:
        system: what answers, in words.
        component: the component of our installation that gives the rights; empty where none is needed.
        kinds: the kinds of object that it needs the rights to.
        problems: what can't be of the gate, by the field that it stands in.
    """

    system: str
    component: str
    kinds: tuple[Resource, ...]
    problems: Callable[[str, Gate], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Starting(_Any):
    """A gate for which an object is made that runs, and ends.

    Args:
        kind: the kind of object, by the gate.
        start: the object to make.
        said: what it says, from the object and its parts.
    """

    kind: Callable[[Gate], Kind]
    start: Callable[[Moment], Json]
    said: Callable[[Json, Iterable[Json]], Said]


@dataclass(frozen=True, slots=True)
class Looking(_Any):
    """A gate that looks at an object of others.

    Args:
        ref: where the object is, from the namespace of who waits.
        said: what it says; of an object that is there.
    """

    ref: Callable[[str, Looks], ObjectRef]
    said: Callable[[Asker, Json], Said]


@dataclass(frozen=True, slots=True)
class Reading(_Any):
    """A gate that reads reports, its kind, about the pods that are rolled out.

    Args:
        selectors: which of the reports are about these pods.
        said: what they say, from the pods and the reports.
    """

    selectors: Callable[[Iterable[Json]], tuple[str, ...]]
    said: Callable[[Moment, Sequence[Json], Sequence[Json]], Said]


@dataclass(frozen=True, slots=True)
class Building(_Any):
    """A gate that starts a build in a server that is asked by HTTP."""


Known = Starting | Looking | Reading | Building
"""What is known of a gate."""
