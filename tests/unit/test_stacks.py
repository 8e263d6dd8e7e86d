"""What the C part says of stacks by thread, of call trees by thread and of columns in pieces, against the oracle."""

from collections import Counter
from pathlib import Path

import pytest

from oracle import events, pmt, sums, synth

_analysis = pytest.importorskip("pymemtrace._analysis")


@pytest.mark.parametrize("seed", range(12))
def test_what_each_thread_touched(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pmt"
    path.write_bytes(synth.random_trace(seed).finish())
    trace = pmt.decode(path)
    for pid in (None, *{process.pid for process in trace.processes}):
        expected = sums.aggregate(trace, pid)
        found = _analysis.stacks(str(path), pid, None)
        assert found["threads"] == [(t.process, t.tid, t.name) for t in trace.threads]
        by_thread: Counter[int] = Counter()
        faults: Counter[int] = Counter()
        by_stack: Counter[tuple[tuple[object, ...], ...]] = Counter()
        native: Counter[tuple[str, int]] = Counter()
        for node, thread, library, offset, _resident, touched, count in found["owners"]:
            by_thread[thread] += touched
            faults[thread] += count
            stack = []
            if node == 0:
                native[library, offset] += touched
            while node:
                node, frame = found["nodes"][node]
                stack.append(found["frames"][frame])
            by_stack[tuple(reversed(stack))] += touched
        assert +by_thread == +Counter({n: cost.self for n, cost in expected.threads.items()})
        assert +faults == +Counter({n: cost.faults for n, cost in expected.threads.items()})
        assert +native == +Counter({place: cost.self for place, cost in expected.native.items()})
        assert +by_stack == +_by_stack(expected)


def _by_stack(found: sums.Aggregate) -> Counter[tuple[tuple[object, ...], ...]]:
    stacks: Counter[tuple[tuple[object, ...], ...]] = Counter()
    for node in found.tree:
        frames, at = [], node
        while at.frame is not None:
            frames.append((at.frame.file, at.frame.line, at.frame.name, at.frame.first_line))
            at = found.tree[at.parent]
        stacks[tuple(reversed(frames))] += node.cost.self
    stacks[()] = sum(cost.self for cost in found.native.values())
    return stacks


@pytest.mark.parametrize("seed", range(12))
def test_what_each_thread_holds(seed: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.random_trace(seed).finish())
    for at in ("peak",), ("end",), ("time", 100_000):
        result = _analysis.analyze(path, None, at)
        held: Counter[int] = Counter()
        nodes: Counter[int] = Counter()
        for node, thread, _library, _offset, resident, *_rest in _analysis.stacks(path, None, at)["owners"]:
            held[thread] += resident
            nodes[node] += resident
        assert [held[n] for n in range(len(result["threads"]))] == [row[3] for row in result["threads"]]
        assert [nodes[n] for n in range(len(result["tree"]))] == [row[2] for row in result["tree"]]


@pytest.mark.parametrize("seed", range(12))
def test_call_trees_of_threads(seed: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.event_trace(seed).finish())
    together = _analysis.call_tree(path)["nodes"]
    apart = _analysis.call_tree(path, by_thread=True)["nodes"]

    def sums_of(nodes: list[tuple[object, ...]], skip: int) -> Counter[tuple[object, ...]]:
        found: Counter[tuple[object, ...]] = Counter()
        paths: list[tuple[object, ...]] = [()]
        for parent, file, line, name, *numbers in nodes[1:]:
            paths.append((*paths[parent], (file, line, name)))  # type: ignore[call-overload]
            for what, number in enumerate(numbers):
                found[(*paths[-1][skip:], what)] += number  # type: ignore[assignment, call-overload]
        return found

    whole = sums_of(together, 0)
    split = sums_of(apart, 1)
    assert {key: value for key, value in split.items() if len(key) > 1 and value} == {
        k: v for k, v in whole.items() if v
    }
    assert apart[0] == together[0]
    threads = pmt.decode(path).threads
    assert all(row[2] < len(threads) for row in apart if row[0] == 0)
    rows = events.log(pmt.decode(path))
    called = {row.tid for row in rows if row.kind in ("call", "c_call", "resume", "throw")}
    assert {threads[row[2]].tid for row in apart if row[0] == 0} >= called


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_columns_in_pieces(most: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.event_trace(5).finish())
    whole = _analysis.Log(path).columns()
    log = _analysis.Log(path)
    pieces = []
    while (piece := log.columns(most)) is not None:
        assert len(piece["kind"]) <= most
        pieces.append(piece)
    assert {name: b"".join(piece[name] for piece in pieces) for name in whole} == whole
    assert log.columns() == {name: b"" for name in whole} and log.columns(most) is None
    with pytest.raises(TypeError):
        log.columns("many")
    with pytest.raises(OverflowError):
        log.columns(-1)


def test_codes_of_a_log(tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.event_trace(5).finish())
    log = _analysis.Log(path)
    named = {(log.texts[name], log.texts[file]) for name, file in log.codes}
    rows = [row for batch in iter(lambda: log.rows(100), None) for row in batch]
    assert {(row[5], row[6]) for row in rows if row[5] is not None} <= named
