"""Votes on gates that people open: annotations of the Canary, one each for everybody and every gate.

::

    vote.flagger.app/DIGEST: WHO yes|no gate=GATE moment=MOMENT at=WHEN why

WHO and GATE have `%20` for a space and `%25` for a percent sign, so that the first word is who votes, whoever that is:
a policy of the API server holds it against who writes it. What is asked is named by its moment: a vote on another one
counts for nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

PREFIX: Final = "vote.flagger.app/"
"""What the names of the annotations begin with."""

YES: Final = "yes"
NO: Final = "no"

MOST_WORDS: Final = 256
"""Characters of a reason."""

_LONGEST: Final = 2048
"""Characters of a vote; a longer one is none."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody says of a gate.

    Args:
        by: who says it.
        approves: whether it is yes.
        gate: the name of the webhook.
        moment: what is asked, as the status names it.
        at: when, by their own clock.
        why: why.
    """

    by: str
    approves: bool
    gate: str
    moment: str
    at: str = ""
    why: str = ""

    @property
    def key(self) -> str:
        """The name of its annotation: the same for a second vote, which takes the place of the first."""
        digest = sha256(f"{self.moment}\0{self.gate}\0{self.by}".encode()).hexdigest()
        return f"{PREFIX}{digest[:32]}"

    def text(self) -> str:
        """The value of its annotation."""
        said = YES if self.approves else NO
        why = " ".join(self.why.split())[:MOST_WORDS]
        at = f" at={_word(self.at)}" if self.at else ""
        return f"{_word(self.by)} {said} gate={_word(self.gate)} moment={self.moment}{at} {why}".rstrip(" ")


def votes_in(annotations: Mapping[str, str]) -> Iterator[tuple[str, Vote | None]]:
    """The annotations that are votes, by name, in the order of their names; None where one can't be read."""
    for key in sorted(annotations):
        if key.startswith(PREFIX):
            yield key, read(annotations[key])


def read(text: str) -> Vote | None:
    """Read a vote; None where it is none."""
    who, *words = text.split(" ") if len(text) <= _LONGEST else [""]
    if not who or not words or words[0] not in (YES, NO):
        return None
    named: dict[str, str] = {}
    rest = words[1:]
    while rest and (name := rest[0].partition("=")[0]) in ("gate", "moment", "at") and name not in named:
        named[name] = _unword(rest.pop(0).partition("=")[2])
    if not named.get("gate") or not named.get("moment"):
        return None
    why = " ".join(" ".join(rest).split())[:MOST_WORDS]
    return Vote(_unword(who), words[0] == YES, named["gate"], named["moment"], named.get("at", ""), why)


def _word(text: str) -> str:
    return text.replace("%", "%25").replace(" ", "%20")


def _unword(text: str) -> str:
    return text.replace("%20", " ").replace("%25", "%")
