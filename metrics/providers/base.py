"""What every provider is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from metrics.access import oauth2
from metrics.access.grants import Grant
from metrics.access.own import Own
from metrics.access.secret import credential
from metrics.answers import (
    Json,
    newest,
    number,
    of_series,
    patient,
    raise_for_status,
    read_json,
    read_object,
    unexpected,
    words_of,
)
from metrics.errors import MisconfiguredError
from metrics.question import ANY_TIME, Question, Sample, Span
from metrics.wire import Request, Response

__all__ = [
    "Json",
    "Parse",
    "Provider",
    "Regions",
    "address_of",
    "credential",
    "newest",
    "number",
    "of_series",
    "patient",
    "raise_for_status",
    "read_json",
    "read_object",
    "unexpected",
    "words_of",
]


class Regions(StrEnum):
    """Whether a provider has regions."""

    NONE = "none"
    ALLOWED = "allowed"
    NEEDED = "needed"


class Parse(Protocol):
    """From the answer to the number."""

    def __call__(self, response: Response, span: Span = ANY_TIME) -> Sample:
        """The newest number of the span, of each series; raises a ProviderError."""


def _of_secret(question: Question, _own: Own, _now: datetime) -> Grant | None:
    return oauth2.grant(question)


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of metrics server, as two mappings.

    Args:
        name: the `type` in a MetricTemplate.
        build: from a question and the time to the request; raises MisconfiguredError.
        parse: from the answer to the number of the time that counts; raises a ProviderError.
        probe: the request that shows whether the server is there and lets us in; raises MisconfiguredError.
        accept: reads the probe's answer; raises a ProviderError where the server can't be used.
        credentials: the Secret's keys that it reads, for messages and documents.
        deadline: seconds that one question may take, retry included.
        simpler: the request to put once more where this answer refuses what not every server knows; None for none.
        follows: the request by which an answer is asked for that takes its time; None once this is the answer.
        patience: seconds that such an answer may take.
        pause: seconds between two requests for it.
        grant: what is fetched before the question is put, out of its Secret or what the controller itself is; other
            credentials where nothing has to be; None where the question can be put as it is.
        own: whether the controller's own identity is what lets a question in.
        seal: signs a request before it is sent, where the question has a region.
        reads: the reader of a question whose query says what is taken out of the answer; None where `parse` does.
        regions: whether it has regions.
        in_cluster: whether it is the Kubernetes API of the controller's own cluster that answers where there is no
            address.
    """

    name: str
    build: Callable[[Question, datetime], Request]
    parse: Parse
    probe: Callable[[Question, datetime], Request]
    accept: Callable[[Response], None]
    credentials: tuple[str, ...] = ()
    deadline: float = 5.0
    simpler: Callable[[Question, Response], Request | None] = lambda _question, _response: None
    follows: Callable[[Question, Response], Request | None] = lambda _question, _response: None
    patience: float = 0.0
    pause: float = 1.0
    grant: Callable[[Question, Own, datetime], Grant | Mapping[str, str] | None] = _of_secret
    own: Callable[[Question], bool] = lambda _question: False
    seal: Callable[[Question, Request, datetime], Request] = lambda _question, request, _now: request
    reads: Callable[[Question], Parse] | None = None
    regions: Regions = Regions.NONE
    in_cluster: bool = False

    def reader(self, question: Question) -> Parse:
        """What reads the answer to a question; raises MisconfiguredError."""
        return self.reads(question) if self.reads is not None else self.parse


def address_of(question: Question) -> str:
    """The question's address.

    Raises:
        MisconfiguredError: there is none.
    """
    if not question.address:
        msg = f"the {question.provider} provider needs an address"
        raise MisconfiguredError(msg)
    return question.address
