"""A world that counts what waiting costs: writes of a status, and questions to webhooks and gates."""

from canary.api.canary import Canary
from canary.rollout.decision import Decision
from canary.rollout.facts import Answer, HookQuestion, Question
from canary.rollout.simulation import World


class CountingWorld(World):
    """Counts the statuses that are stored, and what webhooks and gates are asked."""

    stored = 0
    asked = 0

    def after_store(self, canary: Canary, decision: Decision) -> None:
        super().after_store(canary, decision)
        self.stored += decision.status != canary.status

    def answer(self, question: Question) -> Answer:
        self.asked += isinstance(question, HookQuestion)
        return super().answer(question)
