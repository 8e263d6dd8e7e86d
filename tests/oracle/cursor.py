"""The primitives of docs/format.md, section 4: bytes to numbers and strings."""

from __future__ import annotations

U64 = (1 << 64) - 1


class FormatError(ValueError):
    """The bytes are not a trace this decoder can read."""


class Cursor:
    """Reads the primitives of section 4 from data[pos:end]."""

    def __init__(self, data: bytes, pos: int, end: int) -> None:
        self.data, self.pos, self.end = data, pos, end

    def byte(self) -> int:
        if self.pos >= self.end:
            raise FormatError("a record runs over its end")
        self.pos += 1
        return self.data[self.pos - 1]

    def u(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if value > U64:
                    raise FormatError("a number is wider than 64 bits")
                return value
        raise FormatError("a number is longer than 10 bytes")

    def s(self) -> int:
        raw = self.u()
        return (raw >> 1) ^ -(raw & 1)

    def raw(self) -> bytes:
        length = self.u()
        if length > self.end - self.pos:
            raise FormatError("a string runs over its record's end")
        self.pos += length
        return self.data[self.pos - length : self.pos]

    def str(self) -> str:
        try:
            return self.raw().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise FormatError("a string is not UTF-8") from error
