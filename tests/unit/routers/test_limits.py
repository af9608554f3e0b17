"""What the API server would refuse of a route is told beforehand, by the field that is to blame and with a remedy.

That the list is right is held by a test on a real API server.
"""

import pytest

from canary.api.canary import parse_canary
from canary.api.rules import problems
from canary.routers.registry import ROUTERS
from tests.tools.route_limits import CASES, Case

ROUTER = ROUTERS["gatewayapi:v1"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_is_refused_is_told_by_its_field(case: Case) -> None:
    found = ROUTER.problems(parse_canary(case.canary("shop")))
    assert {problem.field for problem in found} == ({f"spec.{case.blamed}"} if case.blamed else set())
    assert all(problem.message and problem.remedy for problem in found)


@pytest.mark.parametrize(
    ("host", "remedy"),
    [
        ("*", "take hosts out for all hosts"),
        ("shop.test:8080", "write shop.test; the port is the listener's"),
        ("Shop.test", "write shop.test"),
    ],
)
def test_a_host_is_mended_in_words(host: str, remedy: str) -> None:
    (problem,) = ROUTER.problems(parse_canary(Case("", "", {"hosts": [host]}).canary("shop")))
    assert problem.remedy == remedy


def test_what_the_analysis_says_does_not_count_where_it_is_skipped() -> None:
    made = Case("", "", {}, {"iterations": 2, "match": [{"headers": {"x y": {"exact": "a"}}}]}).canary("shop")
    made["spec"]["skipAnalysis"] = True
    assert ROUTER.problems(parse_canary(made)) == ()


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "traefik", "kubernetes"])
@pytest.mark.parametrize(("field", "name"), [("service", "my.app"), ("service", "My-app"), ("target", "my.app")])
def test_a_service_needs_a_name_without_dots(provider: str, field: str, name: str) -> None:
    """A Deployment may have some in its name, which its Services get where the spec names none."""
    made = Case("", "", {"name": name} if field == "service" else {}, {"iterations": 1}).canary("shop")
    if field == "target":
        made["spec"]["targetRef"]["name"] = name
    found = problems(parse_canary(made), provider)
    assert "spec.service.name" in {problem.field for problem in found}
