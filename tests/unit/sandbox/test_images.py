"""What image names stand for."""

import importlib.util

import pytest

from canary.kube.types import Json
from canary.sandbox.node.images import ImageError, program_of, standing_for


@pytest.mark.parametrize(
    "image", ["sample/web:1.2", "web:1.2", "ghcr.example:5000/team/podinfo:1.2", "web:1.2@sha256:0"]
)
def test_a_sample_goes_by_its_last_name_and_its_version_by_the_tag(image: str) -> None:
    program = program_of(image)
    assert program.version == "1.2"
    assert program.arguments[-1] == "canary.sandbox.samples.web"


@pytest.mark.parametrize("name", ["web", "worker", "echo"])
def test_every_sample_is_a_module_that_is_run(name: str) -> None:
    module = program_of(f"sample/{name}:1").arguments[-1]
    assert importlib.util.find_spec(module) is not None


def test_an_image_without_a_tag_is_the_latest() -> None:
    assert program_of("sample/web").version == "latest"


def test_a_sample_takes_the_options_of_the_program_whose_place_it_takes() -> None:
    arguments = program_of("podinfo:1", ["./podinfo", "--port=9898"], ["--level=info"]).arguments
    assert arguments[-2:] == ("--port=9898", "--level=info")


def test_a_command_of_ones_own() -> None:
    assert program_of("process://sh -c 'exit 3'").arguments == ("sh", "-c", "exit 3")
    assert program_of("process://python3", (), ["-V"]).arguments == ("python3", "-V")
    assert program_of("process://python3", ["sh"], ["-c", "true"]).arguments == ("sh", "-c", "true")


@pytest.mark.parametrize("image", ["nginx:1.27", "sample/none:1", "process://"])
def test_other_images_are_not_known(image: str) -> None:
    with pytest.raises(ImageError, match=image):
        program_of(image)


@pytest.mark.parametrize(
    ("command", "probe"),
    [
        (["podcli", "check", "http", "localhost:9898/readyz"], {"httpGet": {"port": 9898, "path": "/readyz"}}),
        (["podcli", "check", "http", "http://localhost/"], {"httpGet": {"port": 80, "path": "/"}}),
        (["./podcli", "check", "http", "localhost:9898", "--retry=2"], {"httpGet": {"port": 9898, "path": "/"}}),
        (["podcli", "check", "tcp", "localhost:9898"], {"tcpSocket": {"port": 9898}}),
    ],
)
def test_a_check_of_podinfos_image_is_a_probe_of_the_pod(command: list[str], probe: Json) -> None:
    """Its program isn't here, and the pod doesn't listen at localhost; how often it is asked stays as it was."""
    given = {"exec": {"command": command}, "periodSeconds": 5}
    assert standing_for(given, "ghcr.io/stefanprodan/podinfo:6.0.0") == {**probe, "periodSeconds": 5}


@pytest.mark.parametrize("command", [[], ["test", "-f", "ready"], ["podcli"], ["podcli", "check", "http", "a:b"]])
def test_another_command_is_the_probe_that_it_is(command: list[str]) -> None:
    given = {"exec": {"command": command}}
    assert standing_for(given, "podinfo:1") == given


def test_images_of_ones_own_bring_programs_of_their_own() -> None:
    given = {"exec": {"command": ["podcli", "check", "http", "localhost:9898/readyz"]}}
    assert standing_for(given, "process://./server") == given
    assert standing_for({"grpc": {"port": 1}}, "podinfo:1") == {"grpc": {"port": 1}}
