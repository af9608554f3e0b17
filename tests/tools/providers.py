"""Writes docs/providers.md from the traffic providers themselves; `--check` says whether it is as they are."""

import sys
from collections.abc import Iterator
from pathlib import Path

from canary.api.requirements import REQUIREMENTS, RETIRED
from canary.routers.base import Granularity, Provider
from canary.routers.kubernetes import REPLICAS
from canary.routers.registry import ALL

PAGE = Path(__file__).parents[2] / "docs/providers.md"

_HEAD = """\
# Traffic providers

Made from the providers by `python tests/tools/providers.py`, and held against them by `make lint`. `spec.provider` names one; the
flag `--mesh-provider` names that of Canaries that name none. What a provider can't do is refused by the name of the field, with a
remedy: [fields.md](fields.md) says of each field what becomes of it.

| provider | makes | divides requests by | A/B | mirror | affinity | baseline | ports | pods go after | needs |
|---|---|---|---|---|---|---|---|---|---|
"""

_TAIL = """
*A/B*: chosen requests, by header or cookie (`analysis.match`; with the Gateway API and Istio also beside weights,
`analysis.alwaysMatch`; or a step [`header`](steps.md)). *Mirror*: copies of requests (`analysis.mirror`, or a step `mirror`). *Affinity*: users stay on their version
(`analysis.sessionAffinity`). *Baseline*: fresh pods of the promoted version to [compare with](compare.md#a-fresh-baseline)
(`compareTo: baseline`). *Ports*: several, divided together (`service.ports`). *Pods go after*: how long the data plane is given to
follow its route before pods go, and to learn of new pods before they get requests; `--traffic-settle-time` sets another time.

**A gateway's own sessions keep a user on a pod, and not on a version.** Envoy (1.40; its filter `stateful_session`, which Istio and Gloo set up on
request) draws the version anew for each request, whatever the cookie says: users lose their pod each time that they come to the other version,
and where the filter is strict they get 503 instead, which count as the canary's. Where users have to stay where they are, take *affinity*, or
choose them (*A/B*).

A route that is yours already can be named in its place, with its weights alone set: see [Routes that you own](own-routes.md).

The rights to a provider's objects are a component of the installation: see [What it may do](install.md#what-it-may-do).

## What each honours of `spec.service`

| provider | fields |
|---|---|
"""

_GONE = """
## Refused

| provider | why, and the way out |
|---|---|
"""

_WEIGHTS = {
    Granularity.NONE: "nothing: all or nobody",
    Granularity.PODS: "numbers of pods",
    Granularity.PERCENT: "percent",
}


def page() -> str:
    """The whole page."""
    rows = [*((each, "") for each in ALL), (REPLICAS, " with `replicaRatio`")]
    rows.sort(key=lambda row: (row[0].names[0], row[1]))
    gone = (f"| `{name}` | {why} |\n" for name, why in sorted(RETIRED.items()))
    honours = (_honours(each, more) for each, more in rows)
    return _HEAD + "".join(_row(each, more) for each, more in rows) + _TAIL + "".join(honours) + _GONE + "".join(gone)


def _row(each: Provider, more: str) -> str:
    marks = [each.match, each.mirror, each.session_affinity, each.baseline, "service.ports" in each.fields]
    cells = [
        _names(each) + more,
        ", ".join(f"`{kind.kind}`" for kind in each.routes) or "-",
        _WEIGHTS[each.weights],
        *("yes" if mark else "-" for mark in marks),
        f"{each.settle.total_seconds():g} s",
        "; ".join(_needs(each)) or "-",
    ]
    return f"| {' | '.join(cells)} |\n"


def _names(each: Provider) -> str:
    return ", ".join(f"`{name}`" for name in each.names)


def _needs(each: Provider) -> Iterator[str]:
    return (f"`spec.{need.field}`" for need in REQUIREMENTS if each.family in need.providers)


def _honours(each: Provider, more: str) -> str:
    fields = sorted(name.partition(".")[2] for name in each.fields if name.startswith("service."))
    return f"| {_names(each)}{more} | {', '.join(f'`{name}`' for name in fields) or '-'} |\n"


def main() -> int:
    """Write the page, or say that it is to be written."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    sys.stderr.write("docs/providers.md is not as the providers are; run `python tests/tools/providers.py`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
