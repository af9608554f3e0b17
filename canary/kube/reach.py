"""Connecting to an API server by a value instead of a file; see `canary.kube.access`."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from canary.kube import library
from canary.kube.access import Access, ClientCertificate, Login, Token, Verification
from canary.kube.client import DEADLINE, FIELD_MANAGER, KubeClient
from canary.kube.connection import Connection
from canary.kube.library import ConfigError
from outbound import tls
from outbound.errors import CannotAskError

_AT_ONCE: Final = 100
"""Requests to one server that may be under way at once."""


@asynccontextmanager
async def reach(
    access: Access, *, user_agent: str = FIELD_MANAGER, deadline: float = DEADLINE
) -> AsyncIterator[KubeClient]:
    """A client for the API server that a value leads to; closed at the end.

    Args:
        access: the way there.
        user_agent: name given to the server, as its audit log shows it.
        deadline: seconds that a request may take.

    Raises:
        ConfigError: it can't be used; in words that show no credentials.
    """
    connection = open_access(access)
    try:
        yield KubeClient(connection, user_agent=user_agent, deadline=deadline)
    finally:
        await connection.close()


def open_access(access: Access) -> Connection:
    """Connect as a value says. Nothing is read or written but memory; close it at the end.

    Raises:
        ConfigError: it can't be used; in words that show no credentials.
    """
    configuration = library.new_configuration(access.server)
    configuration.tls_server_name = access.server_name or None
    configuration.proxy = access.proxy.reveal() if access.proxy is not None else None
    if (header := _authorization(access)) is not None:
        configuration.api_key["BearerToken"] = header
    connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=_context(access))
    return Connection(library.session(connector, configuration), configuration, _is_as_it_is)


async def _is_as_it_is() -> bool:
    """Whether other credentials were found: they come as another value, for which another connection is made."""
    return False


def _context(access: Access) -> ssl.SSLContext:
    shown = next((each for each in access.credentials if isinstance(each, ClientCertificate)), None)
    chain, key = (shown.chain, shown.key.reveal()) if shown is not None else ("", "")
    try:
        made = tls.context(tls.Tls(access.authority, certificate=chain, key=key))
    except CannotAskError as error:
        raise ConfigError(str(error)) from None
    match access.verification:
        case Verification.ANY_NAME:
            made.check_hostname = False
        case Verification.NONE:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def _authorization(access: Access) -> str | None:
    for each in access.credentials:
        match each:
            case Token(text):
                return f"Bearer {text.reveal()}"
            case Login(user, password):
                return library.basic(user, password.reveal())
    return None
