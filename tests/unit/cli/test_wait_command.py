"""`canary wait`: its exit code is the outcome of the rollout; and `canary completion`."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from canary.cli.cluster import waiting
from canary.cli.cluster.view import View
from canary.cli.cluster.waiting import Wanted
from canary.cli.main import main
from tests.unit.cli.canaries_server import CanariesServer, Run


def status(phase: str, applied: str = "v2", promoted: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"phase": phase, "lastAppliedSpec": applied, "lastPromotedSpec": promoted, **fields}


def view(phase: str, applied: str = "v2", promoted: str = "v1", **fields: Any) -> View:
    return View({"status": status(phase, applied, promoted, **fields)}, 0, 0)


def test_it_ends_when_the_version_is_promoted(
    run: Run, server: CanariesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("shop", status=status("Progressing", canaryWeight=20))
    wait = waiting.wait

    async def promoted_once_told(client: Any, namespace: str, name: str, wanted: Wanted, limit: Any, tell: Any) -> None:
        def told(line: str) -> None:
            tell(line)
            server.put("shop", status=status("Succeeded", promoted="v2"))

        await wait(client, namespace, name, wanted, limit, told)

    monkeypatch.setattr(waiting, "wait", promoted_once_told)
    code, lines = run("wait", "shop", "--revision", "v2", "--timeout", "50s")
    assert code == 0
    assert lines == ["prod/shop Progressing 20% 2/5", "prod/shop is promoted"]


def test_a_failed_version_ends_it_at_once(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=status("Failed", message="failed checks threshold reached 2"))
    assert run("wait", "shop", "-q") == (
        1,
        ["canary wait: prod/shop: it has failed: failed checks threshold reached 2"],
    )


def test_time_has_an_end(run: Run, server: CanariesServer) -> None:
    server.put("shop", status=status("WaitingPromotion", reason="WaitingForApproval", message="gate: closed"))
    assert run("wait", "shop", "-q", "--timeout", "100ms") == (
        1,
        ["canary wait: prod/shop: not in time; it waits for approval: gate: closed"],
    )


def test_what_is_in_the_way_is_one_line_with_its_code(run: Run, server: CanariesServer) -> None:
    assert run("wait", "none") == (1, ['canary wait: canaries.flagger.app "none" not found'])
    assert run("wait", "shop", "--timeout", "soon")[0] == 2
    assert run("wait", "shop", "--for", "ever")[0] == 2
    server.refuses = (403, "Forbidden", "no")
    assert run("wait", "shop") == (2, ["canary wait: not allowed: no"])


@pytest.mark.parametrize(
    ("wanted", "seen", "reached"),
    [
        (Wanted(), view("Succeeded"), True),
        (Wanted(), view("Initialized"), True),
        (Wanted(), view("Progressing"), False),
        (Wanted(revision="v2"), view("Succeeded", promoted="v2"), True),
        (Wanted(revision="v2"), view("Succeeded", "v1", "v1"), False),
        (Wanted("Waiting"), view("Waiting"), True),
        (Wanted("Progressing", "v3"), view("Progressing"), False),
    ],
)
def test_what_is_waited_for(wanted: Wanted, seen: View, reached: bool) -> None:
    assert wanted.reached(seen) == reached


@pytest.mark.parametrize(
    ("wanted", "now", "seen", "why"),
    [
        (Wanted(), view("Failed", message="bad"), False, "it has failed: bad"),
        (Wanted("Failed"), view("Failed"), False, ""),
        (Wanted(revision="v2"), view("Failed", "v1"), False, ""),
        (Wanted(revision="v2"), view("Progressing", "v3"), True, "revision v3 came in the place of v2"),
        (Wanted(revision="v2"), view("Progressing", "v1"), False, ""),
    ],
)
def test_what_can_not_come_any_more_is_not_waited_for(wanted: Wanted, now: View, seen: bool, why: str) -> None:
    """A revision that was not seen yet may still come."""
    assert wanted.lost(now, seen=seen) == why


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_all_commands_and_their_flags(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("rehearse", "explain", "abort", "revision", "mesh-provider", "demo"):
        assert word in script
    if shell == "bash" and shutil.which("bash"):
        path = tmp_path / "script"
        asks = 'COMP_WORDS=(canary wait --rev); COMP_CWORD=2; _canary; echo "${COMPREPLY[@]}"'
        path.write_text(f"{script}\n{asks}\n")
        assert subprocess.run(["bash", path], capture_output=True, text=True, check=True).stdout == "--revision\n"
