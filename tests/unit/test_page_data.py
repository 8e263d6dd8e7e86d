"""What a page keeps of a long trace: no spike of RSS is lost, and what is left out is said."""

from pathlib import Path
from typing import Any

import pytest

from oracle import synth
from pymemtrace.page import document as page_document
from pymemtrace.page.moments import all_moments
from pymemtrace.tracefile import TraceFile

MS = 1_000_000
KIB_LOW, KIB_HIGH = 20_000, 90_000
LENGTH = 6_000  # samples, one each 10 ms: a minute
SPIKES = range(7, LENGTH, 61)  # every 0.6 s, between the moments at equal distances


def document(path: Path) -> dict[str, Any]:
    return page_document.document(str(path), False, lambda done, text: None)


@pytest.fixture
def spiky(tmp_path: Path) -> Path:
    w = synth.Writer()
    p = w.process(7)
    w.raw(synth.meta(p + 1, "engine", "faults"))
    w.thread(p, 7)
    for number in range(LENGTH):
        w.sample(p, number * 10 * MS, KIB_HIGH + number if number in SPIKES else KIB_LOW)
        w.round(number * 10 * MS)
    path = tmp_path / "spiky.pmt"
    path.write_bytes(w.finish(LENGTH * 10 * MS))
    return path


def test_no_spike_is_lost(spiky: Path) -> None:
    [process] = document(spiky)["processes"]
    times = all_moments(TraceFile(spiky).result)
    assert len(times) < 800
    shown = dict(zip(process["times"], process["rss"], strict=True))
    assert {at: shown.get(at) for at in (number / 100 for number in SPIKES)} == {
        number / 100: (KIB_HIGH + number) << 10 for number in SPIKES
    }
    assert process["rss"][process["peak"]] == KIB_HIGH + SPIKES[-1] << 10


def test_a_spike_that_only_faults_tell_of(tmp_path: Path) -> None:
    w = synth.Writer()
    p = w.process(7)
    w.raw(synth.meta(p + 1, "engine", "faults"))
    t = w.thread(p, 7)
    root = w.root(p)
    for number in range(1000):  # ten seconds, and RSS is read each 10 ms
        time = number * 10 * MS
        w.sample(p, time, KIB_LOW)
        w.round(time)
        if number % 50 == 3:
            w.batch(t)
            w.fault(time + 3 * MS, 0x1000_0000 + (number << 24), 4000, root)
        w.round(time + 9 * MS)
    w.raw(synth.counter(p, "rss_peak_pages", KIB_LOW // 4 + 4000) + synth.counter(p, "rss_peak_ns", 33 * MS))
    path = tmp_path / "faults.pmt"
    path.write_bytes(w.finish(1000 * 10 * MS))
    [process] = document(path)["processes"]
    shown = dict(zip(process["times"], process["rss"], strict=True))
    for number in range(3, 1000, 50):
        # Part of the rise may have been in the reading before: what that held nobody had told of.
        assert shown.get(number / 100 + 0.003, 0) >= (KIB_LOW + 11_000) << 10, number


def test_processes_that_are_not_shown_are_counted(tmp_path: Path) -> None:
    w = synth.Writer()
    first = w.process(7)
    w.raw(synth.meta(first + 1, "engine", "faults"))
    for pid in range(100, 220):
        w.sample(w.process(pid, 7, MS), 2 * MS, pid)
    path = tmp_path / "many.pmt"
    path.write_bytes(w.finish(10 * MS))
    found = document(path)
    assert len(found["processes"]) == 100
    assert ["not shown", "21 of 121 processes, those with the lowest peaks of RSS"] in [
        list(item) for item in found["header"]
    ]


def test_more_changes_than_a_page_has_become_their_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = synth.Writer()
    p = w.process(7)
    w.raw(synth.meta(p + 1, "engine", "faults"))
    t = w.thread(p, 7)
    outer = w.node(w.root(p), 1, 0)
    w.raw(synth.code(p, 1, 1, "app.py", "outer"))
    nodes = []
    for ident in range(2, 1002):
        w.raw(synth.code(p, ident, ident, "app.py", f"f{ident}"))
        nodes.append(w.node(outer, ident, 0))
    w.batch(t)
    for number, node in enumerate(nodes * 4):
        w.fault((number + 1) * MS, (1 << 40) + number * 4096, 1, node)
    path = tmp_path / "changes.pmt"
    path.write_bytes(w.finish(5000 * MS))
    whole = document(path)["processes"][0]
    monkeypatch.setattr(page_document, "_CHANGES", 2000)
    less = document(path)["processes"][0]
    assert len(whole["changes"]["node"]) > 1500 >= len(less["changes"]["node"])
    assert whole["note"] != less["note"] and "are shown as their callers'" in less["note"]
    assert sum(whole["changes"]["touched"]) == sum(less["changes"]["touched"]) == 4000 * 4096
