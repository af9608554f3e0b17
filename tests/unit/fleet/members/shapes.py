"""Objects as the API server gives them, and members in the words of the golden files."""

import base64

from canary.fleet.members.base import Member
from canary.kube.access import Access, ClientCertificate, Credential, Login, Token, Verification
from canary.kube.types import Json


def as_served(obj: Json) -> Json:
    """An object as it is stored: what a Secret has as plain texts is encoded."""
    texts = obj.get("stringData", {})
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": data} if texts else rest


def told(member: Member) -> Json:
    """A member with all that is known of it, credentials too; what is empty is left out."""
    way = member.connection
    found = {"of": member.of, "labels": dict(member.labels), "warnings": list(member.warnings)}
    found |= _way(way) if isinstance(way, Access) else {"unusable": str(way)}
    return {key: value for key, value in found.items() if value or key == "labels"}


def _way(way: Access) -> Json:
    verification = "" if way.verification is Verification.WHOLE else way.verification.name
    proxy = way.proxy.reveal() if way.proxy is not None else ""
    known = {"server": way.server, "authority": way.authority, "server_name": way.server_name}
    shown = {key: value for each in way.credentials for key, value in _shown(each).items()}
    return {**known, "proxy": proxy, "verification": verification, **shown}


def _shown(credential: Credential) -> dict[str, str]:
    match credential:
        case Token(text):
            return {"token": text.reveal()}
        case ClientCertificate(chain, key):
            return {"certificate": chain, "key": key.reveal()}
        case Login(user, password):
            return {"user": user, "password": password.reveal()}
