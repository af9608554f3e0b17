"""Ways to an API server: kubeconfig, service account, credentials that change, and what importing it all costs."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from canary.kube import library
from canary.kube.client import KubeClient
from canary.kube.connection import open_connection
from canary.kube.errors import Unreachable
from canary.kube.library import ConfigError
from canary.kube.types import CANARY

if TYPE_CHECKING:
    from tests.unit.kube.conftest import ApiServer

Json = dict[str, Any]


@pytest.fixture
def kubeconfig(api: "ApiServer", tmp_path: Path) -> Callable[[Json], Path]:
    """Write a kubeconfig for the test's server with a user as given."""

    def write(user: Json) -> Path:
        path = tmp_path / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "current-context": "one",
                    "contexts": [
                        {"name": "one", "context": {"cluster": "here", "user": "me"}},
                        {"name": "two", "context": {"cluster": "elsewhere", "user": "me"}},
                    ],
                    "clusters": [
                        {"name": "here", "cluster": {"server": api.url}},
                        {"name": "elsewhere", "cluster": {"server": "http://127.0.0.1:1"}},
                    ],
                    "users": [{"name": "me", "user": user}],
                }
            )
        )
        return path

    return write


async def ask(client: KubeClient) -> None:
    await client.get(CANARY, "test", "a")


async def test_a_kubeconfigs_token_goes_with_each_request(api: "ApiServer", kubeconfig: Callable[[Json], Path]) -> None:
    api.answer({"metadata": {"name": "a"}})
    async with KubeClient.connect(kubeconfig({"token": "t1"})) as client:
        await ask(client)

    assert api.asked[0].headers["Authorization"] == "Bearer t1"


async def test_the_users_own_kubeconfig_is_the_last_resort(
    api: "ApiServer", kubeconfig: Callable[[Json], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig({"token": "t1"})))
    api.answer({"metadata": {"name": "a"}})
    async with KubeClient.connect() as client:
        await ask(client)

    assert len(api.asked) == 1


@pytest.mark.parametrize("context", ["two", "three"])
async def test_another_context_is_another_server(kubeconfig: Callable[[Json], Path], context: str) -> None:
    if context == "three":
        with pytest.raises(ConfigError, match="three"):
            await open_connection(kubeconfig({}), context)
        return
    connection = await open_connection(kubeconfig({}), context)
    await connection.close()

    assert connection.configuration.host == "http://127.0.0.1:1"


async def test_a_file_too_large_for_a_kubeconfig_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    with path.open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(ConfigError, match="more than 4,000,000 bytes"):
        async with KubeClient.connect(path):
            pass


async def test_a_missing_kubeconfig_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no kubeconfig at .*/none"):
        await open_connection(tmp_path / "none")


async def test_a_token_file_is_read_again_after_a_401(
    api: "ApiServer", kubeconfig: Callable[[Json], Path], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    api.answer({"metadata": {"name": "a"}})
    api.refuse(401, "Unauthorized")
    api.answer({"metadata": {"name": "a"}})
    async with KubeClient.connect(kubeconfig({"tokenFile": str(token)})) as client:
        await ask(client)
        token.write_text("new")
        await ask(client)

    assert [asked.headers["Authorization"] for asked in api.asked] == [
        "Bearer old",
        "Bearer old",
        "Bearer new",
    ]


async def test_an_exec_plugin_gives_the_token(
    api: "ApiServer", kubeconfig: Callable[[Json], Path], tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo x >> {tmp_path}/runs\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
        ' "status": {"token": "from-plugin"}}\'\n'
    )
    plugin.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    api.answer({"metadata": {"name": "a"}})
    api.answer({"metadata": {"name": "a"}})
    async with KubeClient.connect(kubeconfig(user)) as client:
        await ask(client)
        await ask(client)

    assert [asked.headers["Authorization"] for asked in api.asked] == ["Bearer from-plugin"] * 2
    assert (tmp_path / "runs").read_text() == "x\n"


async def test_credentials_that_cannot_be_loaded_anew_do_not_break_a_request(
    api: "ApiServer", kubeconfig: Callable[[Json], Path], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    api.refuse(401, "Unauthorized")
    connection = await open_connection(kubeconfig({"tokenFile": str(token)}))
    token.unlink()

    assert await connection.renew() is False
    assert await connection.configuration.get_api_key_with_prefix("BearerToken") == "Bearer old"
    await connection.close()


async def test_many_requests_wait_for_one_load_of_credentials(
    kubeconfig: Callable[[Json], Path], tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo x >> {tmp_path}/runs\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
        ' "status": {"token": "from-plugin"}}\'\n'
    )
    plugin.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    connection = await open_connection(kubeconfig(user))
    await asyncio.gather(*(connection.renew() for _ in range(10)))
    await connection.close()

    assert (tmp_path / "runs").read_text() == "x\n" * 2


def test_a_pod_uses_its_service_account_and_reads_a_rotated_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    authority.write_text("-")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(library._incluster, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(library._incluster, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(library._incluster, "TOKEN_REFRESH_PERIOD", library._incluster.datetime.timedelta(0))
    configuration = library.new_configuration()
    library.load_incluster(configuration)
    token.write_text("rotated")

    assert configuration.host == "https://10.0.0.1:443"
    assert asyncio.run(configuration.get_api_key_with_prefix("BearerToken")) == "Bearer rotated"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"http_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "http://proxy:3128", "no_proxy": "api.test"}, None),
        ({}, None),
    ],
)
async def test_the_environments_proxy_is_used(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert library._proxy_from_environment("http://api.test") == expected


async def through_a_proxy(scheme: str, api: "ApiServer", tmp_path: Path) -> None:
    """Ask a server through the test's own one, which is a proxy with a password."""
    path = tmp_path / "kubeconfig"
    cluster = {"server": f"{scheme}://eu.example.com", "proxy-url": api.url.replace("http://", "http://me:s3%2Fcret@")}
    contexts = [{"name": "one", "context": {"cluster": "eu", "user": "me"}}]
    clusters, users = [{"name": "eu", "cluster": cluster}], [{"name": "me", "user": {"token": "t1"}}]
    document = {"current-context": "one", "contexts": contexts, "clusters": clusters, "users": users}
    path.write_text(yaml.safe_dump(document))

    async with KubeClient.connect(path) as client:
        await ask(client)


async def test_the_password_of_a_proxy_is_not_told(api: "ApiServer", tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as raised:
        await through_a_proxy("https", api, tmp_path)

    assert f"404, message='Not Found', url='{api.url}'" in str(raised.value)


async def test_the_password_of_a_proxy_is_sent_to_it(api: "ApiServer", tmp_path: Path) -> None:
    api.answer({"metadata": {"name": "a"}})
    await through_a_proxy("http", api, tmp_path)

    login = base64.b64encode(b"me:s3/cret").decode()
    assert api.asked[0].headers["Proxy-Authorization"] == f"Basic {login}"
    assert api.asked[0].headers["Host"] == "eu.example.com"


def loaded_by(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_importing_the_client_loads_none_of_the_librarys_models() -> None:
    program = "import sys, canary.kube.client; print([n for n in sys.modules if n.startswith('kubernetes_asyncio')])"

    assert loaded_by(program) == "[]"


def test_the_whole_library_can_still_be_imported() -> None:
    program = (
        "import canary.kube.client; import kubernetes_asyncio;"
        "print(kubernetes_asyncio.client.V1Pod.__name__, kubernetes_asyncio.config.kube_config.__name__)"
    )

    assert loaded_by(program) == "V1Pod kubernetes_asyncio.config.kube_config"


def test_a_library_that_is_loaded_already_is_used_as_it_is() -> None:
    program = (
        "import kubernetes_asyncio; from canary.kube import library;"
        "print(type(library.new_configuration()) is kubernetes_asyncio.client.Configuration)"
    )

    assert loaded_by(program) == "True"
