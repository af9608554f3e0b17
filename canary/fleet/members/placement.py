"""Placements of KubeFed: a federated object, such as a `FederatedDeployment`, as the list of members.

Facts of KubeFed: `spec.placement.clusters` names clusters, and counts even where it is empty; without it
`spec.placement.clusterSelector` chooses them by their labels, all of them where it is empty; without either there are
none. KubeFed takes only KubeFedClusters; here members of any source are meant, as people go on with other systems.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from canary.fleet.members.base import Member, Unusable
from canary.fleet.members.parts import Part, Refused
from canary.kube.types import Json, Resource

FEDERATED_DEPLOYMENT: Final = Resource("types.kubefed.io", "v1beta1", "federateddeployments", "FederatedDeployment")

_HOLDS: Final[Mapping[str, Callable[[str | None, list[str]], bool]]] = MappingProxyType(
    {
        "In": lambda value, values: value in values,
        "NotIn": lambda value, values: value not in values,
        "Exists": lambda value, _: value is not None,
        "DoesNotExist": lambda value, _: value is None,
    }
)


def placed(federated: Json, members: Mapping[str, Member]) -> dict[str, Member] | Unusable:
    """The members that a federated object is placed on, by name, or why that can't be told.

    Args:
        federated: the object, such as a FederatedDeployment.
        members: those that there are. One that the object names and that is not among them can't be used, and says so.
    """
    whole = Part.of_object(federated)
    try:
        placement = whole.part("spec.placement")
        if placement.key("clusters").value is not None:
            return dict(_named(each, members) for each in placement.key("clusters").each())
        return _selected(placement.key("clusterSelector"), members)
    except Refused as refused:
        return Unusable(refused.of, refused.problem)


def _named(cluster: Part, members: Mapping[str, Member]) -> tuple[str, Member]:
    part = cluster.key("name")
    name = part.text()
    if name in members:
        return name, members[name]
    absent = part.refused(f"no member is called {name}", "register the cluster, or take it out of the placement")
    return name, Member(name, MappingProxyType({}), "", cluster.of, Unusable(absent.of, absent.problem))


def _selected(selector: Part, members: Mapping[str, Member]) -> dict[str, Member]:
    if selector.value is None:
        return {}
    return {name: member for name, member in members.items() if _matches(selector, member.labels)}


def _matches(selector: Part, labels: Mapping[str, str]) -> bool:
    wanted = selector.key("matchLabels")
    names = wanted.value if isinstance(wanted.value, Mapping) else {}
    same = [labels.get(name) == wanted.key(name).text() for name in names]
    return all((*same, *(_holds(each, labels) for each in selector.key("matchExpressions").each())))


def _holds(asked: Part, labels: Mapping[str, str]) -> bool:
    holds = _HOLDS.get(asked.key("operator").text())
    if holds is None:
        raise asked.key("operator").refused("is no operator", f"write one of {', '.join(_HOLDS)}")
    values = [each.text() for each in asked.key("values").each()]
    return holds(labels.get(asked.key("key").text()), values)
