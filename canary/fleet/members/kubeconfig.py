"""A kubeconfig in a Secret: what its current context leads to, without a file read or a program run."""

from typing import Final

import yaml

from canary.fleet.members import credentials
from canary.fleet.members.parts import Part
from canary.kube.access import Access, Credential

LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LARGEST: Final = 262_144
"""Characters of a kubeconfig at most: that of one cluster has some 6,000."""

_PROGRAM: Final = "is a program that gives credentials, and a hub runs none"
_FILE: Final = "is a file, and a hub reads none"
_GIVE: Final = "give a token of a ServiceAccount, or a client certificate"
_SOMEBODY_ELSE: Final = ("says to act as somebody else, and a hub does not", "give the credentials of who is meant")
_REFUSED: Final = {
    "exec": (_PROGRAM, _GIVE),
    "auth-provider": (_PROGRAM, _GIVE),
    "tokenFile": (_FILE, "write what it holds in token"),
    "as": _SOMEBODY_ELSE,
    "as-uid": _SOMEBODY_ELSE,
    "as-groups": _SOMEBODY_ELSE,
    "as-user-extra": _SOMEBODY_ELSE,
}
"""Fields of a user that a hub does not heed, and the remedies; left out in silence, some would make it stronger."""


def access(text: Part) -> Access:
    """The way that the current context of a kubeconfig is.

    Args:
        text: the kubeconfig, in base64.

    Raises:
        Refused: it leads nowhere, or by a file or a program.
    """
    whole = read(text)
    context = chosen(whole)
    return way(whole.key("clusters").named(context.key("cluster").text()).key("cluster"), user(whole, context))


def read(text: Part) -> Part:
    """A kubeconfig as what it says.

    Raises:
        Refused: it is none.
    """
    written = text.decoded()
    if len(written) > _LARGEST:
        raise text.refused(f"has more than {_LARGEST:,} characters", "write a kubeconfig of this cluster alone")
    try:
        # References within a document can make a short one endless.
        referring = any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(written, Loader=LOADER))
        value = None if referring else yaml.load(written, Loader=LOADER)  # noqa: S506 - a safe loader
    except Exception:  # noqa: BLE001 - of YAML, and of Python for values that are none; what stands there isn't told
        raise text.refused("is no YAML", "write a kubeconfig") from None
    if not isinstance(value, dict):
        raise text.refused("is no kubeconfig", "write a kubeconfig, without anchors and aliases")
    return Part(value, text.of, "", text.path)


def chosen(whole: Part, name: str = "") -> Part:
    """The context of that name, or the current one where none is asked for.

    Raises:
        Refused: there is none.
    """
    return whole.key("contexts").named(name or whole.key("current-context").text()).key("context")


def user(whole: Part, context: Part) -> tuple[Credential, ...]:
    """The credentials of the user that a context names.

    Raises:
        Refused: there are none, or they come from a file or a program.
    """
    found = whole.key("users").named(context.key("user").text()).key("user")
    for name, (message, remedy) in _REFUSED.items():
        if found.key(name).is_there:
            raise found.key(name).refused(message, remedy)
    token = found.key("token")
    return credentials.all_of(
        found,
        credentials.token(token, token.text()) if token.is_there else None,
        credentials.certificate(_inline(found, "client-certificate"), _inline(found, "client-key")),
        credentials.login(found.key("username"), found.key("password")),
    )


def way(cluster: Part, shown: tuple[Credential, ...]) -> Access:
    """The way to a cluster as kubeconfigs and ClusterProfiles write it.

    Raises:
        Refused: it can't be gone.
    """
    authority = _inline(cluster, "certificate-authority")
    return Access(
        server=credentials.server(cluster.key("server")),
        credentials=shown,
        authority=credentials.authority(authority),
        server_name=credentials.server_name(cluster.key("tls-server-name")),
        proxy=credentials.proxy(cluster.key("proxy-url")),
        verification=credentials.verification(cluster.key("insecure-skip-tls-verify"), authority),
    )


def _inline(part: Part, name: str) -> Part:
    data, file = part.key(f"{name}-data"), part.key(name)
    if file.is_there and not data.is_there:
        raise file.refused(_FILE, f"write what it holds in {name}-data, encoded with base64")
    return data
