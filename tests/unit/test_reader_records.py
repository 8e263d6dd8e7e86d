"""The C reader and analysis on wrong records in blocks whose checksums hold: refused, or read as the oracle does."""

import random

import pytest
import zstandard
from reader_check import check
from reader_child import Reader, refused

from oracle import encode, pmt, synth
from oracle.cursor import FormatError
from oracle.records import Trace


def test_records_refused(reader: Reader) -> None:
    files = [encode.build(records) for records in encode.REFUSED.values()]
    files += [encode.build(encode.meta(0, "cwd", "/"), records) for records in encode.REFUSED.values()]
    for name, outcome in zip([*encode.REFUSED, *encode.REFUSED], reader.run_bytes(files), strict=True):
        assert refused(outcome), (name, outcome)


def test_records_of_doubt(reader: Reader) -> None:
    """What the format does not rule on: refused, or read as the oracle reads it if it does."""
    root, hit, huge = encode.ROOTED, encode.fault(1, 1, 1, 2, 0), encode.U64
    files = {
        "not UTF-8": root + encode.cold(0x40, encode.u(0), encode.text(b"\xff\xc0\x80"), encode.text(b"\xf8")),
        "cut UTF-8": root + encode.cold(0x44, encode.u(0), encode.text(b"\xe2\x82")),
        "code id 0": root + encode.code(0, 0, 1, "f", "n"),
        "code id of 64 bits": root + encode.code(0, huge, 1, "f", "n") + encode.node(1, huge, 0) + hit,
        "code id 2**32 + 1": root + encode.code(0, 1, 1, "f", "n") + encode.node(1, 1 + (1 << 32), 0) + hit,
        "code twice": root + encode.code(0, 1, 1, "f", "n") * 2 + encode.node(1, 1, 0) + hit,
        "first line of 64 bits": root + encode.code(0, 1, huge, "f", "n") + encode.node(1, 1, 0) + hit,
        "offset of 64 bits": root + encode.code(0, 1, 1, "f", "n") + encode.node(1, 1, huge) + hit,
        "frame without a process": root + encode.node(2, 1, 0) + hit,
        "process root below a frame": root + encode.node(1, 0, 0) + hit,
        "node 0": root + encode.fault(1, 1, 1, 0, 0),
        "first FAULT with SAME_SITE": root + encode.fault(1, 1, 1, 1),
        "time before the start": root + encode.fault(-1, 1, 1, 1, 0),
        "overlong number": root + b"\x01\x80\x80\x00",
        "weight 0": root + encode.weight(0) + encode.fault(1, 1, 1, 1, 0),
        "weight of 64 bits": root + encode.weight(huge) + encode.fault(1, 1, 1, 1, 0) + encode.fault(1, 1),
        "rise of 64 bits": root + encode.fault(1, 1, huge, 1, 0) + encode.fault(1, 1, huge, by_time=True),
        "mark of unknown kind": root + encode.mark(0, 1, 3, 7),
        "mark of 64 bits": root + encode.mark(0, huge, 1, huge),
        "sample of 64 bits": root + encode.sample(0, huge, *[1 << 63] * 4) * 3,
        "sample below 0": root + encode.sample(0, 1, -1, -1, -1, -1),
        "cgroup of 64 bits": root + encode.cgroup(huge, -1 << 63, huge) * 3,
        "counters of 64 bits": root
        + encode.counter(0, "unowned_pages", huge)
        + encode.counter(0, "tracer_pages", huge),
        "pid of 64 bits": encode.process(huge, huge, huge) + encode.thread(0, huge, huge, ""),
        "end of 64 bits": root + encode.process_end(0, huge, huge, huge),
        "lost of 64 bits": root + encode.lost(0, huge, huge) * 2,
        "left out of 64 bits": root + encode.left_out(huge, huge, huge, huge) * 2,
        "period of 64 bits": root + encode.period(0, huge, huge),
        "trailer of 64 bits": root + encode.trailer(huge),
        "record behind the trailer": root + encode.trailer(5) + root,
        "two trailers": root + encode.trailer(5) * 2,
        "module of 64 bits": root
        + encode.module(0, huge, huge, huge, "m")
        + encode.site(1, 1)
        + encode.fault(1, 1, 1, 1, 1),
    }
    blocks = [encode.build(records) for records in files.values()]
    for (name, records), outcome in zip(files.items(), reader.run_bytes(blocks), strict=True):
        if outcome.kind == "ok" and "64 bits" not in name:
            try:
                trace = pmt.decode(encode.build(records))
            except FormatError:
                continue
            check(outcome, b"", trace=trace)
        else:
            assert outcome.kind == "ok" or refused(outcome), (name, outcome)


def test_bad_linetables(reader: Reader) -> None:
    rng = random.Random(5)
    files = []
    for _ in range(300):
        table = bytearray(encode.random_linetable(rng, 50, 12)[0])
        for _ in range(rng.randrange(1, 6)):
            table[rng.randrange(len(table))] = rng.randrange(256)
        table = table[: rng.randint(1, len(table))]
        table += rng.choice((b"", b"\xf0" + b"\x7f" * 400, b"\xe8" + b"\x7f" * 10 + b"\x01"))
        w = synth.Writer()
        p = w.process(1)
        w.batch(w.thread(p, 1))
        w.raw(encode.code(p, 1, 50, "f", "n") + encode.code_lines(p, 1, bytes(table)))
        root = w.root(p)
        for offset in range(0, 200, 2):
            w.fault(offset, offset, 1, w.node(root, 1, offset))
        files.append(w.finish(1_000))
    for outcome in reader.run_bytes(files):
        assert outcome.kind == "ok", outcome
        assert outcome.value["touched_total"] == 100 * 4096


def test_deltas_that_run_over(reader: Reader) -> None:
    """Millions of the largest steps: any result or FormatError, in good time."""
    widest = (1 << 63) - 1

    def repeat(head: bytes, record: bytes, times: int) -> bytes:
        each = (1 << 20) // len(record)
        frame = zstandard.ZstdCompressor(level=1).compress(record * each)
        blocks = [encode.stored_block(n, each * len(record), frame) for n in range(1, -(-times // each) + 1)]
        return encode.header() + encode.block(0, head) + b"".join(blocks)

    files = [
        repeat(encode.ROOTED, encode.round_((1 << 64) - 1), 10_000_000),
        repeat(encode.ROOTED + encode.fault(0, 0, 1, 1, 0), encode.fault(widest, widest, widest), 2_000_000),
        repeat(
            encode.ROOTED + encode.fault(0, 0, 1, 1, 0),
            encode.fault(-widest, -widest, (1 << 64) - 1, by_time=True),
            2_000_000,
        ),
        repeat(encode.ROOTED, encode.site(widest, 0), 100_000),
        repeat(encode.ROOTED, encode.cgroup(widest, widest, widest), 500_000),
        repeat(encode.ROOTED, encode.sample(0, widest, widest, -widest, widest, -widest), 20_000),
        repeat(encode.ROOTED, encode.lost(0, widest, widest), 500_000),
    ]
    for outcome in reader.run_bytes(files):
        assert outcome.kind in ("ok", "format"), outcome


def damaged(rng: random.Random, records: bytes) -> bytes:
    data = bytearray(records)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data))
        to = min(len(data), at + rng.choice((1, 2, 8, 40)))
        what = rng.randrange(5)
        if what == 0:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif what == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 2 and len(data) > 60:
            del data[at:to]
        elif what == 3:
            data[at:at] = data[at:to]
        else:
            data[at:at] = rng.randbytes(to - at) if rng.randrange(2) else b"\xff" * 9 + b"\x01"
    return bytes(data)


def modest(trace: Trace) -> bool:
    """No number in it is so large that 64-bit sums could run over."""
    limit = 1 << 40
    numbers = [n for fault in trace.faults for n in (abs(fault.time), fault.rise, fault.weight)]
    numbers += [
        abs(n) for records in (trace.samples, trace.marks, trace.periods, trace.lost) for r in records for n in r
    ]
    numbers += trace.left_out or ()
    numbers += [n for process in trace.processes for n in (process.pid, process.parent, process.time)]
    numbers += [n for process in trace.processes for n in (*process.counters.values(), *(process.end or ()))]
    numbers += [n for thread in trace.threads for n in (thread.tid, thread.time)]
    numbers += [n for code in trace.codes.items() for n in (code[0][1], code[1].first_line)]
    numbers += [n for node in trace.nodes for n in (node.code, node.offset)]
    numbers += [abs(n) for cgroup in trace.cgroups for n in (cgroup.time, cgroup.usage, cgroup.limit or 0)]
    return max(numbers, default=0) < limit


@pytest.mark.parametrize("seed", range(8))
def test_damaged_records(reader: Reader, seed: int) -> None:
    """Blocks whose CRC holds over nonsense. The C reader may be stricter than the oracle, not laxer, not different."""
    rng = random.Random(seed)
    bases = [zstandard.ZstdDecompressor().decompress(data) for data in small_frames()]
    whole = b"".join(bases)
    files = [encode.build(damaged(rng, whole)) for _ in range(600)]
    agreed = 0
    for number, (data, outcome) in enumerate(zip(files, reader.run_bytes(files), strict=True)):
        assert outcome.kind == "ok" or refused(outcome), (number, outcome)
        try:
            trace = pmt.decode(data)
        except FormatError as error:
            assert outcome.kind == "format", (number, error)
            continue
        if outcome.kind == "ok" and modest(trace):
            check(outcome, data, trace=trace)
            agreed += 1
    assert agreed > 50


def small_frames() -> list[bytes]:
    data = synth.small_trace()
    return [data[start + 20 : end] for start, end in pmt.decode(data).blocks]


def test_random_bytes(reader: Reader) -> None:
    rng = random.Random(3)
    files = [encode.build(encode.ROOTED + rng.randbytes(rng.randrange(400))) for _ in range(2_000)]
    files += [encode.header() + rng.randbytes(rng.randrange(20, 400)) for _ in range(200)]
    for outcome in reader.run_bytes(files):
        assert outcome.kind == "ok" or refused(outcome), outcome
