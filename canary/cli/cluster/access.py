"""The way to the cluster: where it is, in which namespace, and in one line what is in the way."""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from canary.cli.failures import FAILED, UNUSABLE, CommandError
from canary.kube.client import KubeClient
from canary.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unauthorized,
    Unreachable,
)
from canary.kube.library import ConfigError
from canary.kube.types import CANARY, CANARY_FLEET, Json, Resource, name_of, namespace_of

USER_AGENT: Final = "canary-cli"
_CANARIES: Final = ("Canaries", CANARY.group)

T = TypeVar("T")
Work = Callable[[KubeClient, str], Awaitable[T]]
"""What is done with a client, in a namespace."""


def in_cluster(arguments: argparse.Namespace, work: Work[T]) -> T:
    """Do something in the cluster that the arguments name, and close the way there again.

    Raises:
        CommandError: it can't be done.
    """
    # A warning of a connection that is tried anew would stand in the midst of a table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)

    async def run() -> T:
        async with KubeClient.connect(arguments.kubeconfig, arguments.context, user_agent=USER_AGENT) as client:
            return await work(client, arguments.namespace or client.namespace)

    try:
        return asyncio.run(run())
    except ConfigError as error:
        raise CommandError(f"no cluster: {error}; name one by --kubeconfig or KUBECONFIG") from error
    except KubeError as error:
        raise in_words(error) from error
    finally:
        logging.disable(logging.NOTSET)


def in_words(error: KubeError) -> CommandError:
    """What the API server, or the way to it, has refused; 1 where it answered, and there is nothing of that name."""
    match error:
        case NotFound() if error.is_unknown_kind:
            kinds, group = ("CanaryFleets", CANARY_FLEET.group) if CANARY_FLEET.group in error.path else _CANARIES
            return CommandError(f"the cluster has no {kinds}: the definitions of {group} are not installed there")
        case NotFound() | AlreadyExists():
            return CommandError(error.message, code=FAILED)
        case Forbidden():
            return CommandError(f"not allowed: {error.message}")
        case Unauthorized():
            return CommandError("the cluster does not accept these credentials; log in again")
        case Unreachable():
            return CommandError(f"the cluster does not answer: {error.message}")
        case Invalid():
            return CommandError(f"the cluster refuses it: {error.message}", code=FAILED)
        case Conflict():
            return CommandError("somebody else was quicker; look, and try again", code=FAILED)
    return CommandError(f"the cluster has a problem: {error.message}", code=UNUSABLE)


async def objects(client: KubeClient, resource: Resource, namespace: str | None) -> list[Json]:
    """All objects of a kind in a namespace, or in all, in the order of their names.

    Raises:
        KubeError: they can't be read.
    """
    found: list[Json] = (await client.list(resource, namespace))["items"]
    typed = [{"apiVersion": resource.api_version, "kind": resource.kind, **each} for each in found]
    return sorted(typed, key=lambda each: (namespace_of(each) or "", name_of(each)))
