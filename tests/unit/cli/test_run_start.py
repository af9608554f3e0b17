"""What `canary run` is started with, and can't use: which flag it is, before anything is done."""

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from canary.cli.main import main
from canary.controller import logs

Out = pytest.CaptureFixture[str]

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"""


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "configure", lambda level, encoding: None)
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return path


def told(capsys: Out) -> str:
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n")) == ("", 1)
    return seen.err


def test_a_port_that_is_taken_is_named(kubeconfig: Path, capsys: Out) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["run", "--kubeconfig", str(kubeconfig), "--address", "127.0.0.1", "--port", port]) == 1
    assert told(capsys) == (
        f"canary run: --address 127.0.0.1 --port {port} can't be listened on: Address already in use\n"
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no such host", "Name or service not known"),
        ("x" * 300, "encoding with 'idna' codec failed"),
    ],
)
def test_an_address_that_is_not_ours_is_named(
    kubeconfig: Path, address: str, why: str, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(host: str, *_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if " " in address:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["run", "--kubeconfig", str(kubeconfig), "--address", address, "--port", "0"]) == 1
    said = told(capsys)
    assert said.startswith(f"canary run: --address {address} --port 0 can't be listened on: {why}")


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (
            '"https://127.0.0.1:1"',
            "nonsense",
            "the cluster's server is no address; write one such as https://HOST:6443",
        ),
        (
            '"https://127.0.0.1:1"',
            "https://",
            "the cluster's server is no address; write one such as https://HOST:6443",
        ),
        ('"https://127.0.0.1:1"', "5", "it is no kubeconfig"),
        (
            '1"}',
            '1", certificate-authority-data: "!!!"}',
            "a certificate or key in it can't be used: ",
        ),
        ('1"}', '1", certificate-authority-data: "a"}', "a certificate or key in it is no base64: "),
        ('1"}', '1", certificate-authority: /nowhere/ca}', "File does not exists: /nowhere/ca"),
        ("user: {}", "user: {tokenFile: /nowhere/token}", "/nowhere/token: No such file or directory"),
        (
            "user: {}",
            "user: {client-certificate-data: eA==, client-key-data: eA==}",
            "certificate or key in it can't be",
        ),
        (
            "user: {}",
            "user: {exec: {command: nosuchplugin, apiVersion: client.authentication.k8s.io/v1}}",
            "nosuchplugin: No such file or directory",
        ),
        ("current-context: here", "current-context: there", "Expected object with name there in "),
        ("users: [", "users: [,", "it is no YAML: line 7, column 9: "),
        (
            "users: [",
            "users: !mine [",
            "it is no YAML: line 7, column 8: could not determine a constructor",
        ),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_not_told_as_a_port(
    kubeconfig: Path, before: str, after: str, why: str, capsys: Out
) -> None:
    kubeconfig.write_text(KUBECONFIG.replace(before, after))
    assert main(["run", "--kubeconfig", str(kubeconfig), "--address", "127.0.0.1", "--port", "0"]) == 2
    said = told(capsys)
    assert said.startswith("canary run: no way to an API server: ")
    assert said.endswith("; see --kubeconfig\n")
    assert why in said
    assert "--port" not in said
