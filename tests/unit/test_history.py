"""Who held the memory over time, from a trace that has been read already."""

import pickle
from pathlib import Path

import pytest

from oracle import encode, synth
from pymemtrace.report import timeline
from pymemtrace.tracefile import TraceFile

_analysis = pytest.importorskip("pymemtrace._analysis")

TIMES = [0, 50_000, 100_000, 1_000_000]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_was_asked_for_before(seed: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.random_trace(seed).finish())
    read = [_analysis.analyze(path, None, at)["read"] for at in (None, ("peak",), ("time", 50_000))]
    first, *others = [_analysis.history(path, None, TIMES, each) for each in (None, *read)]
    assert len(first["held"]) == len(TIMES)
    assert any(first["resident"])
    assert others == [first, first, first]


@pytest.mark.parametrize("seed", range(8))
def test_the_moments_alone(seed: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.pmt")
    Path(path).write_bytes(synth.random_trace(seed).finish())
    found = _analysis.history(path, None, TIMES, _analysis.analyze(path)["read"])
    alone = [_analysis.analyze(path, None, ("time", time))["held"] for time in TIMES]
    assert found["held"] == alone


def test_another_trace_by_now(tmp_path: Path) -> None:
    path = tmp_path / "x.pmt"
    whole = synth.random_trace(1).finish()
    path.write_bytes(whole)
    read = _analysis.analyze(str(path))["read"]
    page_size = _analysis.analyze(str(path))["page_size"]
    head = encode.header(wall=1, page_size=page_size)
    path.write_bytes(head + whole[len(head) :])
    with pytest.raises(_analysis.FormatError, match="another trace was written there meanwhile; read it anew"):
        _analysis.history(str(path), None, TIMES, read)


@pytest.mark.parametrize("read", [1, "read"])
def test_nothing_that_was_read(read: object, tmp_path: Path) -> None:
    path = tmp_path / "x.pmt"
    path.write_bytes(synth.random_trace(1).finish())
    with pytest.raises(ValueError, match="PyCapsule"):
        _analysis.history(str(path), None, TIMES, read)


def test_a_pickled_trace(tmp_path: Path) -> None:
    path = tmp_path / "x.pmt"
    path.write_bytes(synth.random_trace(1).finish())
    trace = TraceFile(path)
    again = pickle.loads(pickle.dumps(trace))
    assert again.by_line == trace.by_line
    assert timeline.read(again, "function", 5, 20) == timeline.read(trace, "function", 5, 20)
