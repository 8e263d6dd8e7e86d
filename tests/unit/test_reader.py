"""The C reader and analysis against the oracle: equal on good traces, orderly on all others.

Every call of the C module happens in a child process, so that a crash fails the one test that caused it. Where
docs/format.md leaves a choice, the comparison is as wide as the choice; each such place says so.

Long, for it is one list of cases.
"""

import functools
import io
import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import zstandard

from oracle import pmt, synth

pytest.importorskip("pymemtrace")  # installed, but without its extension module: the tests fail

CHILD = """
import pickle, sys
from pymemtrace import _analysis

def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))

def call(function, *args):
    try:
        return "ok", function(*args)
    except _analysis.FormatError as error:
        return "format", str(error)
    except Exception as error:
        return type(error).__name__, str(error)

cases, path, out = pickle.load(sys.stdin.buffer), sys.argv[1], sys.stdout.buffer
half = 0
start = status("VmHWM")
for number, (data, pid) in enumerate(cases):
    if number == len(cases) // 2:
        half = status("VmHWM")
    if isinstance(data, bytes):
        with open(path, "wb") as file:
            file.write(data)
    name = path if isinstance(data, bytes) else data
    pickle.dump((*call(_analysis.analyze, name, pid), *call(_analysis.samples, name)), out)
    out.flush()
end = status("VmHWM")
pickle.dump((end - start, end - half), out)
"""

Case = tuple[bytes | str, int | None]  # the file's content or its path; the pid
K = TypeVar("K")


class Outcome(NamedTuple):
    """Kinds: "ok" with a result, "format" with the message of a FormatError, else an exception's class name."""

    kind: str
    value: Any
    samples_kind: str
    samples: Any


class Reader:
    """Runs analyze() and samples() on many files in one child process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.growth_kib = (0, 0)  # of the last child's peak memory: over all its cases, over their second half

    def run(self, cases: Sequence[Case], timeout: float = 300) -> list[Outcome]:
        child = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", CHILD, str(self.path)],
            input=pickle.dumps(list(cases)),
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        out, outcomes = io.BytesIO(child.stdout), []
        try:
            for _ in cases:
                outcomes.append(Outcome(*pickle.load(out)))
            self.growth_kib = pickle.load(out)
        except (EOFError, pickle.UnpicklingError):
            how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
            pytest.fail(f"the reader died ({how}) in case {len(outcomes)}:\n{child.stderr.decode(errors='replace')}")
        return outcomes

    def run_bytes(self, cases: Iterable[bytes]) -> list[Outcome]:
        return self.run([(data, None) for data in cases])


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "case.pmt")


# Comparison


def costly(costs: Mapping[K, pmt.Cost]) -> dict[K, pmt.Cost]:
    """Without the rows in which everything is 0: to list them or not is free."""
    return {key: cost for key, cost in costs.items() if cost != pmt.Cost()}


def rows(listed: Iterable[tuple[Any, ...]], width: int) -> dict[Any, pmt.Cost]:
    """Rows of a key of `width` values, self, total, faults, by_time."""
    costs = {row[0] if width == 1 else tuple(row[:width]): pmt.Cost(*row[width:]) for row in listed}
    assert len(costs) == len(list(listed)), "a key stands twice"
    return costly(costs)


def by_instruction(costs: Mapping[tuple[str, int], pmt.Cost]) -> dict[tuple[str, int], pmt.Cost]:
    """Without a module the meaning of the offset is free: such rows are joined."""
    joined: dict[tuple[str, int], pmt.Cost] = {}
    for (path, offset), cost in costs.items():
        own = joined.setdefault((path, offset if path else 0), pmt.Cost())
        own.self += cost.self
        own.total += cost.total
        own.faults += cost.faults
        own.by_time += cost.by_time
    return costly(joined)


def check_tree(result: dict[str, Any], frames: list[pmt.Frame], expected: list[pmt.TreeNode]) -> None:
    """Nodes without a frame (process roots, if listed) count as their parent; nodes without a fault are free."""
    tree = result["tree"]
    assert tree[0][1] == -1
    busy = [node[4] > 0 for node in tree]
    for index in range(len(tree) - 1, 0, -1):
        assert 0 <= tree[index][0] < index, "a parent stands behind its child"
        busy[tree[index][0]] |= busy[index]
    places = {(node.parent, node.frame): index for index, node in enumerate(expected)}
    place_of: list[int] = [0]
    found = [pmt.Cost() for _ in expected]
    for index, (parent, frame, own, total, faults) in enumerate(tree):
        place = place_of[parent] if index else 0
        if frame >= 0 and place >= 0:
            place = places.get((place, frames[frame]), -1)
            assert place >= 0 or not busy[index], f"unknown tree node {frames[frame]}"
            assert place < 0 or found[place] == pmt.Cost(), "a frame stands twice below one parent"
        if index:
            place_of.append(place)
        if place >= 0:
            found[place].self += own
            found[place].faults += faults
            if frame >= 0 or index == 0:
                found[place].total = total
    assert found == [pmt.Cost(node.cost.self, node.cost.total, node.cost.faults) for node in expected]


def check_processes(result: dict[str, Any], trace: pmt.Trace, pid: int | None) -> None:
    if pid is None:
        assert len(result["processes"]) == len(trace.processes)
    entries = [entry for entry in result["processes"] if pid in (None, entry["pid"])]
    chosen = [(p, s) for p, s in zip(trace.processes, pmt.summarize(trace), strict=True) if pid in (None, p.pid)]
    for entry, (process, own) in zip(entries, chosen, strict=True):
        assert (entry["pid"], entry["parent"], entry["start_ns"]) == (process.pid, process.parent, process.time)
        assert (entry["meta"], entry["counters"], entry["end"]) == (process.meta, process.counters, process.end)
        assert (entry["rss_start"], entry["rss_end"]) == (own.rss_start, own.rss_end)
        assert own.rss_peak_least <= entry["rss_peak"] <= own.rss_peak_most
        assert (entry["touched"], entry["faults"]) == (own.touched, own.faults)
        assert entry["period"] == max(own.periods, default=0)
        assert entry["period_changes"] == max(len(own.periods) - 1, 0)


def check(outcome: Outcome, data: bytes, pid: int | None = None, trace: pmt.Trace | None = None) -> None:
    """The result is the oracle's."""
    assert (outcome.kind, outcome.samples_kind) == ("ok", "ok"), outcome
    result = outcome.value
    trace = trace or pmt.decode(data)
    expected = pmt.aggregate(trace, pid)

    assert result["version"] == trace.version
    assert (result["page_size"], result["wall_ns"]) == (trace.page_size, trace.wall_ns)
    assert (result["complete"], result["good_bytes"]) == (trace.complete, trace.good_bytes)
    assert result["file_bytes"] == trace.file_bytes
    assert trace.stored_bytes <= result["fault_bytes"] <= trace.good_bytes  # with or without the block headers
    assert result["meta"] == trace.meta
    if trace.complete:  # of a cut file the duration is a guess
        assert result["duration_ns"] == trace.duration
    if pid is None:  # with a pid: the trace's or the process's
        assert result["signals"] == expected.signals
        limits = [cgroup.limit for cgroup in trace.cgroups]
        assert result["limit_kib"] == next((limit for limit in reversed(limits) if limit is not None), None)
        assert result["cgroup_peak_kib"] == max((cgroup.usage for cgroup in trace.cgroups), default=None)
        assert result["lost"] == expected.lost
        out = trace.left_out
        assert result["left_out"] == (out and (out.time, out.faults, out.pages * trace.page_size, out.error))

    frames = [pmt.Frame(*frame) for frame in result["frames"]]
    assert len(set(frames)) == len(frames), "a frame stands twice"
    assert rows([(frames[line[0]], *line[1:]) for line in result["lines"]], 1) == costly(expected.lines)
    for table in ("lines", "functions", "files"):
        assert_sorted(result[table], {"lines": 1, "functions": 3, "files": 1}[table])
    assert rows(result["functions"], 3) == costly(expected.functions)
    assert rows(result["files"], 1) == costly(expected.files)

    threads = [
        (thread.process, thread.tid, thread.name, cost.total, cost.faults)
        for thread, cost in ((trace.threads[index], cost) for index, cost in expected.threads.items())
    ]
    listed = result["threads"]
    if pid is not None:  # idle threads, of this process or others, may be listed or not
        threads, listed = [[t for t in some if t[3:] != (0, 0)] for some in (threads, listed)]
    assert sorted(listed) == sorted(threads)

    native = [(path, offset, size, size, faults, by_time) for path, offset, size, faults, by_time in result["native"]]
    assert by_instruction(rows(native, 2)) == by_instruction(expected.native)
    sites = [(path, offset, size, size, faults, 0) for path, offset, size, faults in result["sites"]]
    for cost in expected.sites.values():
        cost.by_time = 0  # not in this table
    assert by_instruction(rows(sites, 2)) == by_instruction(expected.sites)

    check_tree(result, frames, expected.tree)
    totals = ("touched_total", "touched_kernel", "touched_tracer", "touched_by_time")
    assert {name: result[name] for name in totals} == {name: getattr(expected, name) for name in totals}
    check_processes(result, trace, pid)
    kib = 1024
    assert [tuple(sample.values()) for sample in outcome.samples] == [
        (s.process, s.time, s.anon * kib, s.file * kib, s.shmem * kib, s.swap * kib) for s in trace.samples
    ]


def assert_sorted(table: list[tuple[Any, ...]], column: int) -> None:
    sizes = [row[column] for row in table]
    assert sizes == sorted(sizes, reverse=True)


def refused(outcome: Outcome) -> bool:
    """A FormatError with one clear line."""
    if outcome.kind != "format":
        return False
    assert outcome.samples_kind in ("format", "ok")  # samples() may leave records unread that it has no use for
    assert outcome.value.strip()
    assert "\n" not in outcome.value
    return True


# Good traces


def test_small_trace(reader: Reader) -> None:
    data = synth.small_trace()
    check(reader.run_bytes([data])[0], data)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_traces(reader: Reader, first: int) -> None:
    data = [synth.random_trace(seed).finish(1 << 40 if seed % 5 else None) for seed in range(first, first + 20)]
    for case, outcome in zip(data, reader.run_bytes(data), strict=True):
        check(outcome, case)


def test_processes_alone(reader: Reader) -> None:
    for seed in range(6):
        writer = synth.random_trace(seed, rounds=20)
        pids = [pid for pid, _, _ in writer.processes]
        data = writer.finish(1 << 40)
        for pid, outcome in zip(pids, reader.run([(data, pid) for pid in pids]), strict=True):
            check(outcome, data, pid)


def test_unknown_pid(reader: Reader) -> None:
    data = synth.small_trace()
    for outcome in reader.run([(data, 102), (data, 0), (data, -1), (synth.header(), 1)]):
        assert outcome.kind == "ValueError"
    assert reader.run([(data, 1 << 70)])[0].kind in ("ValueError", "OverflowError")


def test_deep_stacks(reader: Reader) -> None:
    data = synth.deep_trace()
    check(reader.run_bytes([data])[0], data)


def test_many_faults(reader: Reader) -> None:
    """Blocks of the full size, and many of them."""
    rng = random.Random(0)
    writer = synth.Writer()
    process = writer.process(1)
    writer.batch(writer.thread(process, 1))
    nodes = [writer.root(process)]
    for _ in range(300):
        nodes.append(writer.node(rng.choice(nodes[-20:]), rng.randrange(1, 30), rng.randrange(0, 90, 2)))
    for ident in range(1, 25):
        writer.raw(synth.code(process, ident, ident, "many.py", f"f{ident}"))
        writer.raw(synth.code_lines(process, ident, synth.random_linetable(rng, ident, 30)[0]))
    for time in range(100_000):
        writer.fault(time * 99_000_000, rng.randrange(1 << 64), rng.randrange(1 << 20), rng.choice(nodes))
    data = writer.finish(1 << 44)
    trace = pmt.decode(data)
    assert len(trace.blocks) > 1
    check(reader.run_bytes([data])[0], data, trace=trace)


def test_tiny_traces(reader: Reader) -> None:
    root = synth.ROOTED
    files = [
        synth.header(),
        synth.header(minor=9, features=1 << 32 | 1 << 63),
        synth.build(synth.trailer(5)),
        synth.build(b"\0"),
        synth.build(b"\0" * (1 << 20)),
        synth.build(synth.cold(0x7D), synth.cold(0xFF, bytes(1000))),
        synth.build(synth.process(7, 1, 3)),
        synth.build(synth.process(7, 1, 3) + synth.node(1, 0, 0) + synth.node(1, 1, 0)),
        synth.build(synth.cold(0x41, synth.u(7), synth.u(1), synth.u(0), b"\xff\xff")),
        synth.build(root + synth.sample(0, 5, 10, 20, 30, 40), synth.sample(0, 5, -10, -20, -30, -40)),
        synth.build(root + synth.fault(5, 5, 0, 1, 0, by_time=True)),
        synth.build(root + synth.fault(5, -5, 1, 1, 0, by_time=True) + bytes.fromhex("26904e804002")),
        synth.build(root + synth.fault(5, 1 << 63, 2, 1, 0, more=0xFF, caller=0) + synth.fault(-2, 1 << 63)),
    ]
    for data, outcome in zip(files, reader.run_bytes(files), strict=True):
        check(outcome, data)


def test_samples_are_bytes_by_kind(reader: Reader) -> None:
    (outcome,) = reader.run_bytes([synth.small_trace()])
    assert outcome.samples == [
        {"process": 0, "time_ns": 190, "anon": 1200 << 10, "file": 300 << 10, "shmem": 10 << 10, "swap": 0}
    ]


# Cut and damaged files


def test_every_cut(reader: Reader) -> None:
    data = synth.small_trace()
    for length, outcome in enumerate(reader.run_bytes(data[:length] for length in range(len(data) + 1))):
        if length < 64:
            assert refused(outcome), (length, outcome)
        else:
            check(outcome, data[:length])
            assert outcome.value["complete"] == (length == len(data))


def test_zero_tails(reader: Reader) -> None:
    data = synth.small_trace()
    ends = [64, *(end for _, end in pmt.decode(data).blocks)]
    files = [data[:end] + bytes(tail) for end in ends for tail in (1, 3, 4, 19, 20, 21, 5_000)]
    for case, outcome in zip(files, reader.run_bytes(files), strict=True):
        check(outcome, case)


def test_every_flipped_bit(reader: Reader) -> None:
    """Refused, or read up to a block's end before the damage."""
    data = synth.small_trace()
    ends = [64, *(end for _, end in pmt.decode(data).blocks)]
    files = [
        data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :] for bit in range(len(data) * 8)
    ]
    prefixes = {}
    for bit, outcome in enumerate(reader.run_bytes(files)):
        if not refused(outcome):
            assert outcome.kind == "ok", (bit, outcome)
            good = outcome.value["good_bytes"]
            assert not outcome.value["complete"]
            assert good in ends
            assert 64 <= good <= max(bit // 8, 64)
            if good not in prefixes:
                prefixes[good] = pmt.decode(data[:good])
                prefixes[good].file_bytes = len(data)
            check(outcome, data, trace=prefixes[good])


def test_garbage_behind_the_trace(reader: Reader) -> None:
    data = synth.small_trace()
    for outcome in reader.run_bytes([data + b"x" * 20, data + data, data + bytes(30) + b"PBLK" + bytes(30)]):
        assert refused(outcome), outcome


def test_headers_refused(reader: Reader) -> None:
    good = synth.header()
    files = {
        "empty": b"",
        "text": b"import sys\n" * 50,
        "magic": synth.header(magic=b"\x89PNG\r\n\x1a\n"),
        "major 2": synth.header(major=2),
        "major 65535": synth.header(major=0xFFFF),
        "feature 0": synth.header(features=1),
        "feature 31": synth.header(features=1 << 31),
        "byte order": synth.header(order=0x04030201),
        "crc": good[:60] + bytes(4),
    }
    for (name, _), outcome in zip(files.items(), reader.run_bytes(files.values()), strict=True):
        assert refused(outcome), (name, outcome)


def test_odd_page_sizes(reader: Reader) -> None:
    """Free to refuse, not to crash."""
    data = synth.small_trace()[64:]
    for page_size in (0, 1, 3, 1 << 31, 0xFFFFFFFF):
        (outcome,) = reader.run_bytes([synth.header(page_size=page_size) + data])
        assert outcome.kind in ("ok", "format")


def test_paths(reader: Reader, tmp_path: Path) -> None:
    data = synth.small_trace()
    odd = tmp_path / os.fsdecode(b"gr\xc3\xb6\xff\xfe")
    odd.write_bytes(data)
    (tmp_path / "empty").touch()
    paths = [tmp_path, tmp_path / "missing", tmp_path / "empty" / "below", odd]
    outcomes = reader.run([(str(path), None) for path in paths])
    assert [(o.kind, o.samples_kind) for o in outcomes] == [
        ("IsADirectoryError", "IsADirectoryError"),
        ("FileNotFoundError", "FileNotFoundError"),
        ("NotADirectoryError", "NotADirectoryError"),
        ("ok", "ok"),
    ]
    assert str(tmp_path / "missing") in outcomes[1].value
    assert reader.run([("nul\0inside", None)])[0].kind == "ValueError"


@functools.cache
def bombs() -> dict[str, bytes]:
    """Frames that inflate to 256 MiB, or lie about what they inflate to."""
    zeros = bytes(256 << 20)
    sized = zstandard.ZstdCompressor(level=1).compress(zeros)
    unsized = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(zeros)
    window = zstandard.ZstdCompressionParameters.from_level(1, window_log=27, write_content_size=False)
    wide = zstandard.ZstdCompressor(compression_params=window).compress(zeros)
    records = synth.ROOTED
    frame = zstandard.ZstdCompressor().compress(records)
    return {
        "a small raw length": synth.stored_block(0, 100, sized),
        "the largest raw length": synth.stored_block(0, 1 << 20, sized),
        "no content size": synth.stored_block(0, 1 << 20, unsized),
        "a wide window": synth.stored_block(0, 1 << 20, wide),
        "a raw length beyond the limit": synth.stored_block(0, 256 << 20, sized),
        "a raw length of 4 GiB": synth.stored_block(0, 0xFFFFFFFF, sized),
        "raw length 0": synth.stored_block(0, 0, frame),
        "one byte more": synth.stored_block(0, len(records) + 1, frame),
        "one byte less": synth.stored_block(0, len(records) - 1, frame),
        "an empty frame": synth.stored_block(0, 1, b""),
        "a cut frame": synth.stored_block(0, len(records), frame[:-1]),
        "no frame": synth.stored_block(0, len(records), records),
        "only a skippable frame": synth.stored_block(0, 8, b"\x50\x2a\x4d\x18\x08\0\0\0" + bytes(8)),
        "a stored length beyond the limit": synth.stored_block(0, 1, bytes((2 << 20) + 1)),
        "another sequence number": synth.stored_block(1, len(records), frame),
        "another magic": synth.stored_block(0, len(records), frame, b"QBLK"),
    }


def test_blocks_refused(reader: Reader) -> None:
    files = [synth.header() + block for block in bombs().values()]
    for name, outcome in zip(bombs(), reader.run_bytes(files), strict=True):
        assert refused(outcome), (name, outcome)
    assert reader.growth_kib[0] < 64 << 10


def test_records_refused(reader: Reader) -> None:
    files = [synth.build(records) for records in synth.REFUSED.values()]
    files += [synth.build(synth.meta(0, "cwd", "/"), records) for records in synth.REFUSED.values()]
    for name, outcome in zip([*synth.REFUSED, *synth.REFUSED], reader.run_bytes(files), strict=True):
        assert refused(outcome), (name, outcome)


def test_records_of_doubt(reader: Reader) -> None:
    """What the format does not rule on: refused, or read as the oracle reads it if it does."""
    root, hit, huge = synth.ROOTED, synth.fault(1, 1, 1, 2, 0), synth.U64
    files = {
        "not UTF-8": root + synth.cold(0x40, synth.u(0), synth.text(b"\xff\xc0\x80"), synth.text(b"\xf8")),
        "cut UTF-8": root + synth.cold(0x44, synth.u(0), synth.text(b"\xe2\x82")),
        "code id 0": root + synth.code(0, 0, 1, "f", "n"),
        "code id of 64 bits": root + synth.code(0, huge, 1, "f", "n") + synth.node(1, huge, 0) + hit,
        "code id 2**32 + 1": root + synth.code(0, 1, 1, "f", "n") + synth.node(1, 1 + (1 << 32), 0) + hit,
        "code twice": root + synth.code(0, 1, 1, "f", "n") * 2 + synth.node(1, 1, 0) + hit,
        "first line of 64 bits": root + synth.code(0, 1, huge, "f", "n") + synth.node(1, 1, 0) + hit,
        "offset of 64 bits": root + synth.code(0, 1, 1, "f", "n") + synth.node(1, 1, huge) + hit,
        "frame without a process": root + synth.node(2, 1, 0) + hit,
        "process root below a frame": root + synth.node(1, 0, 0) + hit,
        "node 0": root + synth.fault(1, 1, 1, 0, 0),
        "first FAULT with SAME_SITE": root + synth.fault(1, 1, 1, 1),
        "time before the start": root + synth.fault(-1, 1, 1, 1, 0),
        "overlong number": root + b"\x01\x80\x80\x00",
        "weight 0": root + synth.weight(0) + synth.fault(1, 1, 1, 1, 0),
        "weight of 64 bits": root + synth.weight(huge) + synth.fault(1, 1, 1, 1, 0) + synth.fault(1, 1),
        "rise of 64 bits": root + synth.fault(1, 1, huge, 1, 0) + synth.fault(1, 1, huge, by_time=True),
        "mark of unknown kind": root + synth.mark(0, 1, 3, 7),
        "mark of 64 bits": root + synth.mark(0, huge, 1, huge),
        "sample of 64 bits": root + synth.sample(0, huge, *[1 << 63] * 4) * 3,
        "sample below 0": root + synth.sample(0, 1, -1, -1, -1, -1),
        "cgroup of 64 bits": root + synth.cgroup(huge, -1 << 63, huge) * 3,
        "counters of 64 bits": root + synth.counter(0, "unowned_pages", huge) + synth.counter(0, "tracer_pages", huge),
        "pid of 64 bits": synth.process(huge, huge, huge) + synth.thread(0, huge, huge, ""),
        "end of 64 bits": root + synth.process_end(0, huge, huge, huge),
        "lost of 64 bits": root + synth.lost(0, huge, huge) * 2,
        "left out of 64 bits": root + synth.left_out(huge, huge, huge, huge) * 2,
        "period of 64 bits": root + synth.period(0, huge, huge),
        "trailer of 64 bits": root + synth.trailer(huge),
        "record behind the trailer": root + synth.trailer(5) + root,
        "two trailers": root + synth.trailer(5) * 2,
        "module of 64 bits": root
        + synth.module(0, huge, huge, huge, "m")
        + synth.site(1, 1)
        + synth.fault(1, 1, 1, 1, 1),
    }
    blocks = [synth.build(records) for records in files.values()]
    for (name, records), outcome in zip(files.items(), reader.run_bytes(blocks), strict=True):
        if outcome.kind == "ok" and "64 bits" not in name:
            try:
                trace = pmt.decode(synth.build(records))
            except pmt.FormatError:
                continue
            check(outcome, b"", trace=trace)
        else:
            assert outcome.kind == "ok" or refused(outcome), (name, outcome)


def test_pid_twice(reader: Reader) -> None:
    """A pid used again: no promise which process is meant, but one is."""
    data = synth.build(synth.ROOTED + synth.process(7, 1, 5))
    assert reader.run([(data, 7)])[0].kind == "ok"


def test_bad_linetables(reader: Reader) -> None:
    rng = random.Random(5)
    files = []
    for _ in range(300):
        table = bytearray(synth.random_linetable(rng, 50, 12)[0])
        for _ in range(rng.randrange(1, 6)):
            table[rng.randrange(len(table))] = rng.randrange(256)
        table = table[: rng.randint(1, len(table))]
        table += rng.choice((b"", b"\xf0" + b"\x7f" * 400, b"\xe8" + b"\x7f" * 10 + b"\x01"))
        w = synth.Writer()
        p = w.process(1)
        w.batch(w.thread(p, 1))
        w.raw(synth.code(p, 1, 50, "f", "n") + synth.code_lines(p, 1, bytes(table)))
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
        blocks = [synth.stored_block(n, each * len(record), frame) for n in range(1, -(-times // each) + 1)]
        return synth.header() + synth.block(0, head) + b"".join(blocks)

    files = [
        repeat(synth.ROOTED, synth.round_((1 << 64) - 1), 10_000_000),
        repeat(synth.ROOTED + synth.fault(0, 0, 1, 1, 0), synth.fault(widest, widest, widest), 2_000_000),
        repeat(
            synth.ROOTED + synth.fault(0, 0, 1, 1, 0),
            synth.fault(-widest, -widest, (1 << 64) - 1, by_time=True),
            2_000_000,
        ),
        repeat(synth.ROOTED, synth.site(widest, 0), 100_000),
        repeat(synth.ROOTED, synth.cgroup(widest, widest, widest), 500_000),
        repeat(synth.ROOTED, synth.sample(0, widest, widest, -widest, widest, -widest), 20_000),
        repeat(synth.ROOTED, synth.lost(0, widest, widest), 500_000),
    ]
    for outcome in reader.run_bytes(files):
        assert outcome.kind in ("ok", "format"), outcome


# Bytes at random


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


def modest(trace: pmt.Trace) -> bool:
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
    files = [synth.build(damaged(rng, whole)) for _ in range(600)]
    agreed = 0
    for number, (data, outcome) in enumerate(zip(files, reader.run_bytes(files), strict=True)):
        assert outcome.kind == "ok" or refused(outcome), (number, outcome)
        try:
            trace = pmt.decode(data)
        except pmt.FormatError as error:
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
    files = [synth.build(synth.ROOTED + rng.randbytes(rng.randrange(400))) for _ in range(2_000)]
    files += [synth.header() + rng.randbytes(rng.randrange(20, 400)) for _ in range(200)]
    for outcome in reader.run_bytes(files):
        assert outcome.kind == "ok" or refused(outcome), outcome


def test_no_leak(reader: Reader) -> None:
    """Good, cut, corrupt and refused files over and over: the second half of the calls needs no more memory."""
    good = synth.random_trace(2).finish(1 << 40)
    corrupt = synth.build(*[synth.ROOTED] * 3, b"\x09")
    missing = str(reader.path.with_name("missing"))
    cases: list[Case] = [(good, None), (good, 1), (good[:-9], None), (corrupt, None), (missing, None)]
    reader.run(cases * 200)
    assert reader.growth_kib[1] < 1 << 10
