"""What follows from what people say of gates while a version is looked at."""

from canary.api.status import Phase
from canary.rollout import approvals, start
from canary.rollout.decision import Decision
from canary.rollout.moments import JUDGED
from canary.rollout.rollback import roll_back
from canary.rollout.situation import Situation


def by_people(s: Situation) -> Decision | None:
    """What has come of gates that people open: it is stored first, and takes the version back where they refuse it."""
    if (news := approvals.news(s)) is not None:
        return news
    refused = approvals.refusal(s)
    return roll_back(s, refused, ordered=True, reason=approvals.REJECTED) if refused else None


def refused(s: Situation) -> Decision | None:
    """What follows where somebody has said no: also where the spec can't work, or somebody has stopped it."""
    if not approvals.is_refused(s):
        return None
    if s.status.phase in JUDGED:
        return by_people(s)
    return start.by_people(s) if s.status.phase is Phase.WAITING else None
