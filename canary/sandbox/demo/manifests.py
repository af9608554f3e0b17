"""What the demonstration applies: the sample application, its route, its Canary."""

from canary.kube.types import Json
from canary.sandbox import addresses
from canary.sandbox.harness import application, ingress_route
from canary.sandbox.scenario import LOADTESTER, NAME, PORT, canary_of

NAMESPACE = "test"
HOST = f"{NAME}.{NAMESPACE}"
FIRST, GOOD, BAD = "1.0.0", "1.1.0", "1.2.0"
BAD_AFTER_SECONDS = 9
FAULTS = {"FAULT_AFTER": str(BAD_AFTER_SECONDS), "FAULT_ERROR_RATE": "0.3", "FAULT_LATENCY": "0.2"}
"""What is wrong with the bad version, as its environment tells it."""

_LOAD = f"hey -z 10s -q 20 -c 2 -host {HOST} http://{addresses.GATEWAY}:{PORT}/"


def canary() -> Json:
    """The Canary: steps of 10 percent every 3 seconds up to half of the requests; the third failed check ends it."""
    metrics = [
        {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "4s"},
        {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "4s"},
    ]
    check = f"curl -s http://{NAME}-canary.{NAMESPACE}:{PORT}/health | grep ok"
    webhooks = [_hook("acceptance-test", "pre-rollout", check)]
    analysis = {"interval": "3s", "threshold": 3, "stepWeight": 10, "maxWeight": 50}
    return canary_of(NAMESPACE, {**analysis, "metrics": metrics, "webhooks": webhooks}, progressDeadlineSeconds=60)


def first() -> Json:
    """The version that is there before anything is rolled out."""
    return application(NAME, NAMESPACE, FIRST)


def example() -> list[Json]:
    """Everything, for people to apply themselves; here the Canary makes the requests too."""
    own = canary()
    own["spec"]["analysis"]["webhooks"].append(_hook("load-test", "rollout", _LOAD))
    return [first(), ingress_route(NAME, NAMESPACE, HOST, PORT), own]


def _hook(name: str, kind: str, command: str) -> Json:
    return {
        "name": name,
        "type": kind,
        "url": f"{LOADTESTER}/",
        "timeout": "5s",
        "metadata": {"type": "cmd", "cmd": command},
    }
