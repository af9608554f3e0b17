"""Whoever does what a remedy says, word by word, comes to a spec that is accepted."""

import re
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from canary.api.canary import parse_canary
from canary.api.problems import Problem
from canary.controller.problems import of_spec

PROVIDERS = ("kubernetes", "traefik", "gatewayapi:v1")
MATCH = [{"headers": {"x-canary": {"exact": "yes"}}}]

analyses = st.fixed_dictionaries(
    {"interval": st.sampled_from(["1m", "1s", "100ms"]), "threshold": st.integers(0, 5)},
    optional={
        "stepWeight": st.sampled_from([0, 10, 100, 150]),
        "stepWeights": st.sampled_from([[], [5, 50], [50, 5], [0]]),
        "maxWeight": st.sampled_from([0, 50, 100, 120]),
        "iterations": st.sampled_from([0, 1, 10, -1, 20_000]),
        "mirror": st.booleans(),
        "mirrorWeight": st.sampled_from([0, 30, 101]),
        "match": st.sampled_from([[], MATCH]),
        "replicaRatio": st.booleans(),
        "stepWeightPromotion": st.sampled_from([0, 20]),
        "stepWeightRollback": st.sampled_from([0, 20]),
        "sessionAffinity": st.just({"cookieName": "track"}),
        "bake": st.sampled_from(["10m", "0s"]),
    },
)


def spec_of(provider: str, kind: str, analysis: dict[str, Any], *, scaled: bool) -> dict[str, Any]:
    service = {"port": 80, "gatewayRefs": [{"name": "gateway"}]} if provider == "gatewayapi:v1" else {"port": 80}
    spec: dict[str, Any] = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "app"},
        "service": service,
        "analysis": deepcopy(analysis),
    }
    if scaled:
        spec["autoscalerRef"] = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "app"}
    return spec


def problems_of(spec: dict[str, Any]) -> list[Problem]:
    return list(of_spec(parse_canary({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec}), "traefik"))


def followed(problem: Problem, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs that come of a remedy, one for each of the ways that it names and a machine can go."""
    found = []
    for way in re.split(r";? or (?=set|take|choose|roll|replicaRatio|write)|, or |; ", problem.remedy):
        made = deepcopy(spec)
        if go(way, problem, made):
            found.append(made)
    return found


def go(way: str, problem: Problem, spec: dict[str, Any]) -> bool:
    """Change a spec as it is told; False where that takes a person."""
    *path, last = problem.field.removeprefix("spec.").split(".")
    here = spec
    for part in path:
        here = here[part]
    name = last.partition("[")[0]
    number = r"(\w+) \(such as (\d+)\)"
    if way.startswith("take it out") or re.match(rf"take {name}\b", way):
        here.pop(name, None)
        for field, value in re.findall(r"set (\w+): (true|\w+)", way):
            (spec if field == "provider" else here)[field] = value == "true" or value
    elif way == "take autoscalerRef out":
        spec.pop("autoscalerRef")
    elif re.match(rf"(set )?({number}|replicaRatio: true)", way):
        here |= {field: int(value) for field, value in re.findall(number, way)}
        here |= {"replicaRatio": True} if "replicaRatio: true" in way else {}
    elif found := re.match(r"set (\w+): (\w+)$", way):
        (spec if found[1] == "provider" else here)[found[1]] = found[2] == "true" or found[2]
    elif found := re.match(r"set (\w+) in place of (\w+)(?: and (\w+))?", way):
        here.pop(found[2], None)
        here.pop(found[3], None)
        here[found[1]] = 10
    elif way == "keep one of the two":
        here.pop(name)
    elif found := re.match(r"write \d+ to (\d+)$|write (\d+\w?) or (?:more|less)$|write a duration such as (\w+)", way):
        value = found[1] or found[2] or found[3]
        here[name] = [10, 50] if "[" in last else int(value) if value.isdecimal() else value
    elif way.startswith("write more than"):
        here[name] = [10, 50]
    else:
        return False
    return True


@given(st.sampled_from(PROVIDERS), st.sampled_from(["Deployment", "DaemonSet"]), analyses, st.booleans(), st.randoms())
def test_remedies_come_to_an_end(provider: str, kind: str, analysis: dict[str, Any], scaled: bool, chance: Any) -> None:
    """Whichever way is chosen each time, and without ever being sent back to where one was."""
    spec = spec_of(provider, kind, analysis, scaled=scaled)
    seen = [spec]
    while found := problems_of(spec):
        ways = followed(found[0], spec)
        assert ways, f"nobody can do what is said: {found[0]}"
        spec = chance.choice(ways)
        assert spec not in seen, f"sent back by {found[0]}"
        seen.append(spec)
        assert len(seen) < 20


def test_no_provider_is_sent_to_what_it_refuses() -> None:
    """Weights on plain Services, and nothing at all: each way leads to a spec that is accepted at once."""
    for analysis in ({"stepWeight": 20, "maxWeight": 100}, {"stepWeights": [5, 50]}, {}):
        spec = spec_of("kubernetes", "Deployment", {"interval": "1m", "threshold": 5, **analysis}, scaled=False)
        (problem,) = problems_of(spec)
        ways = followed(problem, spec)
        assert [problems_of(way) for way in ways] == [[], []] or "stepWeights" in analysis
        assert {"iterations", "replicaRatio"} <= {field for way in ways for field in way["analysis"]}
