"""The oracle against the synthetic writer, and its line tables against CPython's own."""

import argparse
import ast
import asyncio.base_events
import dataclasses
import random
import typing
from collections.abc import Iterator
from types import CodeType, ModuleType

import pytest

from oracle import encode, pmt, synth
from oracle.cursor import FormatError
from oracle.frames import LEFT_OUT_FRAME, Frame, line_of, line_runs
from oracle.records import Fault, Process, Trace
from oracle.residency_records import Allocator, Move, Release, Resident
from oracle.sums import Cost, TreeNode, aggregate
from pymemtrace._analysis import pack_lines


def decoded(*records: bytes) -> Trace:
    return pmt.decode(encode.build(b"".join(records)))


# Round trips


@pytest.mark.parametrize("seed", range(40))
def test_decode_finds_what_was_written(seed: int) -> None:
    writer = synth.random_trace(seed)
    trace = pmt.decode(writer.finish(1 << 40))
    assert trace.complete
    assert trace.duration == 1 << 40
    assert trace.good_bytes == trace.file_bytes == len(writer.file)
    assert trace.faults == writer.faults
    assert trace.nodes == writer.nodes
    assert trace.sites == writer.sites
    assert trace.modules == writer.modules
    assert trace.samples == writer.samples
    assert trace.cgroups == writer.cgroups
    assert trace.rounds == writer.rounds
    assert [(p.pid, p.parent, p.time) for p in trace.processes] == writer.processes
    assert [(t.process, t.tid, t.time, t.name) for t in trace.threads] == writer.threads


def test_random_traces_cover_the_format() -> None:
    faults = [fault for seed in range(40) for fault in synth.random_trace(seed).faults]
    assert any(f.by_time and f.rise > 1 for f in map(Fault._make, faults))
    assert any(f.late for f in map(Fault._make, faults))
    assert {0, 1, 2, 512} <= {fault[3] for fault in faults}
    assert {1, 2, 16, 1_000} <= {fault[6] for fault in faults}
    assert any(synth.random_trace(seed).sequence > 20 for seed in range(40))


def test_small_trace() -> None:
    trace = pmt.decode(synth.small_trace())
    assert trace.complete
    assert (trace.version, trace.page_size, trace.duration) == ((1, 0), 4096, 270)
    assert len(trace.blocks) == 3
    assert trace.meta == {"command": "python\0app.py", "python": "3.12.1"}
    assert [p.meta for p in trace.processes] == [{"engine": "faults"}, {}]
    assert trace.processes[0].counters == {"unowned_pages": 7, "tracer_pages": 5}
    assert [p.end for p in trace.processes] == [(0, 3, 260), (1, 9, 255)]
    assert [t.name for t in trace.threads] == ["Main", "child"]
    assert trace.marks == [(0, 25, 1, 300), (0, 250, 2, 330)]
    assert trace.periods == [(0, 26, 1), (0, 196, 4)]
    assert trace.lost == [(0, 197, 2)]
    assert trace.left_out == (245, 6, 8, 28, 0)
    assert trace.samples == [(0, 190, 1200, 300, 10, 0)]
    assert trace.cgroups == [(195, 5000, 9000)]
    assert [fault[:8] for fault in trace.faults] == [
        (150, 0, 0x1000_0000, 1, 2, 1, 1, False),
        (180, 0, 0x1000_1000, 16, 2, 1, 1, True),
        (230, 1, 0x2000_0000, 3, 3, 2, 4, False),
        (240, 0, 0x1000_2000, 2, 5, 0, 1, False),
    ]
    assert [fault.late for fault in trace.faults] == [False, False, False, True]


def test_small_trace_aggregated() -> None:
    """Every number by hand."""
    page = 4096
    result = aggregate(pmt.decode(synth.small_trace()))
    outer, inner, start = (
        Frame("app.py", 10, "größe", 10),
        Frame("lib.py", 34, "f", 30),
        Frame("app.py", 10, "größe", 10),
    )
    assert result.lines == {
        inner: Cost(17 * page, 17 * page, 2, 15 * page),
        outer: Cost(2 * page, 19 * page, 1, 0),
    }
    assert result.functions == {
        ("lib.py", 30, "f"): Cost(17 * page, 17 * page, 2, 15 * page),
        ("app.py", 10, "größe"): Cost(2 * page, 19 * page, 1, 0),
    }
    assert result.files.keys() == {"app.py", "lib.py"}
    assert result.threads == {
        0: Cost(19 * page, 19 * page, 3, 15 * page),
        1: Cost(3 * page, 3 * page, 4, 0),
    }
    assert result.tree == [
        TreeNode(-1, None, Cost(3 * page, 22 * page, 4, 0)),
        TreeNode(0, start, Cost(2 * page, 19 * page, 1, 0)),
        TreeNode(1, inner, Cost(17 * page, 17 * page, 2, 15 * page)),
    ]
    assert result.native == {("", 0x1234): Cost(3 * page, 3 * page, 4, 0)}
    assert result.sites == {
        ("/lib/libc.so.6", 0x2234): Cost(17 * page, 17 * page, 2, 15 * page),
        ("", 0x1234): Cost(3 * page, 3 * page, 4, 0),
        ("", 0): Cost(2 * page, 2 * page, 1, 0),
    }
    assert (result.touched_kernel, result.touched_tracer) == (7 * page, 7 * page)
    assert (result.touched_total, result.touched_by_time) == ((22 + 14 + 8) * page, 15 * page)
    assert (result.signals, result.lost) == (4, 2)


def test_one_process_alone() -> None:
    trace = pmt.decode(synth.small_trace())
    child = aggregate(trace, 101)
    assert child.lines == {}
    assert child.threads.keys() == {1}
    assert (child.touched_total, child.touched_kernel, child.touched_tracer) == (5 * 4096, 0, 2 * 4096)
    with pytest.raises(ValueError, match="102"):
        aggregate(trace, 102)


def test_total_counts_a_frame_once_a_stack() -> None:
    depth = 20_000
    trace = pmt.decode(synth.deep_trace(depth))
    assert len(trace.nodes) == 1 + depth + 3
    result = aggregate(trace)
    even, odd = Frame("deep.py", 11, "even", 10), Frame("deep.py", 21, "odd", 20)
    assert result.lines == {
        even: Cost(2 * 4096, 11 * 4096, 1, 0),
        odd: Cost(9 * 4096, 9 * 4096, 2, 0),
        LEFT_OUT_FRAME: Cost(0, 2 * 4096, 0, 0),
    }
    assert len(result.tree) == 1 + depth + 2


def test_by_time_of_a_fault_without_rise() -> None:
    for rise, expected in ((0, 0), (1, 0), (2, 4096)):
        result = aggregate(decoded(encode.ROOTED, encode.fault(0, 0, rise, 1, 0, by_time=True)))
        assert result.touched_by_time == expected


def test_code_of_each_process_is_its_own() -> None:
    w = synth.Writer()
    for index, name in enumerate(("first", "second")):
        w.process(10 + index)
        w.raw(encode.code(index, 1, 5, "x.py", name))
        w.batch(w.thread(index, 10 + index))
        w.fault(0, 0, 1, w.node(w.root(index), 1, 0))
    names = [frame.name for frame in aggregate(pmt.decode(w.finish())).lines]
    assert names == ["first", "second"]


def test_worked_example() -> None:
    example = bytes.fromhex("26904e804002")
    assert encode.fault(5_000, 4_096, 2) == example
    trace = decoded(encode.ROOTED, encode.fault(100, 4096, 1, 1, 0), example)
    assert trace.faults[1][:6] == (5_100, 0, 8_192, 2, 0, 0)


# Cut and corrupt files


def test_every_cut_of_a_trace_is_read_up_to_its_last_whole_block() -> None:
    data = synth.small_trace()
    ends = [64, *(end for _, end in pmt.decode(data).blocks)]
    for length in range(len(data)):
        if length < 64:
            with pytest.raises(FormatError):
                pmt.decode(data[:length])
        else:
            trace = pmt.decode(data[:length])
            assert not trace.complete
            assert trace.good_bytes == max(end for end in ends if end <= length)


def test_zero_tail_is_a_cut() -> None:
    data = synth.small_trace()
    for tail in (1, 19, 20, 5_000):
        trace = pmt.decode(data + bytes(tail))
        assert (trace.complete, trace.good_bytes) == (False, len(data))


def test_every_flipped_bit_is_noticed() -> None:
    data = synth.small_trace()
    good = pmt.decode(data)
    refused = 0
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            trace = pmt.decode(bytes(flipped))
        except FormatError:
            refused += 1
        else:
            assert not trace.complete
            assert trace.faults == good.faults[: len(trace.faults)]
    assert refused > len(data) * 7


@pytest.mark.parametrize(
    "changes",
    [{"magic": b"\x89PNG\r\n\x1a\n"}, {"major": 2}, {"features": 1}, {"features": 1 << 31}, {"order": 0x04030201}],
    ids=str,
)
def test_header_refused(changes: dict[str, typing.Any]) -> None:
    with pytest.raises(FormatError):
        pmt.decode(encode.header(**changes))


def test_header_accepted() -> None:
    trace = pmt.decode(encode.header(minor=9, features=1 << 32 | 1 << 63))
    assert (trace.version, trace.good_bytes, trace.complete) == ((1, 9), 64, False)


@pytest.mark.parametrize("records", encode.REFUSED.values(), ids=encode.REFUSED.keys())
def test_records_refused(records: bytes) -> None:
    with pytest.raises(FormatError):
        decoded(records)


def test_block_refused() -> None:
    frame = encode.block(0, encode.ROOTED)[20:]
    for bad in (
        encode.stored_block(1, len(encode.ROOTED), frame),
        encode.stored_block(0, len(encode.ROOTED) + 1, frame),
        encode.stored_block(0, len(encode.ROOTED) - 1, frame),
        encode.stored_block(0, 0, frame),
        encode.stored_block(0, (1 << 20) + 1, frame),
        encode.stored_block(0, len(encode.ROOTED), frame, b"QBLK"),
        encode.stored_block(0, len(encode.ROOTED), b"?" + frame[1:]),
    ):
        with pytest.raises(FormatError):
            pmt.decode(encode.header() + bad)


def test_fields_to_come_are_ignored() -> None:
    more = encode.cold(0x41, encode.u(7), encode.u(1), encode.u(0), b"\xff\xff")
    assert decoded(more).processes == [Process(7, 1, 0)]


# Line tables


def code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


@pytest.mark.parametrize(
    "module", [argparse, ast, asyncio.base_events, dataclasses, random, typing], ids=lambda m: m.__name__
)
def test_lines_are_cpythons(module: ModuleType) -> None:
    assert module.__file__
    with open(module.__file__, "rb") as file:
        whole = compile(file.read(), module.__file__, "exec")
    objects = list(code_objects(whole))
    assert len(objects) > 20
    for code in objects:
        packed = pack_lines(code.co_linetable)
        runs = list(line_runs(packed, code.co_firstlineno))
        assert len({end for _, end, _ in runs}) == len(runs)
        ours = [line for start, end, line in runs for _ in range(start, end, 2)]
        assert ours == [line or 0 for line, *_ in code.co_positions()]
        assert ours == [line or 0 for start, end, line in code.co_lines() for _ in range(start, end, 2)]
        assert line_of(packed, code.co_firstlineno, len(ours) * 2) == 0


def test_lines_of_every_kind_of_run() -> None:
    rng = random.Random(1)
    for _ in range(50):
        first = rng.randint(1, 1000)
        table, lines = encode.random_linetable(rng, first, 30)
        assert [line_of(table, first, 2 * unit) for unit in range(len(lines))] == lines


def test_lines_of_a_bad_table() -> None:
    table = encode.line_run(1, 1) + encode.line_run(2, None) + encode.line_run(1, -2)
    assert [line_of(table, 5, offset) for offset in (0, 1, 2, 5, 6, 8)] == [6, 6, 0, 0, 4, 0]
    assert line_of(b"", 5, 0) == 0
    assert line_of(encode.line_run(1, 3)[:-1], 5, 0) == 0


def test_a_cut_table_is_packed_up_to_the_cut() -> None:
    code = compile("a = 1\nb = 2\n\nc = [x for x in\n  range(3)]\n", "f", "exec")
    table = code.co_linetable
    whole = list(line_runs(pack_lines(table), 1))
    for length in range(len(table)):
        part = list(line_runs(pack_lines(table[:length]), 1))
        assert part == [] or (part[:-1] == whole[: len(part) - 1] and part[-1][2] == whole[len(part) - 1][2])
    assert pack_lines(b"\x00" + table) == b""


def test_residency() -> None:
    trace = pmt.decode(encode.build(encode.RESIDENCY))
    first, second, open_ = trace.snapshots
    assert (first.process, first.kind, first.end, first.error) == (0, 1, 14, 0)
    assert (first.kib, first.rollup) == ((8, 4, 0, 8), None)
    assert [region.path for region in first.regions] == ["[heap]", "/dev/shm/a b"]
    assert first.residents == [Resident(12, 16, ((4, 1), (512, 2), (3, 0), (1, 3), (2, 4)))]
    assert (second.process, second.name, second.end, second.error, second.rollup) == (1, "loaded", 15, 62, 7)
    assert (open_.end, open_.since) == (None, 25)
    assert trace.moves == [Move(0, 20, 16, 4096, 10)]
    assert trace.releases == [Release(0, 21, 0, 2, 4096, 5, 4)]
    assert trace.allocators == [Allocator(0, 15, "pymalloc_arenas", 1 << 20)]
