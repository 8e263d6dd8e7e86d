"""The event log: rows, calls, lines and the tree of the C analysis against the oracle's, computed another way."""

import ast
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oracle import encode, events, pmt, synth
from oracle.cursor import FormatError
from oracle.records import Code, Event, Trace

pytest.importorskip("pymemtrace")

CHILD = """
import pickle, sys
from pymemtrace import _analysis

def log(path, pid=None, **chosen):
    log, rows = _analysis.Log(path), []
    log.select(pid=pid, **chosen)
    while (batch := log.rows(7)) is not None:
        rows += batch
    return rows

def call(function, *args, **kwargs):
    try:
        return "ok", function(*args, **kwargs)
    except _analysis.FormatError as error:
        return "format", str(error)

cases, path = pickle.load(sys.stdin.buffer), sys.argv[1]
for data, pid, chosen in cases:
    with open(path, "wb") as file:
        file.write(data)
    results = [call(f, path, pid) for f in (_analysis.calls, _analysis.call_tree, _analysis.line_rows)]
    pickle.dump([*results, call(log, path, pid, **chosen)], sys.stdout.buffer)
"""

Outcome = tuple[str, Any]


def run(tmp_path: Path, cases: list[tuple[bytes, int | None, dict[str, Any]]]) -> list[list[Outcome]]:
    """calls(), call_tree(), line_rows() and the log of each file, in a process of its own: a crash fails the test."""
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", CHILD, str(tmp_path / "case.pmt")],
        input=pickle.dumps(cases),
        capture_output=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert child.returncode == 0, child.stderr.decode(errors="replace")[-2000:]
    out = io.BytesIO(child.stdout)
    return [pickle.load(out) for _ in cases]


def plain(data: bytes) -> tuple[bytes, int | None, dict[str, Any]]:
    return data, None, {}


def check_calls(result: dict[str, Any], trace: Trace, pid: int | None) -> None:
    found = {row[:3]: events.Sums(*row[3:]) for row in result["functions"]}
    assert len(found) == len(result["functions"])
    assert found == events.calls(trace, pid)
    assert pid is not None or result["events"] == sum(
        isinstance(item, Event) and item.kind != 11 for item in trace.history
    )


def check_tree(result: dict[str, Any], trace: Trace, pid: int | None) -> None:
    """By names: the result has no code ids. Siblings of one name are added up."""
    paths: list[tuple[Any, ...]] = []
    found: dict[tuple[Any, ...], list[int]] = {}
    for parent, file, first_line, name, *numbers in result["nodes"]:
        paths.append(() if parent < 0 else (*paths[parent], (file, first_line, name)))
        if parent >= 0:
            found[paths[-1]] = [a + b for a, b in zip(found.get(paths[-1], [0] * 5), numbers, strict=True)]
    expected: dict[tuple[Any, ...], list[int]] = {}
    for path, sums in events.tree(trace, pid).items():
        codes = [trace.codes.get(key, Code(0, "", "")) for key in path]
        named = tuple((code.file, code.first_line, code.name) for code in codes)
        numbers = [sums.calls, sums.time, sums.growth, sums.release, sums.touched]
        expected[named] = [a + b for a, b in zip(expected.get(named, [0] * 5), numbers, strict=True)]
    assert found == expected
    assert result["left_out"] == 0


def check_lines(result: dict[str, Any], trace: Trace, pid: int | None) -> None:
    found = {row[:2]: row[2:] for row in result["lines"]}
    assert len(found) == len(result["lines"])
    assert found == {
        key: (s.calls, s.time, s.growth, s.release, s.largest) for key, s in events.lines(trace, pid).items()
    }


def check(outcome: list[Outcome], data: bytes, pid: int | None = None) -> Trace:
    assert [kind for kind, _ in outcome] == ["ok"] * 4, outcome
    trace = pmt.decode(data)
    calls, tree, lines, log = (value for _, value in outcome)
    check_calls(calls, trace, pid)
    check_tree(tree, trace, pid)
    check_lines(lines, trace, pid)
    assert log == [tuple(row) for row in events.log(trace, pid)]
    return trace


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_traces(tmp_path: Path, first: int) -> None:
    data = [synth.event_trace(seed).finish(1 << 40) for seed in range(first, first + 20)]
    for case, outcome in zip(data, run(tmp_path, [plain(d) for d in data]), strict=True):
        check(outcome, case)


def test_long_traces(tmp_path: Path) -> None:
    data = [synth.event_trace(seed, rounds=20, events=60).finish() for seed in range(5)]
    for case, outcome in zip(data, run(tmp_path, [plain(d) for d in data]), strict=True):
        check(outcome, case)


def test_one_process(tmp_path: Path) -> None:
    for seed in range(10):
        writer = synth.event_trace(seed, rounds=12)
        data = writer.finish(1 << 40)
        pids = [pid for pid, _, _ in writer.processes]
        for pid, outcome in zip(pids, run(tmp_path, [(data, pid, {}) for pid in pids]), strict=True):
            check(outcome, data, pid)


def test_changes_add_up(tmp_path: Path) -> None:
    for seed in range(20):
        data = synth.event_trace(seed).finish()
        rows = [events.Row(*row) for row in run(tmp_path, [plain(data)])[0][3][1]]
        assert [row.t for row in rows] == sorted(row.t for row in rows)
        for pid in {row.pid for row in rows}:
            own = [row for row in rows if row.pid == pid]
            first = next((row.rss for row in own if row.rss), 0)
            assert sum(row.change for row in own) == own[-1].rss - first


@pytest.mark.parametrize("least", [1, 4096, 10_000, 3 * 16384])
def test_least_change(tmp_path: Path, least: int) -> None:
    data = [synth.event_trace(seed).finish() for seed in range(30)]
    for case, outcome in zip(data, run(tmp_path, [(d, None, {"min_change": least}) for d in data]), strict=True):
        expected = events.with_change(events.log(pmt.decode(case)), least)
        assert outcome[3] == ("ok", [tuple(row) for row in expected])


def test_other_filters(tmp_path: Path) -> None:
    data = synth.event_trace(4, rounds=10).finish()
    rows = events.log(pmt.decode(data))
    since, until = rows[len(rows) // 3].t, rows[len(rows) // 2].t
    outcomes = run(
        tmp_path,
        [
            (data, None, {"since": since, "until": until}),
            (data, None, {"threads": b"\0\1"}),
            (data, None, {"names": b""}),
        ],
    )
    assert outcomes[0][3][1] == [tuple(row) for row in rows if since <= row.t <= until]
    tid = pmt.decode(data).threads[1].tid
    assert outcomes[1][3][1] == [tuple(row) for row in rows if row.tid == tid]
    assert outcomes[2][3][1] == []


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("wanted", [(True, True, 0), (False, True, 0), (True, False, 1), (False, False, 20_000)])
@pytest.mark.parametrize(
    ("include", "exclude", "left_out"),
    [([], [], set()), ([], ["a.py"], {"a.py"}), (["b.p?"], [], {"a.py", "<builtins>"})],
    ids=["all", "exclude", "include"],
)
def test_sections(
    tmp_path: Path,
    number: int,
    wanted: tuple[bool, bool, int],
    include: list[str],
    exclude: list[str],
    left_out: set[str],
) -> None:
    lines, c_calls, least = wanted
    patterns = "".join(f"{pattern}\0" for pattern in include + exclude).encode()
    choice = (lines, c_calls, patterns, len(include), len(exclude))
    cases: list[tuple[bytes, int | None, dict[str, Any]]] = []
    for seed in range(40):
        writer = synth.event_trace(seed, rounds=10)
        pid = writer.processes[0][0]
        cases.append((writer.finish(1 << 40), pid, {"section": (number, least, choice)}))
    lengths = []
    for (data, pid, _), outcome in zip(cases, run(tmp_path, cases), strict=True):
        assert pid is not None
        trace = pmt.decode(data)
        pages = -(-least // trace.page_size) * trace.page_size
        expected = events.section(trace, pid, number, lines, c_calls, pages, left_out)
        assert outcome[3] == ("ok", [tuple(row) for row in expected])
        lengths.append(len(expected))
    assert sum(length > 5 for length in lengths) > 10


def test_sections_by_function(tmp_path: Path) -> None:
    """The section's own thread is cut by its notes, another one by their times."""
    w = synth.Writer()
    p = w.process(7)
    main, other = w.thread(p, 7), w.thread(p, 8)
    for ident, name in ((1, "main"), (2, "inner"), (3, "other")):
        w.raw(encode.code(p, ident, ident, "s.py", name))
    w.raw(encode.code_module(p, 2, "package.inside"))
    w.events(main, [(8, 11, 100), (16, 1, 1), (24, 1, 2), (32, 2, 0), (40, 11, 105)])
    w.note(main, 48, 2, 1, "")
    w.events(main, [(56, 1, 2), (64, 11, 110), (72, 2, 0), (80, 1, 2)])
    w.note(main, 88, 4, 1, "")
    w.events(main, [(96, 11, 200), (104, 2, 0), (112, 1, 2)])
    w.note(main, 160, 5, 1, "")
    w.events(main, [(168, 11, 203), (176, 2, 0), (184, 11, 199)])
    w.note(main, 200, 3, 1, "")
    w.events(main, [(208, 11, 300), (216, 2, 0)])
    w.events(other, [(8, 11, 100), (16, 1, 3), (64, 1, 3), (72, 2, 0), (120, 1, 3), (176, 2, 0), (300, 2, 0)])
    path = tmp_path / "case.pmt"
    path.write_bytes(w.finish(10_000))
    code = "import sys; from pymemtrace import _analysis as a; number, patterns = int(sys.argv[2]), sys.argv[3:]\n"
    code += "choice = True, True, ''.join(f'{p}\\0' for p in patterns).encode(), 0, len(patterns)\n"
    code += "print(a.section_calls(sys.argv[1], 7, number, 0, 9999, choice))"
    command = [sys.executable, "-c", code, str(path)]
    found = ast.literal_eval(subprocess.check_output([*command, "1"], text=True, timeout=60))
    sums = {row[2]: events.Sums(*row[3:]) for row in found["functions"]}
    page = 4096
    # calls, time self and total, growth, release, touched, the largest rise
    assert sums["inner"] == events.Sums(2, 40, 40, 8 * page, 8 * page, 0, 0, 0, 0, 5 * page)
    assert sums["main"] == events.Sums(0, 40, 80, 0, 8 * page, 4 * page, 4 * page, 0, 0, 5 * page)
    assert sums["other"] == events.Sums(1, 80, 80)
    assert ast.literal_eval(subprocess.check_output([*command, "2"], text=True, timeout=60))["functions"] == []
    # What is left out is part of the function that called it.
    for pattern in ("inner", "package", "package.ins*"):
        found = ast.literal_eval(subprocess.check_output([*command, "1", pattern], text=True, timeout=60))
        rest = {row[2]: events.Sums(*row[3:]) for row in found["functions"]}
        assert rest["main"].time == rest["main"].time_self == 80 and rest["main"].largest == 5 * page
        assert rest == {"main": rest["main"], "other": sums["other"]}


def test_tangled_events(tmp_path: Path) -> None:
    """Each is refused with one clear line, by the oracle too."""
    files = {name: encode.build(records) for name, records in encode.TANGLED.items()}
    files["too deep"] = encode.build(*encode.TOO_DEEP)
    outcomes = run(tmp_path, [plain(data) for data in files.values()])
    for (name, data), outcome in zip(files.items(), outcomes, strict=True):
        with pytest.raises(FormatError):
            pmt.decode(data)
        for kind, value in outcome:
            assert kind == "format" and value.startswith("an EVENTS record is corrupt"), (name, kind, value)


def test_cut_anywhere(tmp_path: Path) -> None:
    writer = synth.event_trace(7)
    whole = writer.finish(1 << 40)
    ends = [end for _, end in pmt.decode(whole).blocks]
    cuts = [whole[:end] for end in ends] + [whole[: end - 3] for end in ends]
    for case, outcome in zip(cuts, run(tmp_path, [plain(d) for d in cuts]), strict=True):
        check(outcome, case)


def test_without_events(tmp_path: Path) -> None:
    for seed in range(5):
        data = synth.random_trace(seed).finish(1 << 40)
        kinds = [kind for kind, _ in run(tmp_path, [plain(data)])[0]]
        assert kinds == ["ok"] * 4


def test_generator_segments(tmp_path: Path) -> None:
    """Two calls, one of them in three segments; what happens while it is suspended is not its own."""
    w = synth.Writer()
    p = w.process(7)
    t = w.thread(p, 7)
    for ident, name in ((1, "main"), (2, "gen")):
        w.raw(encode.code(p, ident, ident, "g.py", name))
    at = iter(range(8, 8000, 8))
    steps = [
        (11, 100),
        (1, 1),
        (1, 2),
        (11, 110),
        (3, 0),
        (11, 150),
        (4, 2),
        (11, 151),
        (3, 0),
        (4, 2),
        (11, 120),
        (2, 0),
        (2, 0),
    ]
    w.events(t, [(next(at), *step) for step in steps])
    data = w.finish(10_000)
    functions = run(tmp_path, [plain(data)])[0][0][1]["functions"]
    page = 4096
    found = {row[2]: events.Sums(*row[3:]) for row in functions}
    assert found["gen"].calls == found["main"].calls == 1
    assert (found["gen"].growth, found["gen"].release, found["gen"].largest) == (11 * page, 31 * page, 10 * page)
    assert (found["main"].growth_self, found["main"].growth, found["main"].release) == (40 * page, 51 * page, 31 * page)
    assert found["main"].largest == 51 * page
    assert found["main"].time == found["main"].time_self + found["gen"].time == 88
    check(run(tmp_path, [plain(data)])[0], data)
