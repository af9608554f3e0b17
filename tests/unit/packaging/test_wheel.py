"""What is installed works where nothing is but what it asks for: without this checkout, and without its test tools."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = PROJECT["project"]["name"]
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OF_EXTRAS = ("canary.sandbox.", "loadtest.")

IMPORT_ALL = """
import importlib, json, sys
from importlib.metadata import packages_distributions
from packaging.utils import canonicalize_name

wheel, allowed, names = sys.argv[1], set(json.loads(sys.argv[2])), json.loads(sys.argv[3])
owners = {top: {canonicalize_name(each) for each in found} for top, found in packages_distributions().items()}

class OnlyWhatIsAskedFor:
    def find_spec(self, name, path=None, target=None):
        if not owners.get(name.partition(".")[0], allowed) & allowed:
            raise ModuleNotFoundError(f"No module named {name!r} among what is asked for", name=name)

for name in [each for each in sys.modules if each.partition(".")[0] == "packaging"]:
    del sys.modules[name]
sys.path.insert(0, wheel)
sys.meta_path.insert(0, OnlyWhatIsAskedFor())
missing = {}
for name in names:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
    else:
        assert module.__file__.startswith(wheel), module.__file__
print(json.dumps(missing))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def asked_for(wheel: Path, *extras: str) -> set[str]:
    """The distributions that installing it with these extras brings, itself not among them."""
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    lines = metadata.read_text().partition("\n\n")[0].splitlines()
    own = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    found: set[str] = set()

    def gather(requirement: Requirement) -> None:
        name = canonicalize_name(requirement.name)
        if name == NAME:
            requires = own
        elif name in found:
            return
        else:
            found.add(name)
            try:
                requires = [Requirement(text) for text in distribution(name).requires or []]
            except PackageNotFoundError:  # of another system, or another Python
                return
        for each in requires:
            if any(
                each.marker is None or each.marker.evaluate({"extra": extra}) for extra in ["", *requirement.extras]
            ):
                gather(each)

    gather(Requirement(f"{NAME}[{','.join(extras)}]"))
    return found


def modules(wheel: Path) -> list[str]:
    """All modules but those that are programs."""
    files = [path.relative_to(wheel) for package in PACKAGES for path in (wheel / package).rglob("*.py")]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}
    return sorted(name for name in names if not name.endswith(".__main__"))


def without(wheel: Path, *extras: str) -> dict[str, str]:
    """The modules that can't be imported, each with the one that it lacks."""
    allowed = json.dumps(sorted(asked_for(wheel, *extras)))
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(wheel), allowed, json.dumps(modules(wheel))]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    missing: dict[str, str] = json.loads(told)
    return missing


def test_every_module_can_be_imported_with_what_the_extras_ask_for(wheel: Path) -> None:
    assert without(wheel, *PROJECT["project"]["optional-dependencies"]) == {}


def test_controller_load_tester_and_rehearsals_need_no_extra(wheel: Path) -> None:
    assert [name for name in without(wheel) if not name.startswith(OF_EXTRAS)] == []


def test_the_controller_alone_brings_twenty_two_packages_at_most(wheel: Path) -> None:
    assert len(asked_for(wheel)) <= 22


def pins(name: str) -> set[str]:
    """The packages of a list of requirements, each with its version."""
    return set(re.findall(r"^[\w.-]+==[^\s;]+", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))


def test_the_demo_installs_what_the_sandbox_asks_for_and_no_test_tools(wheel: Path) -> None:
    """As the tests have it, so that what is shown is what was tested."""
    assert pins("sandbox") <= pins("test")
    names = {canonicalize_name(pin.partition("==")[0]) for pin in pins("sandbox")}
    assert asked_for(wheel, "sandbox") <= names
    assert not names & {"pytest", "hypothesis", "mypy", "ruff", "blockbuster", "forbiddenfruit"}


def test_the_page_of_a_package_index_leads_nowhere_that_is_not_there(wheel: Path) -> None:
    """There are no files beside it."""
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    page = metadata.read_text().partition("\n\n")[2]
    assert "# canary-controller" in page
    assert [link for link in re.findall(r"\]\(([^)]*)\)", page) if not link.startswith("https://")] == []


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    def files(root: Path) -> set[Path]:
        found = (path.relative_to(root) for package in PACKAGES for path in (root / package).rglob("*"))
        return {path for path in found if (root / path).is_file() and "__pycache__" not in path.parts}

    assert files(wheel) == files(ROOT)
