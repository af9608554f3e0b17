"""Skipper: an Ingress beside that of the users, which has each of its paths once for the primary and for the canary.

While the canary has requests that Ingress comes before the users' by the predicate `Weight(100)`; at rest `False()`
takes it out, and the users' own leads to the Service `NAME`, which selects the primary.
"""

import json
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import INGRESS, Json
from canary.routers import ingress
from canary.routers.base import BY_WEIGHT, Apply, Granularity, Observed, Patch, Provider, need_weights_alone, refused
from canary.routers.route_kind import CANARY, PRIMARY, RouteKind, share

PREFIX = "zalando.org/"
WEIGHTS, PREDICATE = f"{PREFIX}backend-weights", f"{PREFIX}skipper-predicate"
FIRST, NEVER = "Weight(100)", "False()"

FOLLOWS = timedelta(seconds=7)
"""How long requests may go on as before after an Ingress has changed.

Skipper asks the API server for all of them every `-source-poll-timeout`, 3 s where nobody sets it. Twice that, where
one poll fails or was just under way, and a second to take what it has found.
"""


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Apply, ...]:
    """The Ingress that divides requests so; nothing where there is none to make it from.

    Raises:
        ValueError: the split mirrors or matches requests.
    """
    need_weights_alone("Skipper's weights", split)
    of, rules = ingress.source(canary, observed, canary.service_primary_name)
    if not rules:
        return ()
    said = {key: value for key, value in ingress.annotations(of).items() if key.startswith(PREFIX)}
    said[PREDICATE] = _with(said.get(PREDICATE), FIRST if split.canary else NEVER)
    said[WEIGHTS] = _weighted({canary.service_primary_name: split.primary, canary.service_canary_name: split.canary})
    led = ingress.led(rules, canary.service_primary_name, canary.service_canary_name)
    return (ingress.manifest(canary, observed, of, said, led),)


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the Ingress divides requests; None where it doesn't exist or leads elsewhere."""
    found = [observed[ref] for ref in ingress.beside(canary) if ref in observed]
    if not found or canary.service_canary_name not in ingress.services(found[0]):
        return None
    return Split(_share(found[0]))


def _hand_back(canary: Canary, observed: Observed) -> tuple[Patch, ...]:
    """The Ingress is at rest, and goes with the Canary, which owns it: nobody needs it beside the users'."""
    found = ((ref, observed[ref]) for ref in ingress.beside(canary) if ref in observed)
    return tuple(Patch(ref, _without_canary(there)) for ref, there in found if not _rests(there))


def _problems(canary: Canary) -> tuple[Problem, ...]:
    return (*refused(canary, SKIPPER), *ingress.unspeakable(canary))


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    return (*ingress.unfit(canary, observed), *ingress.occupied(canary, observed, WEIGHTS))


def _with(predicates: object, first: str) -> str:
    """The users' predicates, which all must hold, with one of ours before them."""
    theirs = (each.strip() for each in str(predicates or "").split("&&"))
    return " && ".join([first, *(each for each in theirs if each and each not in (FIRST, NEVER))])


def _weighted(weights: Json) -> str:
    return json.dumps(weights, separators=(",", ":"), sort_keys=True)


def _rests(route: Json) -> bool:
    return NEVER in str(ingress.annotations(route).get(PREDICATE, ""))


def _share(route: Json) -> int:
    """The canary's percent of the requests; half of them where no weights are to be read, as Skipper has it."""
    said = ingress.annotations(route)
    if _rests(route):
        return 0
    try:
        weights = json.loads(str(said.get(WEIGHTS, "")))
        found = {
            end: sum(int(each) for name, each in weights.items() if name.endswith(end)) for end in (PRIMARY, CANARY)
        }
    except (ValueError, TypeError, AttributeError):
        return TOTAL_WEIGHT // 2
    percent = share(found[CANARY], found[PRIMARY])
    return TOTAL_WEIGHT // 2 if percent is None else percent


def _leads_to(route: Json) -> frozenset[str]:
    """Nowhere at rest: nobody gets there by it."""
    ours = WEIGHTS in ingress.annotations(route) and not _rests(route)
    return ingress.services(route) if ours else frozenset()


def _share_of_former(route: Json) -> int:
    return _share(route) if any(name.endswith(CANARY) for name in _leads_to(route)) else 0


def _without_canary(route: Json) -> Json:
    names = sorted(name for name in ingress.services(route) if name.endswith((PRIMARY, CANARY)))
    weights = {name: TOTAL_WEIGHT if name.endswith(PRIMARY) else 0 for name in names}
    predicate = _with(ingress.annotations(route).get(PREDICATE), NEVER)
    return {"metadata": {"annotations": {WEIGHTS: _weighted(weights), PREDICATE: predicate}}}


def _past_versions(route: Json) -> Json:
    annotations = {**_without_canary(route)["metadata"]["annotations"], WEIGHTS: None}
    return {"metadata": {"annotations": annotations}, "spec": {"rules": ingress.past_versions(route)}}


SKIPPER = Provider(
    names=("skipper",),
    makes=ingress.beside,
    reads=ingress.users,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"service.ports", "ingressRef"},
    problems=_problems,
    routes={
        INGRESS: RouteKind(
            leads_to=_leads_to,
            share=_share_of_former,
            without_canary=_without_canary,
            past_versions=_past_versions,
        )
    },
)
