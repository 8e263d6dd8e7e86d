"""From a node to its Python frame and line, from an instruction to its place in a module's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from oracle.cursor import U64, Cursor, FormatError
from oracle.records import Node, Trace

LEFT_OUT = 0xFFFFFFFF  # the code id of a frame that stands for frames left out


def line_runs(table: bytes, first_line: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, line) of each run of a packed table: byte offsets, line 0: none. Stops where it is cut."""
    cursor, start, line = Cursor(table, 0, len(table)), 0, first_line
    try:
        while cursor.pos < len(table):
            end, code = start + 2 * cursor.u(), cursor.u()
            if code:
                delta = (code - 1) >> 1 if (code - 1) % 2 == 0 else -((code - 1) >> 1) - 1
                line = (line + delta) % (1 << 64)
            yield start, end, line if code and line < 1 << 32 else 0
            start = end
    except FormatError:
        return


def line_of(table: bytes, first_line: int, offset: int) -> int:
    """The line of the instruction at a byte offset, 0: none."""
    for start, end, line in line_runs(table, first_line):
        if start <= offset < end:
            return line
    return 0


class Frame(NamedTuple):
    file: str
    line: int
    name: str
    first_line: int


UNKNOWN_FRAME = Frame("", 0, "", 0)
LEFT_OUT_FRAME = Frame("", 0, "[frames left out]", 0)


def frame_of(trace: Trace, node: Node) -> Frame | None:
    """The Python frame of a node, None for a process root."""
    if node.code == 0:
        return None
    if node.code == LEFT_OUT:
        return LEFT_OUT_FRAME
    key = (node.process, node.code)
    code = trace.codes.get(key)
    if code is None:
        return UNKNOWN_FRAME
    line = line_of(trace.linetables.get(key, b""), code.first_line, node.offset)
    return Frame(code.file, line, code.name, code.first_line)


def instruction(trace: Trace, site: int) -> tuple[str, int]:
    """The module's path and the offset in its file; ("", address) when no module is known, ("", 0) without a site."""
    if site == 0:
        return "", 0
    address, number = trace.sites[site - 1]
    if number == 0:
        return "", address
    module = trace.modules[number - 1]
    return module.path, (address - module.start + module.offset) & U64


def same_stacks(trace: Trace) -> list[int]:
    """For each node the first that is the same stack: after a NODE_RESET it is defined again."""
    first: dict[tuple[int, int, int, int], int] = {}
    same: list[int] = []
    for number, node in enumerate(trace.nodes):
        key = (same[node.parent] if node.parent >= 0 else -1, node.process, node.code, node.offset)
        same.append(first.setdefault(key, number))
    return same
