"""Which images a workload's pods run."""

import pytest

from canary.kube.types import Json
from canary.workloads.base import images_of

PODS: Json = {
    "initContainers": [{"name": "setup", "image": "setup:1"}],
    "containers": [{"name": "web", "image": "w:1"}],
}


@pytest.mark.parametrize(
    ("workload", "images"),
    [
        ({"spec": {"template": {"spec": PODS}}}, {"web": "w:1"}),
        ({"spec": PODS}, {"web": "w:1"}),  # a Revision of Knative
        ({"spec": {"selector": {"app": "web"}}}, {}),  # a Service
        ({"spec": {"template": {"spec": {"containers": [{"name": "web"}, None, {"image": "w:1"}]}}}}, {"": "w:1"}),
        ({}, {}),
        (None, {}),
    ],
)
def test_of_each_container_by_its_name(workload: Json | None, images: dict[str, str]) -> None:
    assert images_of(workload) == images
