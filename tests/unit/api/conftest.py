from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
import yaml

from canary.api.canary import Canary, parse_canary

MY_APP = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: my-app, namespace: shop, uid: 6b1f, generation: 3, resourceVersion: "12"}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: my-app}
  service: {port: 9898}
  analysis:
    interval: 1m
    threshold: 5
    maxWeight: 50
    stepWeight: 10
    metrics:
    - {name: request-success-rate, threshold: 99, interval: 1m}
    - {name: request-duration, threshold: 500, interval: 1m}
    webhooks:
    - name: load-test
      url: http://flagger-loadtester.test/
      timeout: 5s
      metadata: {type: cmd, cmd: "hey -z 1m -q 10 -c 2 http://my-app.canary:9898/"}
    - name: acceptance-test
      type: pre-rollout
      url: http://flagger-loadtester.test/
      timeout: 5s
      metadata: {type: cmd, cmd: "curl -s http://my-app-primary:9898/health | grep ok"}
"""

Change = Callable[..., dict[str, Any]]
Make = Callable[..., Canary]

_GONE = object()


def put(document: dict[str, Any], path: str, value: object) -> None:
    """Set, or with no value take out, the field at a path such as `spec.analysis.metrics.0.name`."""
    *parents, last = path.split(".")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if value is _GONE:
        del here[last]
    else:
        here[int(last) if isinstance(here, list) else last] = value


@pytest.fixture
def raw() -> Change:
    """The well-known Canary as JSON, with some fields changed: `raw({"spec.service.port": 80})`."""

    def change(changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> dict[str, Any]:
        document: dict[str, Any] = deepcopy(yaml.safe_load(MY_APP))
        for path, value in (changes or {}).items():
            put(document, path, value)
        for path in without:
            put(document, path, _GONE)
        return document

    return change


@pytest.fixture
def make(raw: Change) -> Make:
    """The well-known Canary, parsed, with some fields changed."""

    def parsed(changes: Mapping[str, object] | None = None, without: tuple[str, ...] = ()) -> Canary:
        return parse_canary(raw(changes, without))

    return parsed
