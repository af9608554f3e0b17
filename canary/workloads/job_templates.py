"""What keeps the template of a Job from being run: what can be told of it before an API server is asked."""

from collections.abc import Iterator

from canary.api.problems import Problem
from canary.kube.types import Json, items, mapping
from canary.workloads.jobs import SHORTEST_KEPT


def problems(field: str, template: Json) -> Iterator[Problem]:
    """What is wrong with it.

    Args:
        field: where it stands.
        template: metadata and spec, as a CronJob's `jobTemplate` has them.
    """
    spec = mapping(template.get("spec"))
    pod, of_pod = mapping(mapping(spec.get("template")).get("spec")), f"{field}.spec.template.spec"
    if not items(pod.get("containers")):
        yield Problem(f"{of_pod}.containers", "is empty", "name the container whose exit code answers")
    if pod.get("restartPolicy", "Never") not in ("Never", "OnFailure"):
        yield Problem(f"{of_pod}.restartPolicy", "a Job's pods end", "write Never or OnFailure, or take it out")
    if spec.get("suspend"):
        yield Problem(f"{field}.spec.suspend", "one that is suspended never ends", "take it out")
    kept = spec.get("ttlSecondsAfterFinished")
    if isinstance(kept, int) and kept < SHORTEST_KEPT:
        message = "the Job could be gone before anybody has seen how it ended"
        remedy = f"write {SHORTEST_KEPT} or more, or take it out"
        yield Problem(f"{field}.spec.ttlSecondsAfterFinished", message, remedy)
