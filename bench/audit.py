"""What the audit log says a user asked of the API server."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Args:
        at: when it came in.
        answered: when it was answered.
        verb: such as `patch` or `watch`.
        resource: such as `canaries/status`.
    """

    at: datetime
    answered: datetime
    verb: str
    resource: str

    @property
    def counts(self) -> bool:
        """Whether it is work: keeping a lease and renewing a watch are not."""
        return self.verb != "watch" and self.resource != "leases"


def requests(log: Path, user: str, since: datetime, until: datetime) -> list[Asked]:
    """The requests of a user in a stretch of time, watches and leases included."""
    found = []
    for line in log.read_text().splitlines():
        if user not in line:
            continue
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["requestReceivedTimestamp"])
        if entry["user"]["username"] != user or not since <= at < until:
            continue
        target = entry.get("objectRef", {})
        resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource", ""))))
        found.append(Asked(at, datetime.fromisoformat(entry["stageTimestamp"]), entry["verb"], resource))
    return found


def counted(asked: list[Asked]) -> Counter[str]:
    """How often each verb was used on each resource, where it is work."""
    return Counter(f"{each.verb} {each.resource}" for each in asked if each.counts)
