"""The way to one API server: its address, TLS, and credentials that stay fresh."""

import asyncio
import binascii
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog
import yaml
from yarl import URL

from canary.kube import library
from canary.kube.library import ConfigError, Configuration, Loader

log = structlog.get_logger(__name__)

_RELOAD_EVERY = 60.0
_KUBECONFIG = "KUBECONFIG"
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


_PROBE_AFTER = 15
_PROBE_EVERY = 5
_DEAD_AFTER = 30
"""Seconds: of silence before a connection is probed, between probes, and until it is dead where nothing comes back."""


def watch_over(response: aiohttp.ClientResponse) -> None:
    """Have the kernel find out whether the other end of a stream that may be silent for long still lives.

    A dead connection then breaks, in about half a minute, where its reader would wait for hours.
    """
    transport = response.connection.transport if response.connection is not None else None
    connected = transport.get_extra_info("socket") if transport is not None else None
    if connected is None or connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Not all systems have all of them.
    for option, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER),
        ("TCP_KEEPINTVL", _PROBE_EVERY),
        ("TCP_KEEPCNT", (_DEAD_AFTER - _PROBE_AFTER) // _PROBE_EVERY),
        ("TCP_USER_TIMEOUT", _DEAD_AFTER * 1000),
    ):
        if hasattr(socket, option):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


@dataclass(slots=True)
class Connection:
    """An open HTTP session to one API server.

    Attributes:
        session: The session; closed by `close`.
        configuration: The library's configuration: address and credentials.
        renew: Loads credentials anew at once, where they can be.
        namespace: The namespace that the kubeconfig's context names, or the pod's own; empty where nobody says.
    """

    session: aiohttp.ClientSession
    configuration: Configuration
    renew: Callable[[], Awaitable[bool]]
    namespace: str = ""
    _base: str = field(init=False)
    _entry: dict[str, str] = field(init=False, repr=False)
    _options: dict[str, object] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._base = self.configuration.host.rstrip("/")
        name = self.configuration.tls_server_name
        entry = self.configuration.proxy_headers
        # What lets one into the proxy goes to the proxy; where no TLS is in between, with the request.
        self._entry = dict(entry or {}) if self._base.startswith("http:") else {}
        self._options = {"proxy_headers": entry} if entry else {}
        if name:
            self._options["server_hostname"] = name

    async def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Send one request and return the answer's head; its body is still to be read.

        Args:
            method: HTTP method.
            target: Path and query, percent-encoded.
            headers: Headers besides the authorization, which is added here.
            body: The request's body.

        Raises:
            aiohttp.ClientError: The connection failed.
            OSError: The connection failed.
            ConfigError: The credentials couldn't be read.
        """
        authorization = await self._authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        return await self.session.request(
            method,
            URL(self._base + target, encoded=True),
            headers={**headers, **self._entry},
            data=body,
            timeout=_NO_TIMEOUT,
            allow_redirects=False,
            **self._options,  # type: ignore[arg-type]  # options by name
        )

    async def _authorization(self) -> str | None:
        if "BearerToken" not in self.configuration.api_key:
            return None
        return await self.configuration.get_api_key_with_prefix("BearerToken")

    async def close(self) -> None:
        """Close the session and its connections, those that were given up in mid-request too."""
        await self.session.close()
        if self._base.startswith("https:"):
            await asyncio.sleep(_GOODBYE)


# Over TLS a connection that is given up ends once the server has answered to it; nobody tells when. A loop that ends
# before leaves its socket open. In seconds.
_GOODBYE = 0.1

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

# Deadlines are set around whole exchanges, by the client and the watches.
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0)


async def open_connection(kubeconfig: Path | None = None, context: str | None = None) -> Connection:
    """Connect by a kubeconfig, else by the pod's service account, else by the user's own kubeconfig.

    Args:
        kubeconfig: The file; None inside a pod, or for ``KUBECONFIG`` and ``~/.kube/config``.
        context: Context within the kubeconfig; None for its current one.

    Raises:
        ConfigError: There is no usable configuration.
    """
    configuration = library.new_configuration()
    if kubeconfig is None and context is None and os.environ.get(_IN_CLUSTER):
        library.load_incluster(configuration)
        return Connection(library.open_session(configuration), configuration, _cannot_renew, _own_namespace())
    path = _kubeconfig_path(kubeconfig)
    try:
        loader = await library.load_kubeconfig(configuration, path, context)
        session = library.open_session(configuration)
    except ConfigError:
        raise
    except Exception as error:  # of YAML, TLS, a plugin, the system: the library lets out whatever comes
        raise ConfigError(f"{path}: {_why_unusable(error)}") from error
    renew = _Reload(loader, configuration).at_once
    return Connection(session, configuration, renew, library.namespace_of(loader))


def _own_namespace() -> str:
    """The namespace of the pod that this runs in."""
    return _SERVICE_ACCOUNT.read_text(encoding="utf-8").strip() if _SERVICE_ACCOUNT.is_file() else ""


def _why_unusable(error: Exception) -> str:
    """Why a kubeconfig can't be used; never what stands in it, which lets one in."""
    match error:
        case UnicodeError():
            return "it is no text in UTF-8"
        case ssl.SSLError():
            return f"a certificate or key in it can't be used: {error.reason or error.strerror or error}"
        case OSError():
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        case yaml.MarkedYAMLError() if error.problem_mark is not None:
            mark = error.problem_mark
            return f"it is no YAML: line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
        case RecursionError() | yaml.YAMLError():
            return "it is no YAML"
        case binascii.Error():
            return f"a certificate or key in it is no base64: {error}"
    return "it is no kubeconfig"


def open_plain(url: str) -> Connection:
    """Connect to an API server that asks for no credentials, such as a test's own."""
    configuration = library.new_configuration(url)
    return Connection(library.open_session(configuration), configuration, _cannot_renew)


def _kubeconfig_path(kubeconfig: Path | None) -> str:
    if kubeconfig is not None:
        return str(kubeconfig)
    return os.environ.get(_KUBECONFIG) or str(Path("~/.kube/config").expanduser())


async def _cannot_renew() -> bool:
    return False


class _Reload:
    """Keeps a kubeconfig's credentials fresh: token files, exec plugins and OIDC, once a minute and on demand.

    The library decides what has expired: a plugin runs again only when its credential says so.
    """

    def __init__(self, loader: Loader, configuration: Configuration) -> None:
        self._loader = loader
        self._configuration = configuration
        self._loaded = asyncio.get_running_loop().time()
        self._running: asyncio.Task[None] | None = None
        configuration.refresh_api_key_hook = self._when_due

    async def at_once(self) -> bool:
        """Load credentials now; tell whether they changed."""
        before = self._configuration.api_key.get("BearerToken")
        await self._reload()
        return self._configuration.api_key.get("BearerToken") != before

    async def _when_due(self, _: Configuration) -> None:
        if asyncio.get_running_loop().time() - self._loaded >= _RELOAD_EVERY:
            await self._reload()

    async def _reload(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._load())
        # Shielded, because all requests wait for the one load, and any of them may give up.
        await asyncio.shield(self._running)

    async def _load(self) -> None:
        try:
            await self._loader.load_and_set(self._configuration)
        except Exception as error:
            # The credentials at hand may still be good; the server says 401 where they aren't.
            log.warning("credentials could not be loaded anew", error=str(error), exc_info=True)
        finally:
            self._loaded = asyncio.get_running_loop().time()
            self._running = None
