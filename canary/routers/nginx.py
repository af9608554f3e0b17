"""ingress-nginx, and whoever reads its annotations: a canary Ingress beside that of the users.

The users' Ingress stays as it is and leads to the Service `NAME`, which selects the primary. The one that is made here
has its rules with the canary's Service in them, and says in annotations which of the requests are the canary's. At
rest it stays a canary Ingress with a weight of 0: without that word it would be an ordinary one, for the same requests
as the users', and which of the two gets them depends on the gateway and on which is older.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

from canary.api.canary import Canary
from canary.api.istio import AnalysisMatch, StringMatch
from canary.api.problems import Problem
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import INGRESS, Json
from canary.routers import ingress
from canary.routers.base import BY_WEIGHT, Granularity, Observed, Patch, Provider, Write, refused, spec_path
from canary.routers.matches import whole
from canary.routers.route_kind import CANARY, RouteKind, share

PREFIX = "nginx.ingress.kubernetes.io/"
IS_CANARY, WEIGHT, WEIGHT_TOTAL = f"{PREFIX}canary", f"{PREFIX}canary-weight", f"{PREFIX}canary-weight-total"
HEADER, COOKIE = f"{PREFIX}canary-by-header", f"{PREFIX}canary-by-cookie"
HEADER_VALUE, HEADER_PATTERN = f"{HEADER}-value", f"{HEADER}-pattern"
AFFINITY, AFFINITY_OF_CANARY = f"{PREFIX}affinity", f"{PREFIX}affinity-canary-behavior"

FOLLOWS = timedelta(seconds=7)
"""How long requests may go on as before after a canary Ingress has changed.

ingress-nginx takes changes no more often than every 3.3 s (`--sync-rate-limit`, 0.3 a second where nobody sets it), any
Ingress or EndpointSlice of the cluster being one; then its nginx fetches the backends once a second. Measured, the last
request went the old way up to 3.9 s after the write, 1 s where nothing else had changed just before. The rest is for
the time that a change takes where nginx has to read its files again, which is seconds in large clusters.

Traefik in its place waits for `providers.providersThrottleDuration`, 2 s where nobody sets it, and twice that where
another configuration comes in between. Nothing in a cluster tells which of the two it is.
"""

_PLAIN = re.compile(r"[-._~a-zA-Z0-9/: ]+")
_PATTERN = re.compile(r"[-._~a-zA-Z0-9/:^$\[\](){}*+?|&=\\]+")
"""What ingress-nginx takes in annotations. Of what has other characters in it, it would be silent, and go by less."""


def _plan(canary: Canary, split: Split, observed: Observed) -> tuple[Write, ...]:
    """The canary Ingress that divides requests so; nothing where there is none to make it from.

    Raises:
        ValueError: the split mirrors requests, or is for matched ones and the spec has no conditions to match by.
    """
    if split.mirror or (split.matched and not canary.analysis.match):
        msg = f"the annotations of ingress-nginx can't divide requests as {split}"
        raise ValueError(msg)
    of, rules = ingress.source(canary, observed, canary.service_canary_name)
    if not rules:
        return ()
    said = {**_inherited(of, split), IS_CANARY: "true", WEIGHT: "0" if split.matched else str(split.canary)}
    if split.matched:
        said |= _conditions(canary)
    made = ingress.manifest(canary, observed, of, said, ingress.led(rules, canary.service_canary_name))
    return (made, *_without_strays(canary, observed, said))


def _split(canary: Canary, observed: Observed) -> Split | None:
    """How the canary Ingress divides requests; None where it doesn't exist or leads elsewhere."""
    found = [observed[ref] for ref in ingress.beside(canary) if ref in observed]
    if not found or canary.service_canary_name not in ingress.services(found[0]):
        return None
    percent, chosen = share_of(found[0]), _chooses(found[0])
    return Split(TOTAL_WEIGHT, matched=True) if chosen and not percent else Split(percent)


def _hand_back(canary: Canary, observed: Observed) -> tuple[Patch, ...]:
    """The canary's Ingress is at rest, and goes with the Canary, which owns it: nobody needs it beside the users'."""
    found = ((ref, observed[ref]) for ref in ingress.beside(canary) if ref in observed)
    return tuple(Patch(ref, _without_canary(there)) for ref, there in found if not _rests(there))


def _problems(canary: Canary) -> tuple[Problem, ...]:
    """The fields of the spec, and the conditions in them, that a canary Ingress can't honour."""
    found = [*refused(canary, NGINX), *ingress.unspeakable(canary)]
    first: dict[bool, Json] = {}
    for index, match in enumerate(() if canary.skip_analysis else canary.analysis.match):
        path = spec_path(canary, f"analysis.match[{index}]")
        found += _unspeakable(match, path)
        for name, value in match.headers.items():
            said = _condition(name, value)
            if first.setdefault(_is_cookie(name), said) != said:
                what = "one cookie" if _is_cookie(name) else "one header, and one value or regex of it"
                why = f"ingress-nginx goes by {what}; there is another before"
                found.append(Problem(f"{path}.headers.{name}", why, "keep one of them; a regex can stand for several"))
    return tuple(found)


def _unfit(canary: Canary, observed: Observed) -> tuple[Problem, ...]:
    found = [*ingress.unfit(canary, observed), *ingress.occupied(canary, observed, IS_CANARY)]
    for ref in ingress.users(canary):
        if ingress.annotations(observed.get(ref, {})).get(IS_CANARY) == "true":
            why, remedy = f"Ingress {ref.name} is the canary's of another one", "name that of which it is the canary's"
            found.append(Problem("spec.ingressRef.name", why, remedy))
    return tuple(found)


def _inherited(of: Json, split: Split) -> Json:
    """What the gateway is told of the canary's backends by the annotations of the Ingress that this one is made from.

    Who was kept on the canary by a cookie is let go with the last of its weight: with the gateway's own default they
    would be led there for as long as it has a pod.
    """
    said = {key: value for key, value in ingress.annotations(of).items() if key.startswith(PREFIX)}
    said = {key: value for key, value in said.items() if not key.startswith(IS_CANARY)}
    if AFFINITY in said and not split.canary:
        said[AFFINITY_OF_CANARY] = "legacy"
    return said


def _conditions(canary: Canary) -> Json:
    """The requests of an A/B test that are the canary's: any that meets one of the conditions."""
    pairs = (pair for match in canary.analysis.match for pair in match.headers.items())
    return {key: value for pair in pairs for key, value in _condition(*pair).items()}


def _condition(name: str, value: StringMatch) -> Json:
    """A cookie is named by what it must be called; its value is `always`."""
    if _is_cookie(name):
        return {COOKIE: value.exact or ""}
    return {
        HEADER: name,
        **({HEADER_VALUE: value.exact} if value.exact else {HEADER_PATTERN: whole(value.regex or "")}),
    }


def _is_cookie(name: str) -> bool:
    return name.lower() == "cookie"


def _unspeakable(match: AnalysisMatch, path: str) -> Iterator[Problem]:
    for field, is_set in (("queryParams", match.query_params), ("sourceLabels", match.source_labels)):
        if is_set:
            yield Problem(f"{path}.{field}", "ingress-nginx has no such condition", "write one on a header or a cookie")
    if len(match.headers) != 1:
        why = "ingress-nginx can't ask for several headers at once" if match.headers else "says nothing about headers"
        yield Problem(f"{path}.headers", why, "write one header, and others as further entries of match: any will do")
    for name, value in match.headers.items():
        yield from _bad_value(name, value, f"{path}.headers.{name}")


def _bad_value(name: str, value: StringMatch, path: str) -> Iterator[Problem]:
    words, allowed = (value.exact, _PLAIN) if _is_cookie(name) or value.exact else (value.regex, _PATTERN)
    if not words:
        remedy = "write exact, with the cookie's name" if _is_cookie(name) else "write exact or regex"
        yield Problem(path, "ingress-nginx goes by nothing else of it", remedy)
    elif not allowed.fullmatch(words) or not _PLAIN.fullmatch(name):
        if _is_cookie(name):
            remedy = "write the cookie's name alone; its value is always"
        else:
            remedy = "write a regex, with a dot for each character that is not a letter, a digit or one of -._~/:"
        yield Problem(path, "ingress-nginx takes no such characters", remedy)


def _without_strays(canary: Canary, observed: Observed, said: Json) -> Iterator[Patch]:
    """Takes off what others have written of the canary's requests; nobody but this provider says anything of them."""
    for ref in ingress.beside(canary):
        there = ingress.annotations(observed.get(ref, {}))
        if strays := [key for key in sorted(there) if key.startswith(IS_CANARY) and key not in said]:
            yield Patch(ref, {"metadata": {"annotations": dict.fromkeys(strays)}})


def share_of(route: Json) -> int:
    """Percent of all requests that a canary Ingress gets; one that isn't marked as such may get every one."""
    said = ingress.annotations(route)
    if said.get(IS_CANARY) != "true":
        return TOTAL_WEIGHT
    total = max(_number(said.get(WEIGHT_TOTAL)), TOTAL_WEIGHT)
    weight = min(_number(said.get(WEIGHT)), total)
    return share(weight, total - weight) or 0


def _number(said: object) -> int:
    """A weight; what is no number counts as none."""
    text = str(said or "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _chooses(route: Json) -> bool:
    said = ingress.annotations(route)
    return bool(said.get(HEADER) or said.get(COOKIE))


def _rests(route: Json) -> bool:
    return not _chooses(route) and not share_of(route)


def _leads_to(route: Json) -> frozenset[str]:
    """Nowhere at rest: nobody gets there by it."""
    ours = IS_CANARY in ingress.annotations(route) and not _rests(route)
    return ingress.services(route) if ours else frozenset()


def _share_of_former(route: Json) -> int:
    if not any(name.endswith(CANARY) for name in _leads_to(route)):
        return 0
    return TOTAL_WEIGHT if _chooses(route) else share_of(route)


def _without_canary(route: Json) -> Json:
    there = ingress.annotations(route)
    said = {**dict.fromkeys(key for key in there if key.startswith(IS_CANARY)), IS_CANARY: "true", WEIGHT: "0"}
    if AFFINITY in there:
        said[AFFINITY_OF_CANARY] = "legacy"
    return {"metadata": {"annotations": said}}


def _past_versions(route: Json) -> Json:
    return {**_without_canary(route), "spec": {"rules": ingress.past_versions(route)}}


NGINX = Provider(
    names=("nginx",),
    makes=ingress.beside,
    reads=ingress.users,
    unfit=_unfit,
    plan=_plan,
    split=_split,
    hand_back=_hand_back,
    settle=FOLLOWS,
    weights=Granularity.PERCENT,
    fields=BY_WEIGHT | {"service.ports", "analysis.match", "ingressRef"},
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
