"""An API server of Canaries on loopback, for commands that are run whole: list, get, watch, patch, and refusals."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
Run = Callable[..., tuple[int, list[str]]]
"""Runs a command whole: its exit code, and the lines that it wrote."""


class CanariesServer:
    """Holds Canaries, and keeps what was written.

    Attributes:
        objects: the Canaries, by namespace and name.
        beside: objects of other kinds, by the plural of their kind; any that isn't there is not installed.
        patches: what was written, each with its query.
        busy: how many times somebody else writes an object of another kind just before it is to be patched.
        refuses: the code and message that every request gets; None where they are answered.
        port: where it listens.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.beside: dict[str, list[Json]] = {}
        self.patches: list[tuple[dict[str, str], Json]] = []
        self.refuses: tuple[int, str, str] | None = None
        self.busy = 0
        self.port = 0
        self.version = 1
        self.ending = threading.Event()
        self.changed = threading.Lock()

    def put(self, name: str, namespace: str = "prod", **fields: Any) -> None:
        """Put a Canary there, as it is from now on."""
        with self.changed:
            self.version += 1
            known = self.objects.get((namespace, name), {})
            metadata = {"name": name, "namespace": namespace, "uid": "1", "resourceVersion": str(self.version)}
            metadata |= {"annotations": known.get("metadata", {}).get("annotations", {}), **fields.pop("metadata", {})}
            self.objects[namespace, name] = {
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "metadata": metadata,
                "spec": SPEC,
                **fields,
            }

    def patch(self, namespace: str, name: str, query: dict[str, str], patch: Json) -> Json:
        """Merge a patch into a Canary."""
        self.patches.append((query, deepcopy(patch)))
        found = deepcopy(self.objects[namespace, name])
        _merge(found, patch)
        self.put(name, namespace, **{key: found[key] for key in ("metadata", "spec", "status") if key in found})
        return self.objects[namespace, name]


def _merge(into: Json, patch: Json) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = value


SPEC: Json = {
    "provider": "traefik",
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
    "service": {"port": 80},
    "analysis": {"interval": "1m", "threshold": 3, "stepWeight": 10, "maxWeight": 50},
}


class Handler(BaseHTTPRequestHandler):
    """Answers as an API server does; `state` is what it holds."""

    state: CanariesServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, query = _asked(self.path)
        if self.state.refuses:
            self._refuse(*self.state.refuses)
        elif "canaries" not in path[-2:]:
            plural, namespace, name = _place(path)
            if "watch" in query:
                self._watch(lambda: _of(self.state.beside[plural], namespace, ""), query)
            else:
                self._beside(plural, namespace, name)
        elif path[-1] == "canaries":
            place = path[-2] if len(path) > 4 else None
            if "watch" in query:
                self._watch(lambda: _in(self.state, place), query)
            else:
                self._answer(_listed(self.state, place))
        else:
            key = path[-3], path[-1]
            found = self.state.objects.get(key)
            self._answer(found) if found else self._none(path[-1])

    def do_POST(self) -> None:
        path, _ = _asked(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if path[-1] == "canaries":
            self.state.put(body["metadata"]["name"], path[-2], spec=body["spec"])
            self._answer(self.state.objects[path[-2], body["metadata"]["name"]], 201)
        else:
            self._answer({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": "mia"}}}, 201)

    def do_PATCH(self) -> None:
        path, query = _asked(self.path)
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.state.refuses:
            self._refuse(*self.state.refuses)
        elif "canaries" not in path[-2:]:
            plural, namespace, name = _place(path)
            found = _of(self.state.beside.get(plural, []), namespace, name)
            if self.state.busy:
                self.state.busy -= 1
                found[0]["metadata"]["resourceVersion"] += "0"
            there = found[0]["metadata"].get("resourceVersion")
            if patch["metadata"].get("resourceVersion", there) != there:
                self._refuse(409, "Conflict", "the object has been modified")
                return
            self.state.patches.append((query, deepcopy(patch)))
            _merge(found[0], patch)
            self._answer(found[0])
        elif (path[-3], path[-1]) not in self.state.objects:
            self._none(path[-1])
        else:
            self._answer(self.state.patch(path[-3], path[-1], query, patch))

    def _beside(self, plural: str, namespace: str, name: str) -> None:
        """Objects of other kinds."""
        known = self.state.beside.get(plural)
        found = _of(known or [], namespace, name)
        if known is None:
            self._refuse(404, "NotFound", "the server could not find the requested resource")
        elif not name:
            self._answer({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": found})
        elif found:
            self._answer(found[0])
        else:
            self._refuse(404, "NotFound", f'{plural} "{name}" not found')

    def _none(self, name: str) -> None:
        self._refuse(404, "NotFound", f'canaries.flagger.app "{name}" not found')

    def _refuse(self, code: int, reason: str, message: str) -> None:
        self._answer({"kind": "Status", "code": code, "reason": reason, "message": message}, code)

    def _answer(self, body: Json, code: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _watch(self, there: Callable[[], list[Json]], query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        initial, seen = "sendInitialEvents" in query, int(query.get("resourceVersion") or 0)
        while not self.state.ending.is_set():
            with self.state.changed:
                new = [each for each in there() if int(each["metadata"]["resourceVersion"]) > seen]
                seen = self.state.version
            events = [{"type": "ADDED" if initial else "MODIFIED", "object": each} for each in new]
            if initial:
                events.append({"type": "BOOKMARK", "object": _bookmark(seen)})
                initial = False
            try:
                self.wfile.writelines(json.dumps(each).encode() + b"\n" for each in events)
                self.wfile.flush()
            except OSError:
                return
            self.state.ending.wait(0.02)


@contextmanager
def served(folder: Path) -> Iterator[CanariesServer]:
    """A server that runs, and a kubeconfig for it in a file of this folder, with namespace prod."""
    server = CanariesServer()

    handler = type("Handler", (Handler,), {"state": server})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listening.daemon_threads = False
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    write_kubeconfig(folder / "kubeconfig", server.port)
    try:
        yield server
    finally:
        server.ending.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


def _asked(target: str) -> tuple[list[str], dict[str, str]]:
    parts = urlsplit(target)
    return parts.path.strip("/").split("/"), {name: values[0] for name, values in parse_qs(parts.query).items()}


def _place(path: list[str]) -> tuple[str, str, str]:
    """The plural, the namespace and the name that a path names; empty where it names none."""
    rest = path[2:] if path[0] == "api" else path[3:]
    if rest[0] == "namespaces" and len(rest) > 2:
        return rest[2], rest[1], "".join(rest[3:4])
    return rest[0], "", "".join(rest[1:2])


def _of(known: list[Json], namespace: str, name: str) -> list[Json]:
    """Those of a namespace, or all, of a name, or of any."""
    places = [(each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in known]
    return [
        each
        for (where, called), each in zip(places, known, strict=True)
        if namespace in ("", where) and name in ("", called)
    ]


def _in(server: CanariesServer, namespace: str | None) -> list[Json]:
    return [each for (where, _), each in server.objects.items() if namespace in (None, where)]


def _bookmark(version: int) -> Json:
    """What says that all there is was sent."""
    metadata = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata}


def _listed(server: CanariesServer, namespace: str | None) -> Json:
    items = _in(server, namespace)
    bare = [{key: value for key, value in each.items() if key not in ("apiVersion", "kind")} for each in items]
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "CanaryList",
        "metadata": {"resourceVersion": str(server.version)},
        "items": bare,
    }


def write_kubeconfig(path: Path, port: int) -> None:
    """A kubeconfig of a server on loopback, whose context names a namespace."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "prod"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
