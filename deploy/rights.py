"""What each traffic provider needs of the API server, and the kustomizations that choose one: made of the providers.

`python -m deploy.rights` writes them anew after a change of `canary/routers/registry.py`; with `--check` it says what
differs and exits with 1.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from canary.admission.places import CONVERTING, PLACES, Place
from canary.api.crds import newer_version
from canary.controller.options import Admission
from canary.fleet.members.registry import SOURCES
from canary.gates import argocd, flux, rancher_fleet, registry
from canary.gates.base import Known, Reading, Starting
from canary.kube.types import Resource
from canary.routers import route_refs
from canary.routers.base import Provider
from canary.routers.registry import ALL, supported
from canary.workloads.registry import WORKLOADS
from deploy.generated import write_or_check

KUSTOMIZE = Path(__file__).with_name("kustomize")
COMPONENTS = KUSTOMIZE / "components"
SCHEMA = KUSTOMIZE.with_name("chart") / "values.schema.json"
MAKES, LEADS, READS = "list, watch, create, patch", "list, watch, patch", "list, watch"
GATES = "gates/"
"""Where the components of gates are that have one of their own."""
HUB = "canary-fleet-hub"
"""The account of a hub in its own cluster."""

_COMPONENT = """\
# Made by `python -m deploy.rights`: what traffic provider {family} takes beside what every provider does.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

_OVERLAY = """\
# Made by `python -m deploy.rights`: the controller, where {name} is the traffic provider of Canaries that name none.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../base
{components}patches:
- target:
    kind: Deployment
    name: canary-controller
  patch: |
    - op: add
      path: /spec/template/spec/containers/0/args/-
      value: --mesh-provider={name}
"""

_PATCHES = """\
patches:
- target:
    kind: ClusterRole
    name: {account}
  patch: |
"""

_OWNERS = """\
# Made by `python -m deploy.rights`. For clusters whose API server enforces rights on owner references (admission plugin
# OwnerReferencesPermissionEnforcement, as OpenShift does): there, taking an owner off an object takes the right to
# delete that object.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

_LED = """\
# Made by `python -m deploy.rights`. For Canaries that name routes of others in `spec.routeRefs`: the rights to set the
# weights in these. Take out the kinds that none of yours names, and add those that you name with `weights`.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

_GATED = """\
# Made by `python -m deploy.rights`. For gates of the kind {name}: see docs/gates.md, and who may write Canaries, before
# you take it in.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

_OF_WAVES = """\
# Made by `python -m deploy.rights`, for a hub. For gates of the kind {name} of waves: see docs/fleet.md, and who may
# write CanaryFleets, before you take it in.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""

_ADMISSION = """\
# Made by `python -m deploy.rights`: to keep the certificate of admission, and to have the API server trust it. Each
# right is to the object of that name alone.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {name}
rules:
{rules}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {name}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {name}
subjects:
- kind: ServiceAccount
  name: canary-controller
  namespace: canary-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}
  namespace: canary-system
rules:
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{name}]
  verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
  namespace: canary-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {name}
subjects:
- kind: ServiceAccount
  name: canary-controller
  namespace: canary-system
"""

_CONVERSION = """\
# Made by `python -m deploy.rights`: to have the API server trust the certificate of admission where it has Canaries
# converted. The right is to the definition of that name alone.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: canary-controller-v1beta2
rules:
{rules}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: canary-controller-v1beta2
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: canary-controller-v1beta2
subjects:
- kind: ServiceAccount
  name: canary-controller
  namespace: canary-system
"""

_CORE = '""'

_OWNED: Mapping[str, tuple[str, ...]] = {
    "apps": ("daemonsets", "deployments"),
    "autoscaling": ("horizontalpodautoscalers",),
    "keda.sh": ("scaledobjects",),
    "": ("services", "configmaps", "secrets"),
}
"""What is owned by Canaries beside the routes."""


def families() -> Mapping[str, tuple[Provider, ...]]:
    """The providers, by their names without a version."""
    names = dict.fromkeys(each.family for each in ALL)
    return {name: tuple(each for each in ALL if each.family == name) for name in names}


def needing() -> Mapping[str, tuple[Provider, ...]]:
    """Those of them that need rights of their own."""
    return {name: of for name, of in families().items() if any(rules_of(*of))}


def rules_of(*providers: Provider) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """API group, plurals and verbs, a line for each group of kinds that the providers make or read."""
    made = dict.fromkeys(kind for each in providers for kind in each.routes)
    yield from _grouped(made, MAKES)
    yield from _grouped((kind for each in providers for kind in each.sources if kind not in made), READS)


def gated() -> Mapping[str, Known]:
    """The gates that need rights of their own, by the names of their components."""
    return {each.component: each for each in registry.GATES.values() if each.component.startswith(GATES)}


def of_waves() -> Mapping[str, tuple[tuple[str, tuple[str, ...], str], ...]]:
    """What a hub needs for the gates of waves that look at objects, by the names of their components."""
    seen = {"argocd": argocd.GATE.kinds, "flux": flux.GATE.kinds, "rancher-fleet": (rancher_fleet.GIT_REPO,)}
    rights = {name: tuple(_grouped(kinds, "get")) for name, kinds in seen.items()}
    rights["rancher-fleet"] += tuple(_grouped([rancher_fleet.BUNDLE_DEPLOYMENT], "list"))
    return rights


def written() -> Mapping[Path, str]:
    """Each file, with what it is to hold."""
    made = {kind for each in ALL for kind in each.routes if kind not in WORKLOADS}
    routes = _grouped(sorted(made, key=lambda each: (each.group, each.plural)), "delete")
    owned = [(group, plurals, "delete") for group, plurals in _OWNED.items()]
    return {
        **{_component(name): _COMPONENT.format(family=name) + _patch(rules_of(*of)) for name, of in needing().items()},
        **{_overlay(name): _overlaid(name, of[0].names[0]) for name, of in families().items()},
        **{_added(name): _GATED.format(name=name.removeprefix(GATES)) + _gating(of) for name, of in gated().items()},
        **{
            KUSTOMIZE / "fleet/gates" / name / "kustomization.yaml": _OF_WAVES.format(name=name) + _patch(rules, HUB)
            for name, rules in of_waves().items()
        },
        COMPONENTS / "admission/rights.yaml": _admission(Admission(0).name),
        COMPONENTS / "v1beta2/rights.yaml": _CONVERSION.format(rules=_by_name(CONVERTING, "")),
        COMPONENTS / "v1beta2/definition/version.json": _newer(Admission(0).name),
        SCHEMA: _schema(),
        COMPONENTS / "route-refs/kustomization.yaml": _LED + _patch(_grouped(route_refs.WEIGHTS, LEADS)),
        COMPONENTS / "owner-references/kustomization.yaml": _OWNERS + _patch([*owned, *routes]),
    }


def _admission(name: str) -> str:
    return _ADMISSION.format(name=name, rules=_by_name(PLACES, name))


def _by_name(places: Iterable[Place], name: str) -> str:
    return "".join(
        f"- apiGroups: [{place.resource.group}]\n  resources: [{place.resource.plural}]\n"
        f"  resourceNames: [{place.name or name}]\n  verbs: [get, patch]\n"
        for place in places
    )


def _newer(name: str) -> str:
    """What the definition of Canaries gets, where v1beta2 is served, as a JSON patch."""
    service = {"name": name, "namespace": "canary-system", "path": "/convert", "port": 443}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": {"service": service}}
    patch = [
        {"op": "add", "path": "/spec/versions/-", "value": newer_version()},
        {"op": "add", "path": "/spec/conversion", "value": {"strategy": "Webhook", "webhook": webhook}},
    ]
    return json.dumps(patch, indent=1, ensure_ascii=False) + "\n"


def _gating(gate: Known) -> str:
    verbs = MAKES if isinstance(gate, Starting) else "list" if isinstance(gate, Reading) else READS
    return _patch(_grouped(gate.kinds, verbs))


def _added(component: str) -> Path:
    return COMPONENTS / component / "kustomization.yaml"


def _component(name: str) -> Path:
    return COMPONENTS / "providers" / name / "kustomization.yaml"


def _overlay(name: str) -> Path:
    return KUSTOMIZE / name / "kustomization.yaml"


def _overlaid(name: str, provider: str) -> str:
    components = f"components:\n- ../components/providers/{name}\n" if name in needing() else ""
    return _OVERLAY.format(name=provider, components=components)


def _schema() -> str:
    """The schema of the chart's values, with the providers that there are."""
    document = json.loads(SCHEMA.read_text())
    document["properties"]["meshProvider"] = {"enum": ["", *supported()]}
    document["properties"]["providers"] = {"type": "array", "items": {"enum": list(supported())}}
    document["properties"]["gates"] = {
        "type": "array",
        "items": {"enum": [name.removeprefix(GATES) for name in gated()]},
    }
    of_hub = document["properties"]["hub"]["properties"]
    of_hub["members"]["items"]["enum"] = sorted(SOURCES)
    of_hub["gates"]["items"]["enum"] = list(of_waves())
    return json.dumps(document, indent=2) + "\n"


def _grouped(resources: Iterable[Resource], verbs: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    groups: dict[str, list[str]] = {}
    for each in resources:
        groups.setdefault(each.group, []).append(each.plural)
    return ((group, tuple(dict.fromkeys(plurals)), verbs) for group, plurals in groups.items())


def _patch(rules: Iterable[tuple[str, tuple[str, ...], str]], account: str = "canary-controller") -> str:
    found = "".join(_rule(*each) for each in rules)
    return _PATCHES.format(account=account) + found if found else ""


def _rule(group: str, plurals: tuple[str, ...], verbs: str) -> str:
    return (
        "    - op: add\n      path: /rules/-\n      value:\n"
        f"        apiGroups: [{group or _CORE}]\n        resources: [{', '.join(plurals)}]\n        verbs: [{verbs}]\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the files; the exit status is 1 where a check finds a difference."""
    return write_or_check(written(), "the providers", arguments)


if __name__ == "__main__":
    sys.exit(main())
