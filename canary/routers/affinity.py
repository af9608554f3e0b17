"""Session affinity: users stay on the version that the weights have sent them to, by cookies.

While the canary has traffic, answers set a cookie, and requests that bring it go where it says. Once no request is to
reach the canary any more, its cookie is taken from those who still bring it.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

from canary.api.analysis import SessionAffinity
from canary.api.canary import Canary
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import Json, items

COOKIE = "Cookie"


@dataclass(frozen=True, slots=True)
class Cookies:
    """Which cookies keep users on a version, and which they are given.

    Args:
        kept: cookies, each as `name=value`, and the Service to which whoever brings one goes.
        gone: what answers to these set, so that the cookie is gone; empty where it is to stay.
        told: by Service, what its answers to all others set.
    """

    kept: tuple[tuple[str, str], ...] = ()
    gone: str = ""
    told: Mapping[str, str] = field(default_factory=dict)


def cookies(canary: Canary, split: Split) -> Cookies:
    """What keeps users on their version while new ones are divided so.

    Args:
        canary: the Canary, with the status that belongs to the split.
        split: how new users are divided.
    """
    affinity, status = canary.analysis.session_affinity, canary.status
    if affinity is None:
        return Cookies()
    if not split.canary:
        previous = status.previous_session_affinity_cookie
        gone = f"{previous}; Max-Age=-1" + (f"; Path={affinity.path}" if affinity.path else "")
        return Cookies(((previous, canary.service_primary_name),), gone) if previous else Cookies()
    if not status.session_affinity_cookie:
        return Cookies()
    lasting = f"{status.session_affinity_cookie}; {_attributes(affinity, affinity.max_age)}"
    kept, told = [(status.session_affinity_cookie, canary.service_canary_name)], {canary.service_canary_name: lasting}
    if status.primary_session_affinity_cookie:
        kept.append((status.primary_session_affinity_cookie, canary.service_primary_name))
        # One interval: at the next step, with another weight, the dice are thrown anew.
        brief = _attributes(affinity, round(canary.analysis_interval.total_seconds()))
        told[canary.service_primary_name] = f"{status.primary_session_affinity_cookie}; {brief}"
    return Cookies(tuple(kept), told=told)


def brought(cookie: str) -> str:
    """The expression that a Cookie header matches which brings a cookie, `name=value`."""
    name, _, value = cookie.partition("=")
    return f".*{name}.*{value}.*"


def sticky_rules(canary: Canary, split: Split, weighted: Json) -> list[Json]:
    """The rules of an HTTPRoute: those of the cookies first, the weighted one last.

    Args:
        canary: the Canary, with the status that belongs to the split.
        split: how new users are divided.
        weighted: the rule that divides them.
    """
    known, divided = cookies(canary, split), copy.deepcopy(weighted)
    rules = [_only(weighted, cookie, service) for cookie, service in known.kept]
    for rule in rules if known.gone else ():
        rule["filters"] = _with_cookie(items(rule.get("filters")), known.gone)
    for service, cookie in known.told.items():
        _told(divided, service, cookie)
    return [*rules, divided]


def weighted_rule(canary: Canary, rules: list[Json]) -> list[Json]:
    """Of an observed route, the rules that say how users are divided: without those for chosen ones before them."""
    analysis = canary.analysis
    return rules[-1:] if analysis.session_affinity is not None or analysis.always_match else rules


def _only(weighted: Json, cookie: str, service: str) -> Json:
    """The rule that sends whoever brings a cookie to one version."""
    rule = copy.deepcopy(weighted)
    brings = {"name": COOKIE, "type": "RegularExpression", "value": brought(cookie)}
    for match in items(rule.get("matches")):
        match["headers"] = [brings, *(each for each in items(match.get("headers")) if each.get("name") != COOKIE)]
    for backend in items(rule.get("backendRefs")):
        backend["weight"] = TOTAL_WEIGHT if backend.get("name") == service else 0
    return rule


def _told(rule: Json, service: str, cookie: str) -> None:
    """Have one version's answers set a cookie."""
    for backend in items(rule.get("backendRefs")):
        if backend.get("name") == service:
            backend["filters"] = [*items(backend.get("filters")), _set_cookie(cookie)]


def _with_cookie(filters: list[Json], value: str) -> list[Json]:
    """The filters of a rule, and the cookie set; a rule has one filter at most that changes an answer's headers."""
    cookie = _set_cookie(value)
    kind, field = cookie["type"], "responseHeaderModifier"
    for each in filters:
        if each.get("type") == kind:
            cookie[field] = {**each[field], "add": [*each[field].get("add", []), *cookie[field]["add"]]}
    return [*(each for each in filters if each.get("type") != kind), cookie]


def _set_cookie(value: str) -> Json:
    header = {"name": "Set-Cookie", "value": value}
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [header]}}


def _attributes(affinity: SessionAffinity, max_age: int) -> str:
    named = (("Domain", affinity.domain), ("Path", affinity.path), ("SameSite", affinity.same_site))
    switched = (
        ("HttpOnly", affinity.http_only),
        ("Partitioned", affinity.partitioned),
        ("Secure", affinity.secure),
    )
    parts = [f"Max-Age={max_age}"]
    parts += [f"{name}={value}" for name, value in named if value]
    parts += [name for name, wanted in switched if wanted]
    return "; ".join(parts)
