"""The C reader and analysis against the oracle: equal on good traces."""

import os
import random
from pathlib import Path

import pytest
from reader_check import check
from reader_child import Case, Reader

from oracle import encode, pmt, synth


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
    for outcome in reader.run([(data, 102), (data, 0), (data, -1), (encode.header(), 1)]):
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
        writer.raw(encode.code(process, ident, ident, "many.py", f"f{ident}"))
        writer.raw(encode.code_lines(process, ident, encode.random_linetable(rng, ident, 30)[0]))
    for time in range(60_000):
        writer.fault(time * 99_000_000, rng.randrange(1 << 64), rng.randrange(1 << 20), rng.choice(nodes))
    data = writer.finish(1 << 44)
    trace = pmt.decode(data)
    assert len(trace.blocks) > 1
    check(reader.run_bytes([data])[0], data, trace=trace)


def test_tiny_traces(reader: Reader) -> None:
    root = encode.ROOTED
    files = [
        encode.header(),
        encode.header(minor=9, features=1 << 32 | 1 << 63),
        encode.build(encode.trailer(5)),
        encode.build(b"\0"),
        encode.build(b"\0" * (1 << 20)),
        encode.build(encode.cold(0x7D), encode.cold(0xFF, bytes(1000))),
        encode.build(encode.process(7, 1, 3)),
        encode.build(encode.process(7, 1, 3) + encode.node(1, 0, 0) + encode.node(1, 1, 0)),
        encode.build(encode.cold(0x41, encode.u(7), encode.u(1), encode.u(0), b"\xff\xff")),
        encode.build(root + encode.sample(0, 5, 10, 20, 30, 40), encode.sample(0, 5, -10, -20, -30, -40)),
        encode.build(root + encode.fault(5, 5, 0, 1, 0, by_time=True)),
        encode.build(root + encode.fault(5, -5, 1, 1, 0, by_time=True) + bytes.fromhex("26904e804002")),
        encode.build(
            root + encode.fault(5, 1 << 63, 2, 1, 0, more=0xFF, caller=0, rss=0, fell_to=0) + encode.fault(-2, 1 << 63)
        ),
    ]
    for data, outcome in zip(files, reader.run_bytes(files), strict=True):
        check(outcome, data)


def test_samples_are_bytes_by_kind(reader: Reader) -> None:
    (outcome,) = reader.run_bytes([synth.small_trace()])
    assert outcome.samples == [
        {"process": 0, "time_ns": 190, "anon": 1200 << 10, "file": 300 << 10, "shmem": 10 << 10, "swap": 0}
    ]


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


def test_pid_twice(reader: Reader) -> None:
    """A pid used again: no promise which process is meant, but one is."""
    data = encode.build(encode.ROOTED + encode.process(7, 1, 5))
    assert reader.run([(data, 7)])[0].kind == "ok"


def test_no_leak(reader: Reader) -> None:
    """Good, cut, corrupt and refused files over and over: the second half of the calls needs no more memory."""
    good = synth.random_trace(2).finish(1 << 40)
    corrupt = encode.build(*[encode.ROOTED] * 3, b"\x09")
    missing = str(reader.path.with_name("missing"))
    cases: list[Case] = [(good, None), (good, 1), (good[:-9], None), (corrupt, None), (missing, None)]
    reader.run(cases * 200)
    assert reader.growth_kib[1] < 1 << 10
