"""What a decision may change of a status."""

from datetime import datetime
from typing import TypedDict

from canary.api.status import ApprovalStatus, BakeStatus, CheckStatus, FailureCount, Phase


class StepChange(TypedDict, total=False):
    """What a decision may change of where a rollout stands in steps that the spec writes out."""

    step_since: datetime | None
    step_looks: int
    step_resumed: bool


class StatusChange(StepChange, total=False):
    """The fields of a status that a decision may change."""

    phase: Phase
    failed_checks: int
    canary_weight: int
    iterations: int
    tracked_configs: dict[str, str]
    last_applied_spec: str
    last_promoted_spec: str
    last_check_time: datetime | None
    last_progress_time: datetime | None
    held_since: datetime | None
    rollout_start_time: datetime | None
    analysis_start_time: datetime | None
    off_share_weight: int | None
    traffic_removed_time: datetime | None
    baseline_removed_time: datetime | None
    checks: tuple[CheckStatus, ...]
    failure_counts: tuple[FailureCount, ...]
    reason: str
    message: str
    primary_replicas: int | None
    partition: int | None
    queued_since: datetime | None
    last_retry: str
    last_override: str
    bake: BakeStatus | None
    approvals: tuple[ApprovalStatus, ...]
