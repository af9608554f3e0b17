"""Kinds of wrong input: what people and machines give to commands that they can't use."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

CANARY = "apiVersion: flagger.app/v1beta1\nkind: Canary\n"
NAMED = f"{CANARY}metadata: {{name: app}}\n"
TARGET = "targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}, service: {port: 80}"

GOOD = (
    f"{NAMED}spec: {{provider: traefik, {TARGET}, analysis: {{interval: 1m, threshold: 1, stepWeight: 50,"
    " maxWeight: 50, metrics: [{name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}]}}\n"
)
"""A spec that is fine."""

TEXTS: Mapping[str, bytes] = {
    "empty": b"",
    "blank lines": b"\n \n\n",
    "a comment": b"# to be written\n",
    "latin-1": "# Grüße\nkind: Canary\n".encode("latin-1"),
    "utf-16": GOOD.encode("utf-16"),
    "a byte of no character": b"kind: \xff\n",
    "NUL": b"kind: \0\n",
    "a program": b"\x7fELF\x02\x01\x01\0\0\xf0\xe8",
    "a word": b"canary\n",
    "a number": b"42\n",
    "not a number": b".nan\n",
    "nothing in words": b"null\n",
    "a list": b"[1, 2]\n",
    "text in quotes": b'"apiVersion: flagger.app/v1beta1"\n',
    "a tab": b"kind:\n\t- Canary\n",
    "an open bracket": b"kind: [Canary\n",
    "an open quote": b'kind: "Canary\n',
    "an unknown anchor": b"kind: *canary\n",
    "a tag of Python's": b"!!python/object:collections.Counter {}\n",
    "the 13th month": b"kind: 2026-13-01\n",
    "another YAML": b"%YAML 9.9\n---\nkind: Canary\n",
    "a map as a key": b"? {a: b}\n: c\n",
    "a template of Helm's": b"{{- if .Values.canary }}\nkind: Canary\n{{- end }}\n",
    "HTML": b"<!DOCTYPE html><html><title>Sign in</title></html>\n",
    "another kind": b"apiVersion: v1\nkind: Service\nmetadata: {name: app}\n",
    "no name": f"{CANARY}spec: {{{TARGET}}}\n".encode(),
    "no spec": NAMED.encode(),
    "a spec of text": f"{NAMED}spec: promote\n".encode(),
    "a list of specs": f"{NAMED}spec: [{{{TARGET}}}]\n".encode(),
    "metadata of text": f"{CANARY}metadata: app\nspec: {{{TARGET}}}\n".encode(),
    "a name of numbers": f"{CANARY}metadata: {{name: [1]}}\nspec: {{{TARGET}}}\n".encode(),
    "no target": f"{NAMED}spec: {{service: {{port: 80}}, analysis: {{interval: 1m}}}}\n".encode(),
    "a port in words": GOOD.replace("port: 80", "port: eighty").encode(),
    "no duration": GOOD.replace("interval: 1m, threshold", "interval: soon, threshold").encode(),
    "a negative duration": GOOD.replace("interval: 1m, threshold", "interval: -1m, threshold").encode(),
    "a huge number": GOOD.replace("threshold: 1", "threshold: 999999999999").encode(),
    "an endless number": GOOD.replace("min: 99", "min: .inf").encode(),
    "metrics in a map": GOOD.replace("metrics: [", "metrics: {a: [").replace("}]}}", "}]}}}").encode(),
    "an unknown provider": GOOD.replace("traefik", "nosuch").encode(),
    "a comment without end": b"# " + b"x" * 6_000_000,
    "documents without end": b"---\na: 1\n" * 10_001,
    "nothing to measure": GOOD.replace("request-success-rate", "nosuch").encode(),
}
"""What files hold, by kind."""


def _holding(text: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        path = folder / "given.yaml"
        path.write_bytes(text)
        return str(path)

    return make


def _named(name: str) -> Callable[[Path], str]:
    return lambda folder: f"{folder}/{name}"


def _below_a_file(folder: Path) -> str:
    (folder / "file").touch()
    return f"{folder}/file/given.yaml"


def _loop(folder: Path) -> str:
    path = folder / "loop.yaml"
    path.symlink_to(path)
    return str(path)


def _socket(folder: Path) -> str:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path has to be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("given.yaml")
    finally:
        os.chdir(here)
    return f"{folder}/given.yaml"


def _folder(folder: Path) -> str:
    (folder / "folder").mkdir()
    return f"{folder}/folder"


PLACES: Mapping[str, Callable[[Path], str]] = {
    "a file": _holding(b"years of work"),
    "missing": _named("missing.yaml"),
    "in no folder": _named("nowhere/given.yaml"),
    "below a file": _below_a_file,
    "a folder": _folder,
    "a loop of links": _loop,
    "a socket": _socket,
    "without end": lambda _: "/dev/zero",
    "unreadable": lambda _: "/proc/self/mem",
    "a name too long": _named("x" * 300),
    "a path too long": _named("x/" * 3000),
    "a name of two lines": _named("a\nb.yaml"),
    "a name that is no text": _named("\udcff.yaml"),
    "no name": lambda _: "",
}
"""Places at which there is no file that can be used, by kind: each is made in a folder and named."""

FILES: Mapping[str, Callable[[Path], str]] = {**{kind: _holding(text) for kind, text in TEXTS.items()}, **PLACES}
"""The same, with files that hold what can't be used."""

VALUES = (
    *("", " ", "-1", "0", "nonsense", "\N{FULLWIDTH DIGIT NINE}", "1_0", "1e999", "nan", "\udcff", "a\nb", "\x1b[31m"),
    *("http://[::1", "http://", "https://host:99999", "9" * 5000, "x" * 5000),
)
"""What is not meant, of a flag."""
