"""Fleets as people look at them: tables, why one stands where it does, and the same for programs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from canary.api.fleet import CanaryFleet
from canary.api.fleet_status import JointStatus, MemberStatus, WaveState, WaveStatus
from canary.api.meta import format_time
from canary.cli.cluster.tables import table
from canary.cli.cluster.view import span
from canary.cli.failures import CommandError
from canary.cli.fleets.access import read
from canary.cli.fleets.waits import invalid, must_happen, waits_for
from canary.fleet.shifts import ROUTED
from canary.kube.types import Json, name_of, namespace_of

_HEADINGS: Final = ["STATUS", "RELEASE", "WAVE", "PASSED", "FOR"]
_WIDE: Final = ["MODE", "ON FAILURE", "REASON"]


def fleets(found: Sequence[Json], now: datetime, *, everywhere: bool, wide: bool) -> list[str]:
    """The table of `canary get fleets`; one that can't be read is a row of it, too."""
    headings = [*(["NAMESPACE"] if everywhere else []), "NAME", *_HEADINGS, *(_WIDE if wide else []), "WAITS FOR"]
    return table(headings, [[*_place(each, everywhere=everywhere), *_cells(each, now, wide=wide)] for each in found])


def _place(raw: Json, *, everywhere: bool) -> list[str]:
    return [*([namespace_of(raw) or ""] if everywhere else []), name_of(raw)]


def _cells(raw: Json, now: datetime, *, wide: bool) -> list[str]:
    try:
        return _row(read(raw), now, wide=wide)
    except CommandError as error:
        return [*([""] * len([*_HEADINGS, *(_WIDE if wide else [])])), str(error)]


def _row(fleet: CanaryFleet, now: datetime, *, wide: bool) -> list[str]:
    status = fleet.status
    row = [status.phase.value, status.release or fleet.spec.release, _wave(fleet), status.progress]
    row += [_ago(status.ended or status.started, now)]
    row += [fleet.spec.mode.value, fleet.spec.on_failure.value, status.reason] if wide else []
    return [*row, waits_for(fleet)]


def _wave(fleet: CanaryFleet) -> str:
    """Which wave of how many; empty before the first look."""
    return f"{fleet.status.wave}/{len(fleet.spec.waves)}" if fleet.status.release else ""


def _ago(moment: datetime | None, now: datetime) -> str:
    return span((now - moment).total_seconds()) if moment is not None else ""


def explain(fleet: CanaryFleet, now: datetime) -> Iterator[str]:
    """Everything, in lines for people."""
    yield f"{fleet.key} (release {fleet.status.release or fleet.spec.release})"
    yield f"  {_where(fleet, now)}"
    yield ""
    yield "Why"
    yield from (f"  {line}" for line in _why(fleet))
    yield ""
    yield "What must happen next"
    yield f"  {must_happen(fleet)}"
    yield ""
    yield "Waves"
    yield from (f"  {line}" for line in _waves(fleet, now))
    yield ""
    if fleet.status.joint:
        yield "Together"
        yield from (f"  {line}" for line in _together(fleet))
        yield ""
    yield "Members"
    yield from (f"  {line}" for line in _members(fleet, now))
    yield from _traffic(fleet, now)


def _where(fleet: CanaryFleet, now: datetime) -> str:
    status = fleet.status
    words = [status.phase.value or "not seen by a hub yet"]
    if 0 < status.wave <= len(fleet.spec.waves):
        words.append(f"wave {status.wave} of {len(fleet.spec.waves)} ({fleet.spec.waves[status.wave - 1].name})")
    if status.progress:
        words.append(f"{status.progress} members have passed")
    if moment := status.ended or status.started:
        words.append(f"{'ended' if status.ended else 'begun'} {_ago(moment, now)} ago")
    return ", ".join(words)


def _why(fleet: CanaryFleet) -> Iterator[str]:
    status, wrong = fleet.status, invalid(fleet)
    if wrong and status.message != wrong:
        yield f"Invalid: {wrong}"
    if status.cause and status.cause not in status.message:
        yield status.cause
    if status.reason or status.message:
        yield ": ".join(part for part in (status.reason, status.message) if part)
    if status.promoted:
        yield f"Promoted past what is left: {status.promoted}"
    if not (wrong or status.reason or status.message):
        yield "its status says no more than that"


def _waves(fleet: CanaryFleet, now: datetime) -> list[str]:
    if not fleet.status.waves:
        return ["none has begun"]
    rows = [
        (each.name, each.state.value, f"{each.passed}/{each.members}", str(each.required), str(each.failed), soak)
        for each, soak in ((each, _soak(fleet, each, now)) for each in fleet.status.waves)
    ]
    return table(("WAVE", "STATE", "PASSED", "MUST", "FAILED", "SOAKS FOR"), rows)


def _together(fleet: CanaryFleet) -> list[str]:
    """What all members say together; of which share of requests was bad, in percent."""
    rows = [(each.name, each.verdict.value, *_numbers(each), each.message) for each in fleet.status.joint]
    return table(("METRIC", "VERDICT", "BAD %", "BEFORE", "REQUESTS", "P", "MEMBERS", "IN WORDS"), rows)


def _numbers(joint: JointStatus) -> tuple[str, ...]:
    return f"{joint.value:.4g}", joint.threshold, str(joint.samples), f"{joint.p_value:.2g}", str(joint.members)


def _soak(fleet: CanaryFleet, wave: WaveStatus, now: datetime) -> str:
    """What is left of its soak; empty where it has none."""
    spec = next((each for each in fleet.spec.waves if each.name == wave.name), None)
    if spec is None or wave.state is not WaveState.SOAKING or wave.passed_since is None:
        return ""
    return span((wave.passed_since + spec.soak - now).total_seconds())


def _members(fleet: CanaryFleet, now: datetime) -> list[str]:
    rows = [
        (each.name, str(each.wave), each.state.value, _ago(each.since, now), each.revision, _said(each))
        for each in fleet.status.members
    ]
    return table(("MEMBER", "WAVE", "STATE", "SINCE", "REVISION", "IN WORDS"), rows) if rows else ["no cluster is one"]


def _traffic(fleet: CanaryFleet, now: datetime) -> Iterator[str]:
    """Who gets how much of all requests; nothing where that is not the fleet's to say."""
    shares = {each.name: each.share for each in fleet.spec.traffic.members} if fleet.spec.traffic is not None else {}
    rows = [
        (
            each.name,
            each.state.value,
            f"{each.weight} %",
            f"{shares.get(each.name, 0)} %",
            _ago(each.since, now),
            each.message,
        )
        for each in fleet.status.traffic
    ]
    if rows:
        yield ""
        yield "Traffic"
        yield from (f"  {line}" for line in table(("CLUSTER", "SHARE", "GETS", "OF", "SINCE", "IN WORDS"), rows))
        unrouted = fleet.status.condition(ROUTED)
        if unrouted is not None and unrouted.reason != ROUTED:
            yield f"  {unrouted.message}"


def _said(member: MemberStatus) -> str:
    """Its words, with since when it can't be reached where they don't say so."""
    away = format_time(member.unreachable_since) if member.unreachable_since is not None else ""
    said = member.message or member.reason
    return f"unreachable since {away}: {said}" if away and "unreachable" not in said else said


def data(fleet: CanaryFleet) -> Json:
    """Why a fleet stands where it does, for programs."""
    status = fleet.status.to_json()
    return {
        "namespace": fleet.namespace,
        "name": fleet.name,
        "mode": fleet.spec.mode.value,
        "release": fleet.status.release or fleet.spec.release,
        "phase": fleet.status.phase.value,
        "wave": fleet.status.wave,
        "waveCount": len(fleet.spec.waves),
        "progress": fleet.status.progress,
        "started": status.get("started"),
        "ended": status.get("ended"),
        "reason": fleet.status.reason,
        "message": fleet.status.message,
        "cause": fleet.status.cause,
        "invalid": invalid(fleet),
        "paused": fleet.status.paused,
        "waitsFor": waits_for(fleet),
        "next": must_happen(fleet),
        "waves": status.get("waves", []),
        "members": status.get("members", []),
        "joint": status.get("joint", []),
        "traffic": status.get("traffic", []),
        "conditions": status.get("conditions", []),
    }
