"""Protocol buffers' wire format, as far as small messages need it: varints and what has a length.

A message is what its fields hold, by their numbers, so no code is generated. The format:
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Mapping

Message = Mapping[int, int | bytes]
"""From a field's number to what it holds: numbers, enumerations and truths as int, strings and messages as bytes."""

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_FIXED = {_I64: 8, _I32: 4}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """These bytes are no message."""


def encode(message: Message) -> bytes:
    """A message's bytes. Fields that hold the default (0, or nothing) are left out, as proto3 does.

    Raises:
        ValueError: a number is negative.
    """
    parts: list[bytes] = []
    for field, value in message.items():
        if isinstance(value, int) and value:
            parts += [_varint(field << 3 | _VARINT), _varint(value)]
        elif isinstance(value, bytes) and value:
            parts += [_varint(field << 3 | _LEN), _varint(len(value)), value]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    if value < 0:
        raise ValueError(f"{value} is negative")
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def decode(data: bytes) -> Message:
    """The message in some bytes. Of a field that comes twice the last counts; fields of a fixed width are passed over.

    Raises:
        WireError: they are no message.
    """
    message: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            message[field], at = _read_varint(data, at)
            continue
        if kind == _LEN:
            length, at = _read_varint(data, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise WireError(f"wire type {kind} is not known")
        if at + length > len(data):
            raise WireError("the message is cut off")
        if kind == _LEN:
            message[field] = data[at : at + length]
        at += length
    return message


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if at + index >= len(data):
            raise WireError("the message is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise WireError("a number is too long")


def number(message: Message, field: int) -> int:
    """The number in a field, 0 where it has none."""
    value = message.get(field, 0)
    return value if isinstance(value, int) else 0


def text(message: Message, field: int) -> str:
    """The string in a field, empty where it has none.

    Raises:
        ValueError: it is not UTF-8.
    """
    value = message.get(field, b"")
    return value.decode() if isinstance(value, bytes) else ""
