"""What the hub and the members of `canary sandbox up --clusters` may do: the rights of the installations here.

The sandbox is in the package, and the kustomizations are not. `python -m deploy.sandbox` writes the package's files
anew after a change of rights; with `--check` it says what differs and exits with 1.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.generated import write_or_check
from deploy.plain import KUSTOMIZE, Json, composed, objects, text

MANIFESTS = Path(__file__).parents[1] / "canary/sandbox/manifests"
_RBAC = "rbac.authorization.k8s.io/v1"
_HEAD = "# Made by `python -m deploy.sandbox`: {what}\n"


def written() -> Mapping[Path, str]:
    """Each file, with what it is to hold."""
    hub = composed({"resources": ["hub"], "components": ["components/traffic"]}, KUSTOMIZE / "fleet")
    member = [*objects(KUSTOMIZE / "traefik"), *objects(KUSTOMIZE / "fleet/member")]
    return {
        MANIFESTS / "hub.yaml": _rights("what a hub may do in its own cluster.", hub),
        MANIFESTS / "member.yaml": _rights("what a controller behind Traefik may do in a member, and a hub.", member),
    }


def _rights(what: str, made: list[Json]) -> str:
    return _HEAD.format(what=what) + text([each for each in made if each["apiVersion"] == _RBAC])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; the exit status is 1 where a check finds a difference."""
    return write_or_check(written(), "the kustomizations", arguments)


if __name__ == "__main__":
    sys.exit(main())
