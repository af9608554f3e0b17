"""Secrets with a kubeconfig and a label of ours: for clusters that nothing else here knows."""

from types import MappingProxyType
from typing import Final

from canary.fleet.members import kubeconfig
from canary.fleet.members.base import Secrets, Source, itself
from canary.fleet.members.parts import Part
from canary.kube.access import Access
from canary.kube.types import SECRET

LABEL: Final = "fleet.canary.dev/member"
VALUE: Final = "kubeconfig"
_KEYS: Final = ("kubeconfig", "value")


def _access(secret: Part, _: Secrets) -> Access:
    data = secret.key("data")
    found = [data.key(each) for each in _KEYS if data.key(each).is_there]
    if len(found) != 1:
        message = "has both kubeconfig and value" if found else "has no kubeconfig"
        raise data.refused(message, "put one kubeconfig under the key kubeconfig")
    return kubeconfig.access(found[0])


SOURCE: Final = Source("a Secret with a kubeconfig", (SECRET,), _access, itself, MappingProxyType({LABEL: VALUE}))
