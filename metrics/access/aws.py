"""Whom AWS is asked as: by keys of the Secret, or else as the controller's own role.

That role is what the environment says: keys, the token of its service account (IRSA) or an association (EKS Pod
Identity). The machine's own role is never taken: it is everybody's on that machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from metrics.access.grants import Grant, Granted
from metrics.access.own import Own
from metrics.access.sigv4 import ACCESS_KEY, SECRET_KEY, SESSION, signed
from metrics.answers import Json, raise_for_status, read_object, unexpected
from metrics.errors import MisconfiguredError
from metrics.question import Question
from metrics.wire import Headers, Request, Response

KEYS = (ACCESS_KEY, SECRET_KEY, SESSION)

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_OF_AWS = re.compile(
    r"([a-z0-9-]+\.)*(monitoring|aps-workspaces)\.[a-z0-9-]+\.((vpce\.)?amazonaws\.com(\.cn)?|api\.aws)"
    r"|[a-z0-9-]+\.[a-z0-9-]+\.es\.amazonaws\.com(\.cn)?"
)
"""The services that are asked for metrics: other hosts of that domain are anybody's, as those of API Gateway."""


def region_of(question: Question) -> str:
    """The region of a question.

    Raises:
        MisconfiguredError: there is none, or it can't be one.
    """
    if not question.region:
        raise MisconfiguredError(f"the {question.provider} provider needs a region, such as eu-west-1")
    if not _REGION.fullmatch(question.region):
        raise MisconfiguredError("the region is none of AWS'; write one such as eu-west-1")
    return question.region


def domain_of(region: str) -> str:
    """The domain of a region's services."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def needs_own(question: Question) -> bool:
    """Whether there are no keys in the Secret."""
    return not any(key in question.credentials for key in KEYS)


def own(question: Question, environment: Own, now: datetime) -> Grant | Mapping[str, str]:
    """The controller's own credentials, or how they are fetched.

    Raises:
        MisconfiguredError: it has none, or they would go elsewhere than to AWS.
    """
    named = urlsplit(question.address)
    if question.address and not (named.scheme == "https" and _OF_AWS.fullmatch(named.hostname or "")):
        msg = f"the controller's own AWS credentials go to AWS alone; name a Secret with {ACCESS_KEY} and {SECRET_KEY}"
        raise MisconfiguredError(msg)
    if "AWS_ACCESS_KEY_ID" in environment and "AWS_SECRET_ACCESS_KEY" in environment:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {name.lower(): environment[name] for name in names if environment.get(name)}
    if "AWS_ROLE_ARN" in environment and "AWS_WEB_IDENTITY_TOKEN" in environment:
        return _of_role(environment, region_of(question))
    if address := environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _of_pod(environment, address)
    msg = (
        f"the {question.provider} provider needs a Secret with {ACCESS_KEY} and {SECRET_KEY}, "
        "or a role for the controller's service account"
    )
    raise MisconfiguredError(msg)


def sealed(service: str) -> Callable[[Question, Request, datetime], Request]:
    """What signs the requests of questions that have a region.

    Args:
        service: AWS' short name of the service that is asked.
    """

    def seal(question: Question, request: Request, now: datetime) -> Request:
        if not question.region:
            return request
        region, provider = region_of(question), question.provider
        return signed(request, question.credentials, region=region, service=service, now=now, provider=provider)

    return seal


def _of_role(environment: Own, region: str) -> Grant:
    """The role of the service account (AssumeRoleWithWebIdentity of STS, API version 2011-06-15)."""
    token, role = environment["AWS_WEB_IDENTITY_TOKEN"], environment["AWS_ROLE_ARN"]
    fields = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": environment.get("AWS_ROLE_SESSION_NAME") or "canary-controller",
        "WebIdentityToken": token,
    }
    address = environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.{domain_of(region)}"
    headers = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
    request = Request("POST", f"{address.rstrip('/')}/", headers, urlencode(fields).encode())
    return Grant(request, _read_role, "AWS' token service", secrets=(token,), mine=f"{role} {address}")


def _of_pod(environment: Own, address: str) -> Grant:
    """The role that is associated with the pod (EKS Pod Identity)."""
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    headers: Headers = (("Authorization", token),) if token else ()
    request = Request("GET", address, headers, direct=True)
    return Grant(request, _read_pod, "the node's agent for roles", secrets=(token,), mine=address)


def _read_role(response: Response) -> Granted:
    raise_for_status(response, _said)
    match read_object(response):
        case {"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": dict(given)}}}:
            return _granted(given, "SessionToken", response)
    raise unexpected(response)


def _read_pod(response: Response) -> Granted:
    raise_for_status(response)
    return _granted(read_object(response), "Token", response)


def _granted(given: Json, session: str, response: Response) -> Granted:
    """Keys that hold for an hour at least: they are renewed sooner."""
    names = {ACCESS_KEY: "AccessKeyId", SECRET_KEY: "SecretAccessKey", SESSION: session}
    values = {key: given.get(name) for key, name in names.items()}
    if not all(isinstance(value, str) and value for value in values.values()):
        raise unexpected(response)
    return Granted({key: str(value) for key, value in values.items()}, timedelta(minutes=15))


def _said(answer: Json) -> object:
    match answer.get("Error"):
        case {"Message": message}:
            return message
    return None
