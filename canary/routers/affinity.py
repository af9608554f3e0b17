"""Session affinity on the Gateway API: users stay on the version that the weights have sent them to, by cookies.

While the canary has traffic, answers set a cookie, and requests that bring it go where it says. Once no request is to
reach the canary any more, its cookie is taken from those who still bring it.
"""

import copy

from canary.api.analysis import SessionAffinity
from canary.api.canary import Canary
from canary.api.traffic import TOTAL_WEIGHT, Split
from canary.kube.types import Json, items

_COOKIE = "Cookie"


def sticky_rules(canary: Canary, split: Split, weighted: Json) -> list[Json]:
    """The rules of the route: those of the cookies first, the weighted one last.

    Args:
        canary: the Canary, with the status that belongs to the split.
        split: how new users are divided.
        weighted: the rule that divides them.
    """
    affinity, status = canary.analysis.session_affinity, canary.status
    if affinity is None:
        return [weighted]
    if not split.canary:
        previous = status.previous_session_affinity_cookie
        if not previous:
            return [weighted]
        farewell = _only(weighted, previous, canary.service_primary_name)
        gone = f"{previous}; Max-Age=-1" + (f"; Path={affinity.path}" if affinity.path else "")
        farewell["filters"] = _with_cookie(items(farewell.get("filters")), gone)
        return [farewell, weighted]
    if not status.session_affinity_cookie:
        return [weighted]
    divided = copy.deepcopy(weighted)
    rules = [_only(weighted, status.session_affinity_cookie, canary.service_canary_name)]
    lasting = _attributes(affinity, affinity.max_age)
    _told(divided, canary.service_canary_name, f"{status.session_affinity_cookie}; {lasting}")
    if status.primary_session_affinity_cookie:
        rules.append(_only(weighted, status.primary_session_affinity_cookie, canary.service_primary_name))
        # One interval: at the next step, with another weight, the dice are thrown anew.
        brief = _attributes(affinity, round(canary.analysis_interval.total_seconds()))
        _told(divided, canary.service_primary_name, f"{status.primary_session_affinity_cookie}; {brief}")
    return [*rules, divided]


def weighted_rule(canary: Canary, rules: list[Json]) -> list[Json]:
    """Of an observed route, the rules that say how users are divided: without those of the cookies."""
    return rules[-1:] if canary.analysis.session_affinity is not None else rules


def _only(weighted: Json, cookie: str, service: str) -> Json:
    """The rule that sends whoever brings a cookie to one version."""
    name, _, value = cookie.partition("=")
    rule = copy.deepcopy(weighted)
    brings = {"name": _COOKIE, "type": "RegularExpression", "value": f".*{name}.*{value}.*"}
    for match in items(rule.get("matches")):
        match["headers"] = [brings, *(each for each in items(match.get("headers")) if each.get("name") != _COOKIE)]
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
