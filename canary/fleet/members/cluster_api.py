"""Cluster API: a `Cluster`, and the Secret with its kubeconfig.

Facts of Cluster API: the control plane's provider keeps the Secret `NAME-kubeconfig` in the Cluster's namespace, with
the kubeconfig in `value`, and renews its client certificate in time. `ControlPlaneInitialized` is True once the API
server takes requests, and stays so. It stands in `status.conditions` of v1beta2, in `status.v1beta2.conditions` of
v1beta1, and also among the older conditions: `status.conditions` of v1beta1, `status.deprecated.v1beta1.conditions` of
v1beta2. `Ready` and `Available` turn False while machines are replaced, which keeps nobody from using the cluster.
`RemoteConnectionProbe` tells of Cluster API's own connection, and stays False after an outage of about a minute until
something else about the Cluster changes (v1.14.2): a hub finds out by itself what it reaches.
"""

from typing import Final

from canary.fleet.members import kubeconfig
from canary.fleet.members.base import SecretRef, Secrets, Source
from canary.fleet.members.conditions import condition, hold
from canary.fleet.members.parts import Part
from canary.kube.access import Access
from canary.kube.types import Resource

CLUSTER: Final = Resource("cluster.x-k8s.io", "v1beta2", "clusters", "Cluster", earlier=("v1beta1",))
_CONDITIONS: Final = ("status.v1beta2.conditions", "status.conditions", "status.deprecated.v1beta1.conditions")


def _secrets(cluster: Part) -> tuple[SecretRef, ...]:
    return (SecretRef(cluster.namespace, f"{cluster.name}-kubeconfig"),)


def _access(cluster: Part, secrets: Secrets) -> Access:
    lists = [cluster.part(each) for each in _CONDITIONS]
    initialized = condition("ControlPlaneInitialized", *lists)
    if initialized is None:
        message = "has no condition ControlPlaneInitialized: the control plane is not up yet"
        raise cluster.part("status.conditions").refused(message, "wait until Cluster API has made the cluster")
    hold([initialized])
    (needed,) = _secrets(cluster)
    return kubeconfig.access(secrets.data(needed, cluster.part("metadata.name")).key("value"))


SOURCE: Final = Source("Cluster API", (CLUSTER,), _access, _secrets)
