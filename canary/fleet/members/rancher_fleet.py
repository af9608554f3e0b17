"""Fleet of Rancher: a `Cluster`, and the Secret with its kubeconfig.

Facts of Fleet: `spec.kubeConfigSecret` names a Secret with the kubeconfig in `value`, in the Cluster's own namespace or
in `spec.kubeConfigSecretNamespace`; another namespace must be one of Fleet's own, or begin with `cluster-`, so that
nobody has Secrets of others read. A cluster whose agent registered itself names none. `Imported` is False while the
kubeconfig gets Fleet nowhere; `Ready` speaks of what is deployed there.
"""

from typing import Final

from canary.fleet.members import kubeconfig
from canary.fleet.members.base import SecretRef, Secrets, Source
from canary.fleet.members.conditions import condition, hold
from canary.fleet.members.parts import Part
from canary.kube.access import Access
from canary.kube.types import Resource

CLUSTER: Final = Resource("fleet.cattle.io", "v1alpha1", "clusters", "Cluster")
_ITS_OWN: Final = frozenset(
    {
        "fleet-local",
        "fleet-default",
        "cattle-fleet-system",
        "fleet-system",
        "cattle-fleet-clusters-system",
        "fleet-clusters-system",
    }
)


def _secrets(cluster: Part) -> tuple[SecretRef, ...]:
    name, place = cluster.part("spec.kubeConfigSecret"), cluster.part("spec.kubeConfigSecretNamespace")
    if not name.is_there:
        message = "is empty: this cluster's agent registered itself, and Fleet has no way to its API server"
        raise name.refused(message, "name a Secret with a kubeconfig, or give the hub one with a label of its own")
    namespace = place.text(cluster.namespace)
    if namespace not in {cluster.namespace, *_ITS_OWN} and not namespace.startswith("cluster-"):
        message = "is none of Fleet's namespaces, and a Cluster has no Secrets of others read"
        raise place.refused(message, "leave it out, and put the Secret beside the Cluster")
    return (SecretRef(namespace, name.text()),)


def _access(cluster: Part, secrets: Secrets) -> Access:
    (needed,) = _secrets(cluster)
    hold([condition("Imported", cluster.part("status.conditions"))])
    return kubeconfig.access(secrets.data(needed, cluster.part("spec.kubeConfigSecret")).key("value"))


SOURCE: Final = Source("Fleet of Rancher", (CLUSTER,), _access, _secrets)
