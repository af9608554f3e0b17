"""What others read of a Canary's status: Flux, Helm 4 and kubectl by kstatus, and Argo CD by its own script.

kstatus' rules are those of `pkg/kstatus/status` in kubernetes-sigs/cli-utils (October 2025), which the three share;
Argo CD's script is run as it is, by the Lua that Argo CD embeds (5.1).
"""

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from lupa import lua51

Json = dict[str, Any]

_SCRIPT = (Path(__file__).parent / "argocd/health.lua").read_text(encoding="utf-8")


PAGE = Path(__file__).parents[2] / "docs/gitops.md"


def script(kind: str) -> str:
    """The health check for Argo CD that our page has for a kind, such as `flagger.app_Canary`."""
    name = f"resource.customizations.health.{kind}"
    blocks = PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    found = (yaml.safe_load(each.partition("```")[0]) for each in blocks if f"  {name}: |" in each)
    return str(next(found)["data"][name])


class Health(NamedTuple):
    """What Argo CD shows: Healthy, Progressing, Suspended, Degraded or Unknown, and the words beside it."""

    status: str
    message: str


def kstatus(canary: Json) -> str:
    """What kstatus says of an object: Current, InProgress, Failed or Terminating."""
    metadata, status = canary["metadata"], canary.get("status", {})
    if metadata.get("deletionTimestamp") is not None:
        return "Terminating"
    if status.get("observedGeneration", metadata.get("generation")) != metadata.get("generation"):
        return "InProgress"
    conditions = status.get("conditions", [])
    for each in conditions:
        if each["status"] == "True" and each["type"] in ("Reconciling", "Stalled"):
            return "InProgress" if each["type"] == "Reconciling" else "Failed"
    ready = [each["status"] for each in conditions if each["type"] == "Ready"]
    return "InProgress" if ready and ready[0] != "True" else "Current"


def argo(obj: Json, check: str = _SCRIPT) -> Health:
    """What a script of Argo CD says of an object: its own for Canaries, or another one.

    Raises:
        lua51.LuaError: the script ends in an error, which Argo CD shows in the place of the object's health.
    """
    lua = lua51.LuaRuntime(register_eval=False)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    found = lua.execute(check)
    return Health(str(found.status), str(found.message))
