"""Writes the seeds of fuzz_reader into a folder: whole traces, and the bare records of traces.

Usage: make_corpus.py FOLDER. Needs the package zstandard.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parents[1]))
from oracle import encode, synth

HEADER, BLOCK_HEADER = 64, 20


def records(file: bytes) -> bytes:
    """All records of a trace; numbers and deltas run on, so they fit one block as well as several."""
    out, at = b"", HEADER
    while at < len(file):
        (stored,) = struct.unpack_from("<I", file, at + 8)
        frame = file[at + BLOCK_HEADER : at + BLOCK_HEADER + stored]
        out += zstandard.ZstdDecompressor().decompress(frame)
        at += BLOCK_HEADER + stored
    return out


def seeds() -> Iterator[tuple[str, bytes]]:
    files = {"small": synth.small_trace(), "deep": synth.deep_trace(100)}
    for seed in range(8):
        files[f"random-{seed}"] = synth.random_trace(seed, rounds=4, faults=6).finish(1 << 40 if seed % 2 else None)
    for seed in range(6):
        files[f"events-{seed}"] = synth.event_trace(seed, rounds=3, events=20).finish(1 << 40)
    for name, file in files.items():
        yield f"file-{name}", file
        yield f"records-{name}", records(file)
    for name, refused in (encode.REFUSED | encode.TANGLED).items():
        yield "refused-" + name.replace(" ", "-"), refused
    yield "records-residency", encode.RESIDENCY
    yield "file-residency", encode.build(encode.RESIDENCY)
    yield "file-newer", encode.header(major=2)
    yield "file-zero-tail", files["small"] + bytes(40)
    yield "file-cut", files["small"][:-5]


def main(folder: str) -> None:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (path / name).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
