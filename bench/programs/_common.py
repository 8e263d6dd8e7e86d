"""What the benchmark programs share: the scale argument and a checksum of their output.

Names begin with an underscore: `compare.py` and the tests take every other file of this folder as a program.
"""

import sys
import zlib


def rounds(full: int, small: int = 1) -> int:
    """How often to do the work: `full * scale` times (the scale is 1 by default), with scale 0 `small` times."""
    scale = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    return full * scale if scale else small


class Digest:
    """A running checksum and size of what the program made, so that nothing it does can be left out."""

    def __init__(self) -> None:
        self._crc = 0
        self._size = 0

    def add(self, data: str | bytes) -> None:
        """Take in one piece of output."""
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        self._crc = zlib.crc32(raw, self._crc)
        self._size += len(raw)

    def show(self, name: str) -> None:
        """Print the program's one line."""
        print(f"{name}: {self._size} bytes, crc {self._crc:08x}")
