"""KubeFed: a `KubeFedCluster`, and the Secret with its token.

Facts of KubeFed, which is retired: `spec.apiEndpoint` may be an address or HOST[:PORT]; `spec.caBundle` is in base64;
the Secret of `spec.secretRef` is in the same namespace, with the token in `token`; `spec.disabledTLSValidations` has
`*`, or `SubjectName` and `ValidityPeriod`. Its controller sets `Ready` to False or `Offline` to True where it asks in
vain, and `ConfigMalformed` to True where it can't make a client; where it runs no more, they stay as they were.
"""

from typing import Final

from canary.fleet.members import credentials
from canary.fleet.members.base import SecretRef, Secrets, Source
from canary.fleet.members.conditions import condition, hold
from canary.fleet.members.parts import Part
from canary.kube.access import Access, Verification
from canary.kube.types import Resource

CLUSTER: Final = Resource("core.kubefed.io", "v1beta1", "kubefedclusters", "KubeFedCluster")
_LESS: Final = {"*": Verification.NONE, "SubjectName": Verification.ANY_NAME}


def _secrets(cluster: Part) -> tuple[SecretRef, ...]:
    return (SecretRef(cluster.namespace, cluster.part("spec.secretRef.name").text()),)


def _access(cluster: Part, secrets: Secrets) -> Access:
    conditions = cluster.part("status.conditions")
    hold([condition("Ready", conditions)])
    hold([condition(each, conditions) for each in ("Offline", "ConfigMalformed")], "False")
    (needed,) = _secrets(cluster)
    token = secrets.data(needed, cluster.part("spec.secretRef.name")).key("token")
    return Access(
        server=credentials.server(_endpoint(cluster.part("spec.apiEndpoint"))),
        credentials=(credentials.token(token, token.decoded()),),
        authority=credentials.authority(cluster.part("spec.caBundle")),
        proxy=credentials.proxy(cluster.part("spec.proxyURL")),
        verification=_verification(cluster.part("spec.disabledTLSValidations")),
    )


def _endpoint(part: Part) -> Part:
    address = part.text()
    return part if "://" in address else Part(f"https://{address}", part.of, part.path)


def _verification(part: Part) -> Verification:
    named = [(each, each.text()) for each in part.each()]
    for each, name in named:
        if name not in _LESS:
            raise each.refused("is a check that a hub does not leave out", "take it out, and renew the certificate")
    found = {_LESS[name] for _, name in named}
    return next((each for each in (Verification.NONE, Verification.ANY_NAME) if each in found), Verification.WHOLE)


SOURCE: Final = Source("KubeFed", (CLUSTER,), _access, _secrets)
