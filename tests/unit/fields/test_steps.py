"""Conditions of written steps, from the spec to the object that the data plane reads."""

from collections.abc import Callable

import pytest

from canary.api.canary import Canary
from canary.api.traffic import Split
from canary.controller.problems import of_spec
from canary.routers import steps
from canary.routers.registry import ROUTERS
from tests.tools.routes import made

MATCH = "spec.analysis.steps[].header.match[]"
PROVIDERS: dict[str, tuple[str, dict[str, object]]] = {
    "contour": ("contour", {}),
    "gatewayapi": ("gatewayapi:v1", {"spec.service.gatewayRefs[].name": "gateway"}),
    "istio": ("istio", {}),
}
CASES: list[tuple[str, object, str, str]] = [
    ("headers.*.exact", "yes1", "contour", "yes1"),
    ("headers.*.prefix", "yes1", "istio", "yes1"),
    ("headers.*.suffix", "yes1", "contour", "yes1"),
    ("headers.*.regex", "yes1.*", "gatewayapi", "yes1.*"),
    ("queryParams.*.exact", "on1", "contour", "on1"),
    ("queryParams.*.prefix", "on1", "contour", "on1"),
    ("queryParams.*.suffix", "on1", "contour", "on1"),
    ("queryParams.*.regex", "on1.*", "gatewayapi", "on1.*"),
    ("sourceLabels", {"app": "smoke-1"}, "istio", "smoke-1"),
]


@pytest.mark.parametrize(("field", "value", "by", "word"), [(f"{MATCH}.{path}", *rest) for path, *rest in CASES])
def test_the_route_leads_those_to_the_canary_whom_the_step_chooses(
    make: Callable[..., Canary], field: str, value: object, by: str, word: str
) -> None:
    provider, spec = PROVIDERS[by]
    canary = make({"spec.provider": provider, **spec, field: value})
    problems = [each for each in of_spec(canary, provider) if "steps[0]" in each.field]
    router, chosen, nobody = ROUTERS[provider], Split(100, matched=True, header=1), Split(0)

    assert problems == []
    assert word in str(made(router, steps.led(canary, chosen), chosen))
    assert word not in str(made(router, steps.led(canary, nobody), nobody))
