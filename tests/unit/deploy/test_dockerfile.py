"""What can be said of the images without building them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]


PROGRAMS = {"Dockerfile": ("controller", "canary"), "loadtest.Dockerfile": ("loadtester", "canary-loadtest")}
"""Of each Dockerfile, the kustomization of its program and the program's name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile."""

    name: str
    value: str


@pytest.fixture(scope="module", params=sorted(PROGRAMS))
def file(request: pytest.FixtureRequest, deploy: Path) -> Path:
    return deploy / "docker" / str(request.param)


@pytest.fixture(scope="module")
def text(file: Path) -> str:
    return file.read_text()


@pytest.fixture(scope="module")
def steps(text: str) -> list[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ").splitlines()
    return [Step(*line.split(maxsplit=1)) for line in lines if line.strip()]


def values(steps: list[Step], name: str) -> list[str]:
    return [step.value for step in steps if step.name == name]


def test_every_stage_stands_on_a_version_that_is_named(steps: list[Step]) -> None:
    versions = dict(value.split("=", 1) for value in values(steps, "ARG") if "=" in value)
    bases = [value.removeprefix("--platform=$BUILDPLATFORM ") for value in values(steps, "FROM")]
    images = [re.sub(r"\$\{(\w+)\}", lambda match: versions[match[1]], base) for base in bases]
    assert len([image for image in images if image.startswith("python:")]) == 2
    for image in images:
        assert re.match(r"python:3\.\d+(\.\d+)?-slim-\w+\b|golang:1\.\d+\.\d+-\w+@", image), (
            "a version, and a system beneath"
        )


def test_the_base_is_one_and_the_same_image_for_good(deploy: Path) -> None:
    bases = {
        base
        for name in PROGRAMS
        for base in re.findall(r"^ARG PYTHON=(.*)$", (deploy / "docker" / name).read_text(), re.MULTILINE)
    }
    assert len(bases) == 1
    assert re.search(r"@sha256:[0-9a-f]{64}$", bases.pop())


def test_the_controllers_image_has_nothing_that_installs(deploy: Path) -> None:
    last_stage = (deploy / "docker/Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "pip uninstall" in last_stage
    assert last_stage.index("pip uninstall") < last_stage.index("\nUSER ")
    assert " install " not in last_stage


def test_what_is_copied_is_there_and_in_the_build_context(steps: list[Step], root: Path, file: Path) -> None:
    copied = [value.split()[:-1] for value in values(steps, "COPY") if not value.startswith("--from=")]
    ignore = file.with_name(f"{file.name}.dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    for source in (each for sources in copied for each in sources):
        assert (root / source).exists()
        assert {source, source.split("/")[0]} & kept


def test_whatever_is_installed_from_outside_is_pinned_by_hash(steps: list[Step]) -> None:
    """Debian's packages can't be: there are the newest fixes of the release, by its signature."""
    parts = [part.strip() for run in values(steps, "RUN") for part in run.split("&&")]
    installs = [part for part in parts if " install " in part and not part.startswith("apt-get install")]
    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps dist/" in install
    assert all("--no-deps --no-build-isolation" in run for run in values(steps, "RUN") if "pip wheel" in run)


def test_the_load_testers_image_has_the_real_programs_on_path(deploy: Path) -> None:
    """For hooks, for a shell, and for `kubectl exec`."""
    text = (deploy / "docker/loadtest.Dockerfile").read_text()
    last_stage = text.rpartition("\nFROM ")[2]
    (packages,) = re.findall(r"apt-get install --yes --no-install-recommends (.*) \\", last_stage)
    assert {"bats", "curl", "jq", "wrk"} <= set(packages.split())
    assert "COPY --from=programs /programs/ /usr/local/bin/" in last_stage
    built = set(re.findall(r"-o /programs/(\w+) ", text))
    assert built == {"ghz", "grpc_health_probe", "helm", "hey", "k6"}
    page = (deploy.parent / "docs/load-tester.md").read_text()
    assert all(f"`{program}`" in page for program in built | set(packages.split()) - {"ca-certificates"})


def test_every_go_program_is_of_a_module_that_pins_it_and_all_it_needs(deploy: Path, root: Path) -> None:
    text = (deploy / "docker/loadtest.Dockerfile").read_text()
    for module, package in re.findall(r"go build -C (\S+) -o \S+ (\S+)", text):
        homes = [root / "canary/sandbox/gobuild" / module, deploy / "docker/go" / module]
        (home,) = (each for each in homes if each.exists())
        required = re.findall(r"^(?:require |\t)(\S+) (v\S+)", (home / "go.mod").read_text(), re.MULTILINE)
        sums = (home / "go.sum").read_text()
        assert any(package.startswith(name) for name, _ in required)
        assert all(f"{name} {version}/go.mod h1:" in sums for name, version in required)
        assert f'"{package}"' in (home / "tools.go").read_text()


def test_each_image_is_built_with_the_list_of_its_packages_in_it(steps: list[Step], root: Path) -> None:
    """By the command that `make sbom` gives, on the environment that is copied into the image."""
    (command,) = (run for run in values(steps, "RUN") if "cyclonedx-py" in run)
    words = command.split()
    (home,) = (value.split()[1] for value in values(steps, "COPY") if value.startswith("--from=build"))
    assert words[-2:] == [f"{home}/sbom.cdx.json", f"{home}/bin/python"]
    made = re.findall(
        r"cyclonedx-py (.*?)--output-file", (root / "Makefile").read_text().replace("\\\n", ""), re.DOTALL
    )
    assert [each.split() for each in made] == [words[1 : words.index("--output-file")]]


def test_nothing_is_of_one_kind_of_processor(text: str, root: Path) -> None:
    """Both images are built for amd64 and arm64: Go programs for the one that is asked for, packages as wheels."""
    assert not re.search(r"amd64|x86_64|arm64|aarch64", text)
    for line in re.findall(r"^FROM .*golang.*$(?:\n.*)*?^WORKDIR", text, re.MULTILINE):
        assert "GOARCH=$TARGETARCH" in line
        assert "--platform=$BUILDPLATFORM" in line


@pytest.mark.parametrize("name", ["run", "run-traces", "sbom", "build"])
def test_the_pins_name_no_package_index(root: Path, name: str) -> None:
    pins = (root / f"requirements/{name}.txt").read_text()
    assert not re.search(r"https?://|^\s*-[-if]?", re.sub(r"--hash=\S+", "", pins), re.MULTILINE)
    names = re.findall(r"^(\S+)==", pins, re.MULTILINE)
    assert len(names) == len(re.findall(r"==[^\n]*\\\n    --hash=sha256:", pins))


def test_the_image_runs_exactly_what_the_tests_ran_with(root: Path) -> None:
    def pins(name: str) -> set[tuple[str, str]]:
        lines = (root / f"requirements/{name}.txt").read_text()
        return set(re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE))

    assert pins("run") < pins("run-traces") <= pins("test")


def test_the_controller_brings_one_http_client_and_twenty_seven_packages_at_most(root: Path) -> None:
    names = re.findall(r"^([\w.-]+)==", (root / "requirements/run.txt").read_text(), re.MULTILINE)
    assert "aiohttp" in names
    assert not {"httpx", "requests", "prometheus-api-client", "sniffio"} & set(names)
    # Three (cryptography, and what it stands on) sign with the keys of Google's service accounts; one judges CEL.
    assert len(names) <= 27


def test_no_index_is_written_into_the_image(text: str) -> None:
    assert not re.search(r"https?://|--index-url|--extra-index|ENV PIP_INDEX|latest", text)


def test_it_runs_its_program_as_the_user_and_on_the_port_that_the_manifests_name(
    steps: list[Step], deploy: Path, file: Path
) -> None:
    folder, program = PROGRAMS[file.name]
    deployment: Json = yaml.safe_load((deploy / f"kustomize/{folder}/deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    last_stage = steps[max(index for index, step in enumerate(steps) if step.name == "FROM") :]
    assert values(last_stage, "USER") == [
        f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    ]
    assert pod["securityContext"]["runAsUser"] > 0
    assert json.loads(values(last_stage, "ENTRYPOINT")[0]) == [program]
    assert values(last_stage, "EXPOSE") == [str(port["containerPort"]) for port in pod["containers"][0]["ports"]]
