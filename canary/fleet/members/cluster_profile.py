"""ClusterProfiles of SIG Multicluster: a `ClusterProfile`, and the Secret that one of its access providers reads.

Facts of the cluster inventory: the entries of `status.accessProviders`, and of the older `status.credentialProviders`
behind it, have a `name` and a `cluster` as kubeconfigs have it. A provider is a program that prints credentials; what
it is told stands in the extension `client.authentication.k8s.io/exec` of the cluster. Two of the project's own do no
more than read a Secret: `secretreader` the one called `clusterName`, with the token in `token`;
`kubeconfig-secretreader` the one called `name`, with a kubeconfig in `key`, of which it takes the user of `context`. In
place of running them the hub reads the Secret, in the ClusterProfile's namespace alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from canary.fleet.members import credentials, kubeconfig
from canary.fleet.members.base import SecretRef, Secrets, Source
from canary.fleet.members.conditions import condition, hold
from canary.fleet.members.parts import Part
from canary.kube.access import Access, Credential
from canary.kube.types import Resource

PROFILE: Final = Resource("multicluster.x-k8s.io", "v1alpha1", "clusterprofiles", "ClusterProfile")
TOKENS: Final = "secretreader"
KUBECONFIGS: Final = "kubeconfig-secretreader"
_EXTENSION: Final = "client.authentication.k8s.io/exec"


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider that reads a Secret: its name, its cluster, what it is told, and the field that names the Secret."""

    name: str
    cluster: Part
    told: Part
    secret: Part


def _secrets(profile: Part) -> tuple[SecretRef, ...]:
    provider = _provider(profile)
    namespace = provider.told.key("namespace")
    if namespace.text(profile.namespace) != profile.namespace:
        message = "is another namespace, and a ClusterProfile has no Secrets of others read"
        raise namespace.refused(message, "put the Secret beside the ClusterProfile")
    return (SecretRef(profile.namespace, provider.secret.text()),)


def _access(profile: Part, secrets: Secrets) -> Access:
    hold([condition("ControlPlaneHealthy", profile.part("status.conditions"))])
    (needed,), provider = _secrets(profile), _provider(profile)
    return kubeconfig.way(provider.cluster, _credentials(provider, secrets.data(needed, provider.secret)))


def _credentials(provider: _Provider, data: Part) -> tuple[Credential, ...]:
    if provider.name == TOKENS:
        return (credentials.token(data.key("token"), data.key("token").decoded()),)
    whole = kubeconfig.read(data.key(provider.told.key("key").text()))
    return kubeconfig.user(whole, kubeconfig.chosen(whole, provider.told.key("context").text("")))


def _provider(profile: Part) -> _Provider:
    named = {each.key("name").text(): each.key("cluster") for each in _providers(profile)}
    for name, field in ((KUBECONFIGS, "name"), (TOKENS, "clusterName")):
        if name in named:
            told = named[name].key("extensions").named(_EXTENSION).key("extension")
            return _Provider(name, named[name], told, told.key(field))
    message = f"are programs that print credentials, and a hub runs none but reads what {KUBECONFIGS} and {TOKENS} read"
    remedy = "have the cluster manager offer one of the two, or give the hub a Secret with a kubeconfig"
    raise profile.part("status.accessProviders").refused(message if named else "is empty", remedy)


def _providers(profile: Part) -> Iterator[Part]:
    """All of them; of two with one name the one that counts comes last."""
    yield from profile.part("status.credentialProviders").each()
    yield from profile.part("status.accessProviders").each()


SOURCE: Final = Source("SIG Multicluster", (PROFILE,), _access, _secrets)
