"""The wire format of protocol buffers, against the encoding guide's own examples and against itself."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.sandbox.protobuf import Message, WireError, decode, encode, number, text

FIELDS = st.integers(1, 2**29 - 1)
VALUES = st.integers(1, 2**64 - 1) | st.binary(min_size=1)


@pytest.mark.parametrize(
    ("message", "data"), [({1: 150}, "089601"), ({2: b"testing"}, "120774657374696e67"), ({1: 0, 2: b""}, "")]
)
def test_bytes_are_those_of_the_guide(message: Message, data: str) -> None:
    assert encode(message).hex() == data


@given(st.dictionaries(FIELDS, VALUES))
def test_what_is_written_is_read(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.dictionaries(FIELDS, VALUES, min_size=1), st.data())
def test_a_part_of_a_message_is_a_shorter_message_or_none(message: Message, data: st.DataObject) -> None:
    written = encode(message)
    part = written[: data.draw(st.integers(0, len(written) - 1))]
    with contextlib.suppress(WireError):
        assert set(decode(part)) < set(message)


@given(st.binary())
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(data)


def test_fields_of_other_kinds_are_passed_over() -> None:
    assert decode(bytes.fromhex("0d010203041101020304050607081801")) == {3: 1}


@pytest.mark.parametrize("data", ["0b", "08010c", "80" * 11, "0a05"])
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(WireError):
        decode(bytes.fromhex(data))


def test_negative_numbers_are_not_written() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        encode({1: -1})


def test_a_field_that_is_missing_or_of_another_kind_holds_the_default() -> None:
    assert (number({}, 1), text({}, 1)) == (0, "")
    assert (number({1: b"x"}, 1), text({1: 5}, 1)) == (0, "")
    assert (number({1: 5}, 1), text({1: b"x"}, 1)) == (5, "x")
