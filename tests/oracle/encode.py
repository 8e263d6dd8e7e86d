"""Encodes one record each from the numbers that stand in the file, right or wrong, and the blocks around them."""

from __future__ import annotations

import random
import struct
import zlib

import zstandard

MAGIC = b"\x89PMT\r\n\x1a\n"
BLOCK_MAGIC = b"PBLK"
LEFT_OUT = 0xFFFFFFFF
U64 = (1 << 64) - 1

ONE, SAME_NODE, SAME_SITE, BY_TIME, MORE = 1, 2, 4, 8, 16
COMPACT = ONE | SAME_NODE | SAME_SITE

# Primitives


def u(value: int) -> bytes:
    if not 0 <= value <= U64:
        raise ValueError(value)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def s(value: int) -> bytes:
    """A signed number; differences of 64-bit addresses wrap."""
    value = (value + (1 << 63) & U64) - (1 << 63)
    return u(((value << 1) ^ (value >> 63)) & U64)


def text(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return u(len(data)) + data


def cold(kind: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return bytes([kind]) + u(len(body)) + body


# Definitions


def meta(scope: int, key: str, value: str) -> bytes:
    return cold(0x40, u(scope), text(key), text(value))


def process(pid: int, parent: int, time: int) -> bytes:
    return cold(0x41, u(pid), u(parent), u(time))


def process_end(index: int, kind: int, status: int, time: int) -> bytes:
    return cold(0x42, u(index), u(kind), u(status), u(time))


def thread(process: int, tid: int, time: int, name: str) -> bytes:
    return cold(0x43, u(process), u(tid), u(time), text(name))


def thread_name(index: int, name: str) -> bytes:
    return cold(0x44, u(index), text(name))


def code(process: int, ident: int, first_line: int, file: str, name: str) -> bytes:
    return cold(0x45, u(process), u(ident), u(first_line), text(file), text(name))


def code_lines(process: int, ident: int, piece: bytes) -> bytes:
    return cold(0x46, u(process), u(ident), text(piece))


def code_module(process: int, ident: int, name: str) -> bytes:
    return cold(0x58, u(process), u(ident), text(name))


def module(process: int, start: int, size: int, offset: int, path: str) -> bytes:
    return cold(0x47, u(process), u(start), u(size), u(offset), text(path))


def mark(process: int, time: int, kind: int, rss: int) -> bytes:
    return cold(0x48, u(process), u(time), u(kind), u(rss))


def period(process: int, time: int, value: int) -> bytes:
    return cold(0x49, u(process), u(time), u(value))


def lost(thread: int, time: int, faults: int) -> bytes:
    return cold(0x4A, u(thread), u(time), u(faults))


def counter(process: int, name: str, value: int) -> bytes:
    return cold(0x4B, u(process), text(name), u(value))


def left_out(time: int, faults: int, pages: int, error: int, *events: int) -> bytes:
    return cold(0x4D, u(time), u(faults), u(pages), u(error), *map(u, events))


def events(
    thread: int,
    kinds: bytes,
    times: bytes,
    values: bytes,
    *,
    count: int | None = None,
    times_size: int | None = None,
) -> bytes:
    """The columns as they are; `count` and `times_size` where they lie about them."""
    number = len(kinds) if count is None else count
    size = len(times) if times_size is None else times_size
    return cold(0x4E, u(thread), u(number), kinds, u(size), times, values)


def note(thread: int, time: int, what: int, number: int, message: str) -> bytes:
    return cold(0x4F, u(thread), u(time), u(what), u(number), text(message))


def summary(process: int, ident: int, values: tuple[int, ...], largest: int) -> bytes:
    return cold(0x50, u(process), u(ident), *map(u, values), s(largest))


# Residency


def snapshot(process: int, time: int, kind: int, since: int, name: str) -> bytes:
    return cold(0x51, u(process), u(time), u(kind), u(since), text(name))


def region(process: int, first: int, pages: int, kind: int, path: str) -> bytes:
    return cold(0x52, u(process), u(first), u(pages), u(kind), text(path))


def resident(process: int, time: int, first: int, *runs: tuple[int, int]) -> bytes:
    """The runs: pages, state."""
    return cold(0x53, u(process), u(time), u(first), *[u(pages << 3 | state) for pages, state in runs])


def snapshot_end(process: int, time: int, error: int, kib: tuple[int, int, int, int], rollup: int) -> bytes:
    return cold(0x54, u(process), u(time), u(error), *map(u, kib), u(rollup))


def move(thread: int, time: int, old: int, new: int, pages: int) -> bytes:
    return cold(0x55, u(thread), u(time), u(old), u(new), u(pages))


def release(thread: int, time: int, node: int, what: int, first: int, pages: int, fell: int) -> bytes:
    return cold(0x56, u(thread), u(time), u(node), u(what), u(first), u(pages), u(fell))


def allocator(process: int, time: int, name: str, value: int) -> bytes:
    return cold(0x57, u(process), u(time), text(name), u(value))


def trailer(time: int) -> bytes:
    return cold(0x4C, u(time))


# The stream


def round_(delta: int) -> bytes:
    return b"\x01" + u(delta)


def batch(thread: int) -> bytes:
    return b"\x02" + u(thread)


def node(back: int, code: int, offset: int) -> bytes:
    return b"\x03" + u(back) + u(code) + u(offset)


def node_reset() -> bytes:
    return b"\x04"


def site(delta: int, module: int) -> bytes:
    return b"\x05" + s(delta) + u(module)


def sample(process: int, delta: int, *sizes: int) -> bytes:
    return b"\x06" + u(process) + u(delta) + b"".join(map(s, sizes))


def cgroup(delta: int, usage: int, limit: int) -> bytes:
    return b"\x07" + u(delta) + s(usage) + u(limit)


def weight(value: int) -> bytes:
    return b"\x08" + u(value)


def fault(
    time: int,
    address: int,
    rise: int | None = None,
    node: int | None = None,
    site: int | None = None,
    *,
    by_time: bool = False,
    more: int | None = None,
    caller: int | None = None,
    rss: int | None = None,
    fell_to: int | None = None,
) -> bytes:
    """Deltas of time and address; what is None is left out and its flag set."""
    flags = (rise is None) * ONE | (node is None) * SAME_NODE | (site is None) * SAME_SITE
    flags |= by_time * BY_TIME | (more is not None) * MORE
    out = bytes([0x20 | flags]) + (b"" if more is None else bytes([more])) + s(time) + s(address)
    out += b"".join(u(value) for value in (rise, node, site, caller) if value is not None)
    return out + (b"" if rss is None else s(rss)) + (b"" if fell_to is None else u(fell_to))


# The file


def header(
    *,
    major: int = 1,
    minor: int = 0,
    features: int = 0,
    t0: int = 1_000,
    wall: int = 1_700_000_000_000_000_000,
    page_size: int = 4096,
    magic: bytes = MAGIC,
    order: int = 0x01020304,
) -> bytes:
    head = struct.pack("<8sHHIQQQI16x", magic, major, minor, order, features, t0, wall, page_size)
    return head + struct.pack("<I", zlib.crc32(head))


def stored_block(sequence: int, raw_length: int, frame: bytes, magic: bytes = BLOCK_MAGIC) -> bytes:
    """A block whose CRC holds, whatever the rest says."""
    head = struct.pack("<4sIII", magic, sequence, len(frame), raw_length)
    return head + struct.pack("<I", zlib.crc32(head + frame)) + frame


def block(sequence: int, records: bytes, level: int = 3) -> bytes:
    return stored_block(sequence, len(records), zstandard.ZstdCompressor(level=level).compress(records))


def build(*blocks: bytes) -> bytes:
    """A file of blocks given as raw records, under a plain header."""
    return header() + b"".join(block(sequence, records) for sequence, records in enumerate(blocks))


ROOTED = process(7, 1, 0) + thread(0, 7, 0, "t") + batch(0) + node(1, 0, 0)  # a process, its thread's batch, its root

# Records that make their block corrupt, each for one reason
REFUSED = {
    "unknown stream record": ROOTED + b"\x09",
    "BATCH of undefined thread": batch(0),
    "BATCH beyond 32 bits": ROOTED + batch(1 << 32),
    "THREAD of undefined process": thread(0, 1, 0, ""),
    "THREAD_NAME of undefined thread": ROOTED + thread_name(1, "x"),
    "META of undefined process": ROOTED + meta(2, "k", "v"),
    "META beyond 64 bits": ROOTED + meta(U64, "k", "v"),
    "PROCESS_END of undefined process": ROOTED + process_end(1, 0, 0, 0),
    "CODE of undefined process": ROOTED + code(1, 1, 1, "f", "n"),
    "CODE of process beyond 32 bits": ROOTED + code(1 << 32, 1, 1, "f", "n"),
    "CODE_LINES of undefined process": ROOTED + code_lines(1, 1, b""),
    "CODE_MODULE of undefined process": ROOTED + code_module(1, 1, "m"),
    "CODE_MODULE of code id 0": ROOTED + code_module(0, 0, "m"),
    "MODULE of undefined process": ROOTED + module(1, 0, 1, 0, "m"),
    "MARK of undefined process": ROOTED + mark(1, 0, 1, 0),
    "PERIOD of undefined process": ROOTED + period(1, 0, 1),
    "LOST of undefined thread": ROOTED + lost(1, 0, 1),
    "COUNTER of undefined process": ROOTED + counter(1, "lost", 1),
    "SAMPLE of undefined process": ROOTED + sample(1, 0, 0, 0, 0, 0),
    "SITE of undefined module": ROOTED + site(0, 1),
    "SITE of module beyond 32 bits": ROOTED + site(0, 1 << 32),
    "NODE beyond node 0": ROOTED + node(3, 1, 0),
    "NODE far beyond node 0": ROOTED + node(U64, 1, 0),
    "NODE back 0": ROOTED + node(0, 1, 0),
    "NODE back 32 bits and 1": ROOTED + node((1 << 32) + 1, 1, 0),
    "process root of undefined process": ROOTED + node(2, 0, 1),
    "FAULT before BATCH": process(7, 1, 0) + thread(0, 7, 0, "t") + fault(0, 0, 1, 1, 0),
    "FAULT of undefined node": ROOTED + fault(0, 0, 1, 2, 0),
    "FAULT of node beyond 32 bits": ROOTED + fault(0, 0, 1, (1 << 32) + 1, 0),
    "FAULT of undefined site": ROOTED + fault(0, 0, 1, 1, 1),
    "FAULT of site beyond 32 bits": ROOTED + fault(0, 0, 1, 1, 1 << 32),
    "FAULT of a node before NODE_RESET": ROOTED + node_reset() + fault(0, 0, 1, 1, 0),
    "first FAULT with SAME_NODE": ROOTED + fault(0, 0, 1, None, 0),
    "SAME_NODE after NODE_RESET": ROOTED + fault(0, 0, 1, 1, 0) + node_reset() + node(1, 0, 0) + fault(0, 0, 1),
    "number of 11 bytes": ROOTED + b"\x01" + b"\x80" * 10 + b"\0",
    "number without end": ROOTED + b"\x01" + b"\xff" * 4000,
    "number of 65 bits": ROOTED + b"\x01" + b"\xff" * 9 + b"\x02",
    "number over the block's end": ROOTED + b"\x01\x80",
    "FAULT over the block's end": ROOTED + fault(0, 0, 1 << 60, 1, 0)[:-1],
    "MORE over the block's end": ROOTED + b"\x30",
    "type without length": ROOTED + b"\x60",
    "unknown record over the block's end": ROOTED + b"\x60\x05abcd",
    "unknown record of 64 bits": ROOTED + b"\x60" + u(U64) + b"abcd",
    "unknown record of 63 bits": ROOTED + b"\x60" + u((1 << 63) - 1) + b"abcd",
    "record shorter than its fields": ROOTED + cold(0x41, u(1), u(1)) + b"\0\0\0",
    "empty record": ROOTED + cold(0x43) + b"\0\0\0",
    "string over the record's end": ROOTED + cold(0x40, u(0), u(5), b"abc") + bytes(9),
    "string of 64 bits": ROOTED + cold(0x40, u(0), u(U64), b"abc") + bytes(9),
    "string of 32 bits and 1": ROOTED + cold(0x40, u(0), u((1 << 32) + 1), b"abc", text("v")) + bytes(9),
    "linetable of 63 bits": ROOTED + cold(0x46, u(0), u(1), u(1 << 63), b"abc") + bytes(9),
}


def _one(kind: int, value: bytes = b"") -> bytes:
    return events(0, bytes([kind]), b"\0", value)


# Records that the reader refuses, and records in which the events do not nest (found when they are decoded)
REFUSED |= {
    "EVENTS of undefined thread": ROOTED + events(1, b"\x0c", b"\0", b"\1"),
    "EVENTS without events": ROOTED + events(0, b"", b"", b""),
    "EVENTS of too many events": ROOTED + events(0, b"\x0c" * 8193, b"\0" * 8193, b"\1" * 8193),
    "EVENTS of more events than bytes": ROOTED + events(0, b"\x0c", b"", b"", count=8000),
    "EVENTS of kind 0": ROOTED + events(0, b"\0", b"\0", b"\1"),
    "EVENTS of kind 14": ROOTED + events(0, b"\x0e", b"\0", b"\1"),
    "EVENTS whose times are too long": ROOTED + events(0, b"\x0c", b"\0", b"\1", times_size=3),
    "NOTE of undefined thread": ROOTED + note(1, 0, 1, 0, "x"),
    "FAULT without its RSS": ROOTED + fault(0, 0, 1, 1, 0, more=8),
    "FAULT without what RSS fell to": ROOTED + fault(0, 0, 1, 1, 0, more=16),
}
SPACE = 1 << 52
REFUSED |= {
    "SNAPSHOT of undefined process": ROOTED + snapshot(1, 0, 1, 0, ""),
    "SNAPSHOT of kind 0": ROOTED + snapshot(0, 0, 0, 0, ""),
    "SNAPSHOT of kind 5": ROOTED + snapshot(0, 0, 5, 0, ""),
    "REGION of undefined process": ROOTED + region(1, 0, 1, 0, ""),
    "REGION of kind 6": ROOTED + region(0, 0, 1, 6, ""),
    "REGION beyond the address space": ROOTED + region(0, SPACE, 1, 0, ""),
    "REGION whose end wraps": ROOTED + region(0, 1, U64, 0, ""),
    "RESIDENT of undefined process": ROOTED + resident(1, 0, 0),
    "RESIDENT of state 5": ROOTED + resident(0, 0, 0, (1, 1), (1, 5)),
    "RESIDENT with an empty run": ROOTED + resident(0, 0, 0, (0, 1)),
    "RESIDENT beyond the address space": ROOTED + resident(0, 0, SPACE + 1),
    "RESIDENT that runs beyond it": ROOTED + resident(0, 0, 1, (SPACE - 1, 1), (1, 0)),
    "RESIDENT with a cut run": ROOTED + cold(0x53, u(0), u(0), u(0), b"\x80"),
    "SNAPSHOT_END of undefined process": ROOTED + snapshot_end(1, 0, 0, (0, 0, 0, 0), 0),
    "SNAPSHOT_END cut": ROOTED + cold(0x54, u(0), u(0), u(0), u(0), u(0), u(0), u(0)),
    "MOVE of undefined thread": ROOTED + move(1, 0, 0, 0, 1),
    "MOVE from beyond the address space": ROOTED + move(0, 0, SPACE, 0, 1),
    "MOVE to beyond the address space": ROOTED + move(0, 0, 0, SPACE, 1),
    "RELEASE of undefined thread": ROOTED + release(1, 0, 1, 1, 0, 1, 0),
    "RELEASE of node 0": ROOTED + release(0, 0, 0, 1, 0, 1, 0),
    "RELEASE of undefined node": ROOTED + release(0, 0, 2, 1, 0, 1, 0),
    "RELEASE of kind 0": ROOTED + release(0, 0, 1, 0, 0, 1, 0),
    "RELEASE of kind 5": ROOTED + release(0, 0, 1, 5, 0, 1, 0),
    "RELEASE beyond the address space": ROOTED + release(0, 0, 1, 1, SPACE, 1, 0),
    "ALLOCATOR of undefined process": ROOTED + allocator(1, 0, "malloc_used", 0),
}

# All records about residency, well formed: two processes' snapshots overlap, and one has no end
RESIDENCY = (
    process(7, 1, 0)
    + process(8, 7, 5)
    + thread(0, 7, 0, "t")
    + batch(0)
    + node(1, 0, 0)
    + snapshot(0, 10, 1, 10, "")
    + region(0, 16, 64, 1, "[heap]")
    + region(0, 1 << 36, SPACE - (1 << 36), 4, "/dev/shm/a b")
    + snapshot(1, 11, 3, 11, "loaded")
    + resident(0, 12, 16, (4, 1), (512, 2), (3, 0), (1, 3), (2, 4))
    + resident(1, 13, 0)
    + snapshot_end(0, 14, 0, (8, 4, 0, 8), 0)
    + snapshot_end(1, 15, 62, (1, 2, 3, 4), 8)
    + move(0, 20, 16, 4096, 10)
    + release(0, 21, 1, 2, 4096, 5, 4)
    + allocator(0, 15, "pymalloc_arenas", 1 << 20)
    + snapshot(0, 30, 2, 25, "")
)

TANGLED = {
    "RETURN without a frame": ROOTED + _one(2),
    "YIELD without a frame": ROOTED + _one(3),
    "UNWIND without a frame": ROOTED + _one(6, b"\0"),
    "C_RETURN of a Python frame": ROOTED + _one(1, b"\1") + _one(8),
    "C_RAISE of a Python frame": ROOTED + _one(12, b"\1") + _one(9),
    "RETURN of a C frame": ROOTED + _one(1, b"\1") + _one(7, b"\2") + _one(2),
    "LINE without a frame": ROOTED + _one(10, b"\2"),
    "LINE in a C frame": ROOTED + _one(7, b"\1") + _one(10, b"\2"),
    "LINE below 0": ROOTED + _one(1, b"\1") + _one(10, s(-1)),
    "LINE of 29 bits": ROOTED + _one(1, b"\1") + _one(10, s(1 << 28)),
    "LINE of 64 bits": ROOTED + _one(1, b"\1") + _one(10, s(-1 << 63)),
    "DROP of nothing": ROOTED + _one(1, b"\1") + _one(13, b"\0"),
    "DROP of too many": ROOTED + _one(1, b"\1") + _one(13, b"\2"),
    "DROP of 32 bits and 1": ROOTED + _one(1, b"\1") + _one(13, u((1 << 32) + 1)),
    "code id of 32 bits": ROOTED + _one(1, u(0xFFFFFFFF)),
    "code id beyond 32 bits": ROOTED + _one(1, u((1 << 32) + 1)),
    "exception beyond 32 bits": ROOTED + _one(1, b"\1") + _one(6, u(1 << 32)),
    "values too short": ROOTED + _one(1),
    "values too long": ROOTED + _one(1, b"\1\1"),
    "times too short": ROOTED + events(0, b"\1\2", b"\0", b"\1"),
    "times too long": ROOTED + events(0, b"\1\2", b"\0\0\0", b"\1"),
    "time cut": ROOTED + events(0, b"\1", b"\x80", b"\1"),
}

# One of them in blocks: deeper than a thread can be
TOO_DEEP = (ROOTED, *[events(0, b"\x0c" * 8192, bytes(8192), b"\1" * 8192)] * 128, _one(12, b"\1"))

# Packed line tables


def line_run(units: int, delta: int | None) -> bytes:
    """A run of code units whose line is `delta` further than the last run's, or that has none."""
    return u(units) + (u(0) if delta is None else u(1 + (delta << 1 if delta >= 0 else -delta * 2 - 1)))


def random_linetable(rng: random.Random, first_line: int, runs: int) -> tuple[bytes, list[int]]:
    """A table and the line (0: none) of every code unit in it."""
    table, lines, line = b"", [], first_line
    for _ in range(runs):
        units = rng.randint(1, 200)
        delta = rng.choice((None, rng.randint(1 - line, 40), rng.randint(0, 5), 5_000))
        line += delta or 0
        table += line_run(units, delta)
        lines += [0 if delta is None else line] * units
    return table, lines
