import asyncio
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.gates import Gate, GateFileError, Gates, Kind, TooManyGatesError, from_text, to_text

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


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(GateFileError, match="No such file"):
        Gates(tmp_path / "gone" / "gates.json")


async def test_no_more_than_so_many_are_open(tmp_path: Path) -> None:
    gates = Gates(tmp_path / "gates.json", most=2)
    first, second, third = (Gate(Kind.GATE, "test", name) for name in "abc")
    await gates.open(first)
    await gates.open(second)

    with pytest.raises(TooManyGatesError, match="2 gates"):
        await gates.open(third)
    await gates.open(first)
    await gates.close(second)
    await gates.open(third)

    assert [gates.is_open(gate) for gate in (first, second, third)] == [True, False, True]


async def test_changes_that_come_at_once_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many call, the file is written once for those who came while it was written before."""
    gates = Gates(tmp_path / "gates.json")
    written: list[str] = []
    monkeypatch.setattr("loadtest.gates._store", lambda path, text: written.append(text))

    await asyncio.gather(*(gates.open(Gate(Kind.GATE, "test", f"app-{index}")) for index in range(500)))

    assert len(written) == 1
    assert len(from_text(written[-1])) == 500


async def test_those_whose_caller_has_gone_are_changed_all_the_same(tmp_path: Path) -> None:
    gates = Gates(tmp_path / "gates.json")
    calling = asyncio.create_task(gates.open(GATE))
    await asyncio.sleep(0)

    calling.cancel()
    await gates.open(Gate(Kind.ROLLBACK, "test", "podinfo"))

    assert gates.is_open(GATE)


async def test_a_gate_that_cannot_be_kept_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    gates = Gates(tmp_path / "gone" / "gates.json")
    shutil.rmtree(tmp_path / "gone")

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
