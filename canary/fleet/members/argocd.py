"""Argo CD: the Secrets by which it knows clusters.

Facts of Argo CD: such a Secret has the label `argocd.argoproj.io/secret-type: cluster`; `name` and `server` are texts,
`config` is JSON with `bearerToken`, `username` and `password`, `proxyUrl`, and `tlsClientConfig` (`caData`, `certData`
and `keyData` in base64, `insecure`, `serverName`); `execProviderConfig` and `awsAuthConfig` name programs, and come
before all others. The server `https://kubernetes.default.svc` is the cluster that Argo CD itself runs in: it reads the
authority, and without other credentials the token, from the files of its own pod.
"""

import json
from types import MappingProxyType
from typing import Final

from canary.fleet.members import credentials
from canary.fleet.members.base import Secrets, Source, itself
from canary.fleet.members.parts import Part
from canary.kube.access import Access
from canary.kube.types import SECRET

LABEL: Final = "argocd.argoproj.io/secret-type"
_ITS_OWN: Final = "https://kubernetes.default.svc"
_LONGEST_NAME: Final = 253
_PROGRAMS: Final = ("execProviderConfig", "awsAuthConfig")


def _name(secret: Part) -> str:
    """What Argo CD calls the cluster; the Secret's own name where it has no other."""
    name = secret.part("data.name").decoded("").strip()
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise secret.part("data.name").refused("is no name", f"write one line of {_LONGEST_NAME} characters at most")
    return name or secret.name


def _access(secret: Part, _: Secrets) -> Access:
    data = secret.key("data")
    address = Part(data.key("server").decoded().strip(), data.of, "data.server")
    config = _config(data.key("config"))
    for program in map(config.key, _PROGRAMS):
        if program.is_there:
            message = "has a program give credentials, and a hub runs none"
            raise program.refused(message, "give bearerToken, that of a ServiceAccount, or a client certificate")
    tls = config.key("tlsClientConfig")
    if address.value == _ITS_OWN and not tls.key("caData").is_there:
        message = "is the cluster that Argo CD runs in, which it reaches by files of its own pod"
        raise address.refused(message, f"give bearerToken and tlsClientConfig.caData in {config.within}")
    return _way(address, config, tls)


def _way(address: Part, config: Part, tls: Part) -> Access:
    token = config.key("bearerToken")
    return Access(
        server=credentials.server(address),
        credentials=credentials.all_of(
            Part(config.value, config.of, config.within),
            credentials.token(token, token.text()) if token.is_there else None,
            credentials.certificate(tls.key("certData"), tls.key("keyData")),
            credentials.login(config.key("username"), config.key("password")),
        ),
        authority=credentials.authority(tls.key("caData")),
        server_name=credentials.server_name(tls.key("serverName")),
        proxy=credentials.proxy(config.key("proxyUrl")),
        verification=credentials.verification(tls.key("insecure"), tls.key("caData")),
    )


def _config(text: Part) -> Part:
    try:
        value = json.loads(text.decoded())
    except (ValueError, RecursionError):
        raise text.refused("is no JSON", "write the object that Argo CD's documents show") from None
    if not isinstance(value, dict):
        raise text.refused("is no JSON object", "write the object that Argo CD's documents show")
    return Part(value, text.of, "", text.path)


SOURCE: Final = Source("Argo CD", (SECRET,), _access, itself, MappingProxyType({LABEL: "cluster"}), _name)
