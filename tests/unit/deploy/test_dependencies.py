"""What `pip install` brings is what the code uses: no more, and nothing by way of another package."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

MODULES = {"pyyaml": "yaml", "python-jsonpath": "jsonpath", "python-dateutil": "dateutil"}
"""The module of each package that is not called like it."""
PART_OF = {"pydantic_core": "pydantic"}
OURS = {"canary", "metrics", "outbound", "inbound", "loadtest"}
BY_NAME = {"kubernetes_asyncio"}
"""Loaded by a text, not by an import."""
WHERE_THERE_IS_ONE = {"rich", "cryptography", "jsonpath", "cel_expr_python", "opentelemetry"}
"""Used where an extra is installed: bars on a terminal, Google's signatures, JSONPaths, CEL, traces."""


def declared(root: Path) -> set[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = {line.partition(">")[0].partition("[")[0].strip() for line in project["dependencies"]}
    return {MODULES.get(name, name.replace("-", "_")) for name in names}


def imported(files: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    # The type checker's own module, beside those of the standard library.
    return {PART_OF.get(name, name) for name in found} - {"_typeshed", *sys.stdlib_module_names} - OURS


def test_each_dependency_is_used_and_each_that_is_used_is_declared(root: Path) -> None:
    folders = ("canary", "metrics", "outbound", "inbound")
    files = [each for name in folders for each in (root / name).rglob("*.py") if "sandbox" not in each.parts]
    assert (imported(files) - WHERE_THERE_IS_ONE) | BY_NAME == declared(root)


def test_the_load_tester_needs_no_more_than_the_controller(root: Path) -> None:
    assert imported((root / "loadtest").rglob("*.py")) <= declared(root)


def test_the_controller_loads_no_second_http_client() -> None:
    code = "import sys, canary.controller.run, canary.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "aiohttp" in loaded
    assert not {"httpx", "requests", "pytest", "opentelemetry"} & set(loaded)
