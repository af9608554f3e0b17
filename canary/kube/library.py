"""What we use of kubernetes-asyncio: configuration, credentials, TLS and the HTTP session.

Importing that package the plain way loads some 770 generated model classes that we never touch (we read
and write raw JSON): 65 MB and more than a second in every process. The submodules that we do use need none
of them, so they are loaded here without their packages' ``__init__``. The process is left as it was: whoever
imports kubernetes-asyncio elsewhere gets all of it.
"""

import base64
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

_ROOT = "kubernetes_asyncio"
_CLIENT = f"{_ROOT}.client"
_USED = (
    f"{_CLIENT}.configuration",
    f"{_CLIENT}.rest",
    f"{_ROOT}.config.config_exception",
    f"{_ROOT}.config.incluster_config",
    f"{_ROOT}.config.kube_config",
)


_LARGEST = 4_000_000
"""Bytes of a kubeconfig at most: one of a thousand clusters has fewer, and the library takes its time with more."""


class Configuration(Protocol):
    """What we use of the library's configuration."""

    host: str
    ssl_ca_cert: str | None
    api_key: dict[str, str]
    proxy: str | None
    proxy_headers: dict[str, str] | None
    tls_server_name: str | None
    refresh_api_key_hook: object

    async def get_api_key_with_prefix(self, identifier: str) -> str | None:
        """Read the value for the authorization header, refreshed by the hook where that is due."""


class Loader(Protocol):
    """What we use of the library's kubeconfig loader."""

    @property
    def current_context(self) -> object:
        """The context that is used: its name, and what it names."""

    async def load_and_set(self, client_configuration: Configuration) -> None:
        """Load credentials, anew where they expired, and put them into the configuration."""


_UNUSED = "urllib3"
"""28 modules for one function of the configuration that nobody calls: passwords are put into a header elsewhere."""


def _load() -> tuple[ModuleType, ...]:
    if _ROOT in sys.modules:
        return tuple(importlib.import_module(name) for name in _USED)
    unused = sys.modules.setdefault(_UNUSED, ModuleType(_UNUSED))
    try:
        client = [_bare_package(name) for name in (_ROOT, _CLIENT)][-1]
        configuration = importlib.import_module(_USED[0])
        # The names that the configuration loaders import from the client package; they call only the first.
        vars(client).update(Configuration=configuration.Configuration, ApiClient=None)
        return tuple(importlib.import_module(name) for name in _USED)
    finally:
        if not hasattr(unused, "__path__"):
            del sys.modules[_UNUSED]
        for name in [name for name in sys.modules if name == _ROOT or name.startswith(f"{_ROOT}.")]:
            del sys.modules[name]


def _bare_package(name: str) -> ModuleType:
    """Register a package as a mere folder of modules, its ``__init__`` not run."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    return module


_configuration, _rest, _exception, _incluster, _kubeconfig = _load()

ConfigError = cast("type[Exception]", _exception.ConfigException)
"""The library's error for configuration that is missing or malformed."""


def new_configuration(host: str = "") -> Configuration:
    """Make an empty configuration, for the API server at ``host`` where given."""
    return cast("Configuration", _configuration.Configuration(host=host or None))


def namespace_of(loader: Loader) -> str:
    """The namespace that the context names which is used; empty where it names none."""
    context = loader.current_context
    named = context.get("context") if isinstance(context, dict) else None
    return str(named.get("namespace") or "") if isinstance(named, dict) else ""


def load_incluster(configuration: Configuration) -> None:
    """Configure from the pod's service account; the token is read again once a minute.

    Raises:
        ConfigError: This process isn't in a pod, or has no service account.
    """
    _incluster.load_incluster_config(client_configuration=configuration)


async def load_kubeconfig(configuration: Configuration, path: str, context: str | None) -> Loader:
    """Configure from kubeconfig files (one path, or several as in ``KUBECONFIG``).

    Raises:
        ConfigError: The file or the context is missing or malformed.
        Exception: Whatever else the library and what it uses make of a malformed one.
    """
    if not _is_there(path):
        raise ConfigError(f"no kubeconfig at {path}")
    if _size(path) > _LARGEST:
        raise ConfigError(f"{path}: it has more than {_LARGEST:,} bytes; it is no kubeconfig")
    quiet = logging.getLogger(f"{_ROOT}.config.kube_config")
    quiet.disabled = True  # it logs what it raises
    try:
        loader = await _kubeconfig.load_kube_config(
            config_file=path, context=context, client_configuration=configuration
        )
    finally:
        quiet.disabled = False
    if urlsplit(configuration.host).scheme not in {"http", "https"} or not urlsplit(configuration.host).hostname:
        raise ConfigError(f"{path}: the cluster's server is no address; write one such as https://HOST:6443")
    return cast("Loader", loader)


def _is_there(path: str) -> bool:
    return any(part.is_file() for part in _parts(path))


def _size(path: str) -> int:
    return max(part.stat().st_size for part in _parts(path) if part.is_file())


def _parts(path: str) -> list[Path]:
    return [Path(part).expanduser() for part in path.split(_kubeconfig.ENV_KUBECONFIG_PATH_SEPARATOR) if part]


def open_session(configuration: Configuration) -> aiohttp.ClientSession:
    """Open the HTTP session, with TLS and proxy as configured or as the environment says. Close it."""
    library_session = cast("aiohttp.ClientSession", _rest.RESTClientObject(configuration).pool_manager)
    connector = library_session.connector
    library_session.detach()
    return session(connector, configuration)


def session(connector: aiohttp.BaseConnector | None, configuration: Configuration) -> aiohttp.ClientSession:
    """A session on a connector, through a proxy as configured or as the environment says. Close it.

    What lets one into the proxy goes from its address, which errors tell, to the configuration's `proxy_headers`.
    """
    # The library's session looks for proxies and a netrc file at each request, which doubles its cost: 0.2 ms
    # become 0.55. They don't change while we run, so they are looked up once.
    proxy = configuration.proxy or _proxy_from_environment(configuration.host)
    address = URL(proxy) if proxy else None
    if address is not None and address.raw_user is not None:
        login = basic(address.user or "", address.password or "")
        configuration.proxy_headers = {**(configuration.proxy_headers or {}), "Proxy-Authorization": login}
    return aiohttp.ClientSession(
        connector=connector,
        proxy=address.with_user(None) if address is not None else None,
        skip_auto_headers=("Accept-Encoding", "Content-Type"),
    )


def basic(user: str, password: str) -> str:
    """The header that lets in somebody with a name and a password."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _proxy_from_environment(host: str) -> str | None:
    url = urlsplit(host)
    if proxy_bypass(url.hostname or ""):
        return None
    return getproxies().get(url.scheme)
