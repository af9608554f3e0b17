"""A gateway of the sandbox is a value: its programs, and what lies in the cluster and in files for them."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from canary.cli import sandbox_command
from canary.cli.main import main
from canary.kube.types import Json, Resource
from canary.sandbox import addresses, background, binaries, daemon
from canary.sandbox.assembly import Assembly
from canary.sandbox.gateway import Gateway, Program
from canary.sandbox.gateways import FURTHER
from canary.sandbox.gateways.traefik import TRAEFIK
from canary.sandbox.instance import Instance, Status
from canary.sandbox.options import Options

GATEWAYS = (TRAEFIK, *FURTHER.values())
MANIFESTS = Path(binaries.__file__).parent / "manifests"
PLAIN = Gateway("plain", "ways", "10.0.0.99", 80, (Program("plain", "tool", ("{folder}",), "http://10.0.0.99/"),))


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    """What a cluster is made of, with its users known and its files written."""
    assembly = Assembly(Options(), tmp_path, lambda failure: None)
    for folder in (assembly.files.certificate, assembly.files.tokens, assembly.files.signing_key):
        folder.parent.mkdir(parents=True, exist_ok=True)
    assembly.files.certificate.write_text("certificate")
    assembly.write_credentials()
    assembly.write_kubeconfigs()
    return assembly


def test_places_in_files_words_and_variables_are_filled_in(assembly: Assembly, tmp_path: Path) -> None:
    words = ("--kubeconfig={kubeconfig}", "--token={token}", "--ca={certificate}", "{unknown}")
    program = Program("part", "tool", words, "http://10.0.0.99/", {"HOME": "{folder}"})
    gateway = replace(PLAIN, programs=(program,), files={"a.json": '{"folder": "{folder}"}'})
    [part] = assembly.gateway(gateway, {"tool": Path("/bin/tool")})
    user, folder = assembly.users["gateway"], tmp_path / "gateways/plain"
    assert part.name == "part"
    assert part.command() == [
        "/bin/tool",
        f"--kubeconfig={tmp_path / 'gateway.kubeconfig'}",
        f"--token={user.token}",
        f"--ca={assembly.files.certificate}",
        "{unknown}",
    ]
    assert part.environment == {"HOME": str(folder)}
    assert json.loads((folder / "a.json").read_text()) == {"folder": str(folder)}


def test_a_program_starts_after_what_must_run_before_it_and_finds_its_folders(
    assembly: Assembly, tmp_path: Path
) -> None:
    program = Program(
        "part",
        "tool",
        ("serve", "a b"),
        "http://10.0.0.99/",
        before=(("{program}", "prepare", "{folder}"), ("{python}", "-c", "")),
        places={"/certs": "{folder}/certs"},
    )
    [part] = assembly.gateway(replace(PLAIN, programs=(program,)), {"tool": Path("/bin/tool")})
    folder = tmp_path / "gateways/plain"
    command = part.command()
    end = command.index("--") + 1
    assert command[:end] == [
        *(sys.executable, "-m", "canary.sandbox.places"),
        *(f"{folder}/root", f"/certs={folder}/certs", "--"),
    ]
    script = f"/bin/tool prepare {folder} && {sys.executable} -c '' && exec /bin/tool serve 'a b'"
    assert command[end:] == ["/bin/sh", "-c", script]
    assert "PYTHONPATH" in part.environment


def test_its_programs_are_among_those_that_a_cluster_needs(tmp_path: Path) -> None:
    options = Options(gateways=(TRAEFIK, PLAIN, replace(PLAIN, name="other")))
    needed = Assembly(options, tmp_path, lambda failure: None).programs()
    assert needed.count("tool") == 1
    assert "traefik" in needed
    assert "traefik" not in Assembly(Options(gateways=()), tmp_path, lambda failure: None).programs()


def test_prometheus_scrapes_what_it_exports(assembly: Assembly, tmp_path: Path) -> None:
    job: Json = {"job_name": "plain", "static_configs": [{"targets": ["10.0.0.99:9"]}]}
    assembly.write_prometheus_config([TRAEFIK, replace(PLAIN, scraping=(job,))])
    jobs = json.loads((tmp_path / "prometheus.json").read_text())["scrape_configs"]
    assert [each["job_name"] for each in jobs] == ["traefik", "plain", "kubernetes-pods"]
    assert jobs[1] == job


def test_a_sandbox_in_the_background_has_the_same_gateways(tmp_path: Path) -> None:
    """Its options go through a file."""
    instance = Instance(tmp_path)
    options = Options(gateways=(*GATEWAYS, replace(PLAIN, objects=((Resource("", "v1", "pods", "Pod"), {"a": 1}),))))
    daemon.write_options(instance, options)
    assert daemon.read_options(instance).gateways == options.gateways


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda gateway: gateway.name)
def test_all_that_it_needs_is_there(gateway: Gateway) -> None:
    assert {*gateway.binaries} <= {*binaries.PROGRAMS, *binaries.ON_DEMAND}
    assert [name for name in gateway.schemas if not (MANIFESTS / name).is_file()] == []
    programs = gateway.programs
    words = " ".join(word for program in programs for each in (program.arguments, *program.before) for word in each)
    assert [name for name in gateway.files if f"{{folder}}/{name}" not in words] == []


def test_no_two_share_an_address_a_name_or_a_part() -> None:
    assert len({gateway.host for gateway in GATEWAYS}) == len(GATEWAYS)
    assert len({gateway.name for gateway in GATEWAYS}) == len(GATEWAYS)
    parts = [program.part for gateway in GATEWAYS for program in gateway.programs]
    assert len({*parts}) == len(parts)


def test_each_can_be_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Options] = []

    def up(options: Options, progress: binaries.Progress) -> Status:
        asked.append(options)
        return Status("ready", "", "", "")

    monkeypatch.setattr(background, "status", lambda: None)
    monkeypatch.setattr(background, "up", up)
    assert set(FURTHER) == {*sandbox_command.GATEWAYS}
    assert main(["sandbox", "up", *(f"--gateway={name}" for name in FURTHER), "--gateway=nginx"]) == 0
    assert main(["sandbox", "up"]) == 0
    assert [options.gateways for options in asked] == [GATEWAYS, (TRAEFIK,)]


def test_what_is_reachable_from_outside_has_a_name_each() -> None:
    """The first gateway is `gateway`, as it was when there was one."""
    targets = daemon.targets_of(Options(gateways=GATEWAYS))
    assert targets["gateway"] == (addresses.GATEWAY, 80)
    assert targets["contour"] == (addresses.CONTOUR, 8080)
    assert targets["nginx"] == (addresses.NGINX, 80)
    assert set(daemon.targets_of(Options(gateways=(), prometheus=False))) == {"apiserver"}
