"""The demonstration as lines, for where there is no terminal."""

from canary.sandbox.demo.load import Load
from canary.sandbox.demo.story import Act, Frame


def lines(before: Frame | None, after: Frame) -> list[str]:
    """What is new between two moments, a line each."""
    old = before or Frame(0.0, ())
    known = {act.title: act for act in old.acts}
    told = [line for act in after.acts for line in _act(known.get(act.title, Act(act.title)), act)]
    told += [f"  {event.text}" for event in after.events if event not in old.events]
    told += _weights(old, after)
    return [f"[{after.elapsed:5.1f} s] {line}" for line in told]


def _act(old: Act, new: Act) -> list[str]:
    told = []
    if old.began is None and new.began is not None:
        told.append(f"> {new.title}")
    if new.note and new.note != old.note and new.ended is None:
        told.append(f"  {new.note}")
    if old.ended is None and new.ended is not None and new.began is not None:
        sign = "ok" if new.well else "NOT OK"
        told.append(f"{sign} after {new.ended - new.began:.1f} s{': ' if new.note else ''}{new.note}")
    return told


def _weights(old: Frame, new: Frame) -> list[str]:
    """How the requests are divided, where that changed, and what each version answered of late."""
    if not old.rows or _division(old) == _division(new):
        return []
    return ["  " + "; ".join(f"{version} {weight} %" for version, weight in _division(new))] + [
        f"    {row.version}: {load_in_words(row.lately)}" for row in new.rows if row.lately.requests
    ]


def _division(frame: Frame) -> list[tuple[str, int]]:
    return [(row.version, row.weight) for row in frame.rows if row.weight]


def load_in_words(load: Load) -> str:
    """Success rate and latency of some requests."""
    if load.success is None:
        return "no requests"
    latency = "no answer" if load.p99 is None else f"p99 {1000 * load.p99:.0f} ms"
    return f"{load.requests} requests, {load.success:.1f} % served, {latency}"
