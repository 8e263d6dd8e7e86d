"""Names native code: the symbol nearest to an offset in a shared library or program.

Reads the files as they are now, when the report is made: a library that has changed or gone since the run gives
another name or none. A name is a help, never a reason to fail, so nothing here raises.
"""

import os
import stat
import struct
from bisect import bisect_right
from typing import NamedTuple

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

_FUNCTION_TYPES = frozenset((0, 2, 10))  # STT_NOTYPE (assembly), STT_FUNC, STT_GNU_IFUNC
_FUNC = 2
_UNDEFINED, _RESERVED = 0, 0xFF00  # SHN_UNDEF; from SHN_LORESERVE on: no section of this file
_EXECUTABLE = 1  # PF_X
# A damaged section header must not make a report read gigabytes. The largest real tables are some 100 MiB.
_TABLE_LIMIT = 512 << 20


# Rank among the names of one address (the smallest is the best: not a function, local, length, name), size, name.
_Symbol = tuple[tuple[bool, bool, int, str], int, str]


class _Table(NamedTuple):
    """One module's symbols: segments (file offset, stored bytes, address) and, sorted by address, parallel lists."""

    segments: list[tuple[int, int, int]]
    addresses: list[int]
    ends: list[int]
    names: list[str]


_EMPTY = _Table([], [], [], [])


class Symbols:
    """Finds symbols; reads each module's tables once, at its first question."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}

    def find(self, path: str, offset: int) -> str | None:
        """The symbol for a byte offset in the module's file; None when the module tells nothing about it.

        "~name" when the offset lies behind the end of the nearest symbol: stripped libraries name only what they
        export, so such code is *near* that function rather than in it.
        """
        table = self._tables.get(path)
        if table is None:
            table = self._tables[path] = _read_table(path)
        address = _address(table, offset)
        if address is None:
            return None
        at = bisect_right(table.addresses, address) - 1
        if at < 0:
            return None
        return table.names[at] if address < table.ends[at] else "~" + table.names[at]


def _address(table: _Table, offset: int) -> int | None:
    for start, length, address in table.segments:
        if start <= offset < start + length:
            return offset - start + address
    return None


def _read_table(path: str) -> _Table:
    # pyelftools meets damaged files with many kinds of exceptions (its own, struct's, KeyError, ...): all of them mean
    # that this file names nothing.
    try:
        if not path.startswith("/") or not stat.S_ISREG(os.stat(path).st_mode):
            return _EMPTY
        with open(path, "rb") as file:
            return _read_elf(ELFFile(file))
    except Exception:
        return _EMPTY


def _read_elf(elf: ELFFile) -> _Table:
    found: dict[int, _Symbol] = {}
    for name in (".symtab", ".dynsym"):
        section = elf.get_section_by_name(name)
        if section is not None and section["sh_type"] in ("SHT_SYMTAB", "SHT_DYNSYM"):
            _read_symbols(elf, section, found)
    addresses = sorted(found)
    loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
    loads.sort(key=lambda s: not s["p_flags"] & _EXECUTABLE)  # segments may share a page of the file: code wins
    return _Table(
        [(s["p_offset"], s["p_filesz"], s["p_vaddr"]) for s in loads],
        addresses,
        [_end(addresses, i, found[a][1]) for i, a in enumerate(addresses)],
        [found[a][2] for a in addresses],
    )


def _end(addresses: list[int], at: int, length: int) -> int:
    """The address behind a symbol; one without a length (assembly) reaches to the next."""
    if length:
        return addresses[at] + length
    return addresses[at + 1] if at + 1 < len(addresses) else addresses[at] + 1


def _read_symbols(elf: ELFFile, section: Section, found: dict[int, _Symbol]) -> None:
    """Add a table's functions by address; of several names for one address the best in rank stays."""
    order = "<" if elf.little_endian else ">"
    wide = elf.elfclass == 64
    layout = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    data, names = _data(elf, section), _data(elf, elf.get_section(section["sh_link"]))
    for entry in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        if wide:
            name_at, info, _other, index, address, length = entry
        else:
            name_at, address, length, info, _other, index = entry
        if info & 15 not in _FUNCTION_TYPES or index == _UNDEFINED or index >= _RESERVED:
            continue
        name = names[name_at : names.find(b"\0", name_at)].decode("utf-8", "replace").partition("@")[0]
        # "$x" and ".L1" are marks of the assembler, not functions.
        if not name or name[0] in "$.":
            continue
        # Functions before labels, visible names before local ones, short before long, then by name: no chance involved.
        rank = (info & 15 != _FUNC, not info >> 4, len(name), name)
        known = found.get(address)
        if known is None or rank < known[0]:
            found[address] = (rank, length, name)


def _data(elf: ELFFile, section: Section) -> bytes:
    """A section's bytes, straight from the file."""
    if section["sh_size"] > _TABLE_LIMIT:
        return b""
    elf.stream.seek(section["sh_offset"])
    return bytes(elf.stream.read(section["sh_size"]))
