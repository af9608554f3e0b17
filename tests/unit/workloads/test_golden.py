"""The golden files are the specification of every object that is made for a target: each states its rule."""

from pathlib import Path

import pytest
import yaml

from canary.api.canary import parse_canary
from canary.kube.types import Json
from canary.workloads import configs, services
from canary.workloads.autoscalers import AUTOSCALERS
from canary.workloads.base import Rules, SelectorLabel
from canary.workloads.deployment import Deployment

GOLDEN = Path(__file__).parent / "golden"


def cases(folder: str) -> list[object]:
    return [
        pytest.param(yaml.safe_load(path.read_text()), id=path.stem) for path in sorted((GOLDEN / folder).iterdir())
    ]


def rules_of(case: Json) -> Rules:
    return Rules(include_label_prefixes=tuple(case.get("include_label_prefixes", ())))


@pytest.mark.parametrize("case", cases("primary"))
def test_primary(case: Json) -> None:
    canary = parse_canary(case["canary"])
    made = Deployment().primary(
        case["target"],
        canary,
        tracked=case["tracked"],
        rules=rules_of(case),
        existing=case.get("existing"),
    )
    assert made == case["expected"], case["rule"]


@pytest.mark.parametrize("case", cases("configs"))
def test_configuration_copy(case: Json) -> None:
    canary = parse_canary(case["canary"])
    made = configs.primary_copy(case["object"], canary, rules=rules_of(case), existing=case.get("existing"))
    assert made == case["expected"], case["rule"]


@pytest.mark.parametrize("case", cases("autoscalers"))
def test_autoscaler_copy(case: Json) -> None:
    canary = parse_canary(case["canary"])
    kind = AUTOSCALERS[case["expected"]["kind"]]
    made = kind.primary(case["scaler"], canary, floor=case["floor"], existing=case.get("existing"))
    assert made == case["expected"], case["rule"]


@pytest.mark.parametrize("case", cases("services"))
def test_services(case: Json) -> None:
    canary = parse_canary(case["canary"])
    label = SelectorLabel(**case["label"])
    observed = {service["metadata"]["name"]: service for service in case.get("observed", [])}
    primary, follower = services.versions(canary, label, case["template"], observed)
    made = {
        "apex": services.apex(canary, label, case["template"], observed),
        "primary": primary,
        "canary": follower,
        "handed_back": services.handed_back(canary, label, case["template"], observed),
    }
    assert made == case["expected"], case["rule"]
