import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.gates import Gate, GateFileError, Gates, Kind, from_text, to_text

GATE = Gate(Kind.GATE, "test", "podinfo")


async def test_a_gate_is_closed_until_opened_and_again_when_closed() -> None:
    gates = Gates()

    assert not gates.is_open(GATE)
    await gates.open(GATE)
    assert gates.is_open(GATE)
    await gates.close(GATE)
    assert not gates.is_open(GATE)


async def test_gates_of_other_canaries_and_kinds_are_others() -> None:
    gates = Gates()
    await gates.open(GATE)

    assert not gates.is_open(Gate(Kind.ROLLBACK, "test", "podinfo"))
    assert not gates.is_open(Gate(Kind.GATE, "other", "podinfo"))


async def test_a_restart_with_a_file_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gates.json"
    before = Gates(path)
    await before.open(GATE)
    await before.open(Gate(Kind.ROLLBACK, "test", "podinfo"))
    await before.close(Gate(Kind.ROLLBACK, "test", "podinfo"))

    after = Gates(path)

    assert after.is_open(GATE)
    assert not after.is_open(Gate(Kind.ROLLBACK, "test", "podinfo"))
    assert names(tmp_path) == ["gates.json"]


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def test_a_gate_that_cannot_be_kept_stays_as_it_was(tmp_path: Path) -> None:
    gates = Gates(tmp_path / "gone" / "gates.json")

    with pytest.raises(OSError, match="gone"):
        await gates.open(GATE)
    assert not gates.is_open(GATE)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"open": 1}', '{"open": ["x"]}', '{"open": [["door", "a", "b"]]}']
)
def test_a_file_that_is_none_of_ours_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gates.json"
    path.write_text(text)

    with pytest.raises(GateFileError, match=r"gates\.json"):
        Gates(path)


@given(st.frozensets(st.builds(Gate, st.sampled_from(Kind), st.text(), st.text())))
def test_what_is_written_is_read_back(gates: frozenset[Gate]) -> None:
    assert from_text(to_text(gates)) == gates


def test_the_file_is_for_people_too() -> None:
    assert json.loads(to_text(frozenset({GATE}))) == {"open": [["gate", "test", "podinfo"]]}
