"""The programs of a cluster: what they inherit of whoever starts it."""

import asyncio
from pathlib import Path

import pytest

from canary.sandbox.conditions import eventually
from canary.sandbox.process import Part

LEADING = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


@pytest.mark.parametrize("variable", LEADING)
def test_no_part_is_led_to_another_cluster_by_the_shell_that_it_is_started_from(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traefik heeds these before its own flags: the gateway of a sandbox would follow a cluster of somebody else."""
    monkeypatch.setenv(variable, "theirs")
    monkeypatch.setenv("OF_THEIRS", "kept")
    assert said_by(Part("a", says, tmp_path / "a.log")) == "kept\n"
    assert said_by(Part("b", says, tmp_path / "b.log", environment={"KUBECONFIG": "own"})) == "kept own\n"


def says() -> list[str]:
    return ["sh", "-c", "echo $OF_THEIRS $KUBECONFIG $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"]


def said_by(part: Part) -> str:
    """What a program says until it ends."""
    part.launch()

    async def ended() -> bool:
        return not part.running

    asyncio.run(eventually(ended, bool, within=60))
    return part.log.read_text()
