"""Verdicts as the status keeps them: bounded, without what may be a password, and since when they are the same."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from canary.api.analysis import Webhook
from canary.api.status import CheckStatus, Verdict
from canary.rollout import messages
from canary.rollout.situation import Situation

MOST_QUERY, MOST_WORDS = 2048, 1024
"""Characters of a query, and of the words of a verdict, that are kept."""

Before = Mapping[tuple[str, Verdict], datetime | None]
"""Since when a check has said what it said at the look before."""


def said_before(s: Situation, *, primary: bool = False) -> Before:
    """What was said at the look before, of the same version.

    Args:
        s: the Canary and its facts.
        primary: whether the promoted version is looked at: what was said of it as the canary is about another time.
    """
    bake = s.status.bake
    begun = bake.start_time if primary and bake is not None else None
    return {
        (each.name, each.verdict): each.since or each.time
        for each in reversed(s.status.checks)
        if begun is None or (each.time is not None and each.time >= begun)
    }


def said_by_run(s: Situation, check: CheckStatus) -> Before:
    """What was said at the look before by what answers now: another Job has its own time."""
    return {
        (each.name, each.verdict): each.since or each.time
        for each in s.status.checks
        if (each.name, each.query) == (check.name, messages.shortened(check.query, MOST_QUERY))
    }


def kept(check: CheckStatus, before: Before) -> CheckStatus:
    """A verdict as it is stored: bounded, and with the look since which it has been the same."""
    return check.replace(
        since=before.get((check.name, check.verdict)) or check.time,
        query=messages.shortened(check.query, MOST_QUERY),
        message=messages.shortened(check.message, MOST_WORDS),
    )


def place(hook: Webhook) -> str:
    """Where a webhook is, without what may be a password in its address."""
    try:
        parts = urlsplit(hook.url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
