"""Protocol buffers, written by hand: fields of messages as bytes. https://protobuf.dev/programming-guides/encoding/

A message is the join of its fields. The functions know no schema: who calls them does.
"""

_VARINT, _BYTES = 0, 2
_U64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """A whole number below 2^64; a negative one as its two's complement, as int64 fields have it."""
    number &= _U64
    if number < 0x80:
        return _SMALL[number]
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL = [bytes((number,)) for number in range(0x80)]


def integer(field: int, number: int) -> bytes:
    """A field of any whole type, a bool or an enum. 0 is not written: it is what a missing field means."""
    return varint(field << 3 | _VARINT) + varint(number) if number else b""


def present(field: int, number: int) -> bytes:
    """The same, and a 0 is written: of fields whose presence means something."""
    return varint(field << 3 | _VARINT) + varint(number)


def message(field: int, data: bytes) -> bytes:
    """A field that is a message or bytes, empty or not."""
    return varint(field << 3 | _BYTES) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A string; what UTF-8 cannot say is an escape."""
    return message(field, value.encode("utf-8", "backslashreplace"))


def packed(field: int, numbers: list[int]) -> bytes:
    """A repeated field of whole numbers."""
    return message(field, b"".join(map(varint, numbers))) if numbers else b""
