"""Write `docs/fields.md`: `python tests/tools/fields.py`; with `--check`, say what is wrong with it and exit with 1.

One row a field of the CRDs, with the tests that show that it does what it says. A test says so of itself by a marker:

    @pytest.mark.field("spec.analysis.stepWeight")                            # a field of a Canary
    @pytest.mark.field("MetricTemplate.spec.query", "AlertProvider.spec.type")  # of the other kinds
    @pytest.mark.field("spec.service.hosts", by="gatewayapi")                 # one traffic provider honours it
    @pytest.mark.field("spec.service.hosts", refused_by="traefik")            # another one refuses it by its name

In `tests/unit/fields` a parametrized test is marked by its parameters `field`, `by` and `refused_by`.
"""

import argparse
import contextlib
import difflib
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from canary.api.canary import parse_canary
from canary.api.crds import DEFINITIONS, root_schema, schema_at
from canary.api.meta import JsonObject
from canary.api.schema import plain_fields
from canary.routers.base import routed_fields
from canary.routers.registry import ROUTERS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "fields.md"
TESTS: Final = ROOT / "tests"

IN_PLACE: Final = "in place"
"""Stands where a traffic provider does, for targets that are rolled out pod by pod."""

_OLDER, _NEWER = "spec.canaryAnalysis", "spec.analysis"
_EVERY_OBJECT = frozenset({"apiVersion", "kind", "metadata"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field that holds a value of its own, not only other fields.

    Args:
        kind: the kind of resource.
        path: where it is, such as `spec.service.match[].uri.exact`; `*` stands for any name.
        says: what it says, from the CRD.
    """

    kind: str
    path: str
    says: str

    @property
    def name(self) -> str:
        """The name that markers give it."""
        return self.path if self.kind == "Canary" else f"{self.kind}.{self.path}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A test that shows what a field does.

    Args:
        field: the field's name.
        test: the test, such as `tests/unit/api/test_rules.py::test_x`.
        by: the traffic provider that honours it there; empty where that makes no difference.
        refused_by: the traffic provider that refuses it there; empty where none does.
    """

    field: str
    test: str
    by: str = ""
    refused_by: str = ""


def fields(kind: str, schema: JsonObject) -> list[Field]:
    """The fields of a kind, in the order of its schema; the older name of the analysis is one, as it is the same again.

    Raises:
        ValueError: it is not the same.
    """
    found = plain_fields(schema)
    older = {path for path in found if path.startswith(f"{_OLDER}.")}
    newer = {path for path in found if path.startswith(f"{_NEWER}.")}
    if older and {path.removeprefix(_OLDER) for path in older} != {path.removeprefix(_NEWER) for path in newer}:
        msg = f"{_OLDER} and {_NEWER} have different fields"
        raise ValueError(msg)
    kept = dict.fromkeys(_OLDER if path in older else path for path in found if path not in _EVERY_OBJECT)
    return [Field(kind, path, (found.get(path) or schema_at(schema, path))["description"]) for path in kept]


def all_fields() -> list[Field]:
    """The fields of every kind."""
    return [field for definition in DEFINITIONS for field in fields(definition.model.__name__, root_schema(definition))]


def routed() -> frozenset[str]:
    """The paths below which a field is for the traffic provider to honour, or to refuse."""
    bare = parse_canary({"metadata": {"name": "x"}, "spec": {"targetRef": {"name": "x"}}})
    return frozenset(f"spec.{path}" for path in routed_fields(bare))


def providers() -> frozenset[str]:
    """The traffic providers that there are, versions of one being one; and none, where the target divides requests."""
    return frozenset({*(name.partition(":")[0] for name in ROUTERS), IN_PLACE})


class _Collected:
    """Takes note of the markers on the tests that pytest finds."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            test = item.nodeid.partition("[")[0]
            for marker in item.iter_markers("field"):
                by, refused_by = marker.kwargs.get("by", ""), marker.kwargs.get("refused_by", "")
                self.shown += [Shown(name, test, by, refused_by) for name in marker.args]


def collect() -> list[Shown]:
    """What the tests say of themselves.

    Raises:
        RuntimeError: pytest can't find them.
    """
    marked = [
        path
        for path in sorted(TESTS.rglob("test_*.py"))
        if path.parent.name == "fields" or "mark.field(" in path.read_text(encoding="utf-8")
    ]
    collected, said = _Collected(), io.StringIO()
    quiet = ["--collect-only", "-qq", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "--override-ini=addopts="]
    options = [*quiet, "--import-mode=importlib", "--strict-markers"]
    with contextlib.redirect_stdout(said):
        code = pytest.main([*options, *map(str, marked)], plugins=[collected])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(said.getvalue())
    return list(dict.fromkeys(collected.shown))


def wrong(known: Sequence[Field], shown: Iterable[Shown]) -> list[str]:
    """What keeps the table from being whole: fields that nothing shows, and tests of fields that there are none of."""
    tests = _by_field(shown)
    strangers = tests.keys() - {field.name for field in known}
    found = [f"{name}: there is no such field, but {tests[name][0].test} is marked with it" for name in strangers]
    for field in known:
        found += _unshown(field, tests.get(field.name, []))
    return sorted(found)


def _unshown(field: Field, tests: Sequence[Shown]) -> list[str]:
    if not _is_routed(field):
        return [] if any(not each.refused_by for each in tests) else [f"{field.name}: no test shows what it does"]
    told = {each.by or each.refused_by for each in tests}
    return [f"{field.name}: no test shows that {each} honours or refuses it" for each in providers() - told]


def _is_routed(field: Field) -> bool:
    below = (*(f"{path}." for path in routed()), *(f"{path}[" for path in routed()))
    return field.kind == "Canary" and (field.path in routed() or field.path.startswith(below))


def _by_field(shown: Iterable[Shown]) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for each in shown:
        found.setdefault(each.field, []).append(each)
    return found


def render(known: Sequence[Field], shown: Iterable[Shown]) -> str:
    """The page."""
    tests = _by_field(shown)
    parts = [HEADER.format(count=len(known), tests=len({each.test for each in shown}))]
    for kind in dict.fromkeys(field.kind for field in known):
        parts.append(f"\n## {kind}\n\n| field | what it says | shown by |\n|---|---|---|\n")
        parts += [_row(field, tests.get(field.name, [])) for field in known if field.kind == kind]
    return "".join(parts)


def _row(field: Field, tests: Sequence[Shown]) -> str:
    says = field.says.replace("|", "\\|")
    return f"| `{field.path}` | {says} | {'<br>'.join(_cells(tests))} |\n"


def _cells(tests: Sequence[Shown]) -> Iterable[str]:
    """One line a test, those that show the field at work first."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for each in tests:
        groups.setdefault((bool(each.refused_by), each.test), []).append(each.refused_by or each.by)
    for (refused, test), who in sorted(groups.items()):
        named = ", ".join(sorted(set(filter(None, who))))
        lead = f"refused by {named}: " if refused else f"{named}: " if named else ""
        yield f"{lead}`{test.removeprefix('tests/')}`"


HEADER: Final = """\
# Fields, and the tests that show what they do

Made from the CRDs and the tests by `python tests/tools/fields.py`, and held against both by `make lint`: {count}
fields, and the {tests} tests (below `tests/`) that show that each does what it says. Most tests have a case for each
field, of that name. Each traffic provider has its say on what is for it to honour: it does, or it refuses the field by
its name and with a remedy. So has a target that is rolled out in place, which has no provider.
`spec.canaryAnalysis` has the same fields as `spec.analysis`.
"""


def _differences(there: str, made: str) -> str:
    before, after = there.splitlines(keepends=True), made.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, fromfile="docs/fields.md", tofile="the tests"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; the exit status is 1 where a field lacks a test, or a check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where the page differs")
    options = parser.parse_args(arguments)
    known, shown = all_fields(), collect()
    problems = wrong(known, shown)
    sys.stdout.write("".join(f"{each}\n" for each in problems))
    made = render(known, shown)
    if not options.check:
        PAGE.write_text(made, encoding="utf-8")
        return 1 if problems else 0
    differences = _differences(PAGE.read_text(encoding="utf-8") if PAGE.exists() else "", made)
    sys.stdout.write(differences)
    return 1 if problems or differences else 0


if __name__ == "__main__":
    sys.exit(main())
