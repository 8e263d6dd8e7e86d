"""`pymemtrace diff` and `check` on results made by hand: what matches what, sums, noise, limits, wrong options."""

import json
from pathlib import Path
from typing import Any

import pytest
from report_fakes import MIB, NASTY, PAGE, FormatError, empty, install, nasty, process, result, truncated

from pymemtrace.cli import main
from pymemtrace.compare import diff, owners, runs
from pymemtrace.tracefile import TraceFile

KIB = 1024


class Several:
    """Answers as the C module does, a result for each file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._fake = install(monkeypatch, result())
        self._answers: dict[str, Any] = {}
        self._folder = folder
        monkeypatch.setattr(self._fake, "analyze", self._analyze)

    def __call__(self, *answers: Any) -> list[str]:
        """Files with these results, in order."""
        paths = []
        for answer in answers:
            path = self._folder / f"{len(self._answers)}.pmt"
            path.write_bytes(b"\x89PMT")
            self._answers[str(path)] = answer
            paths.append(str(path))
        return paths

    def _analyze(self, path: str, pid: int | None = None, at: Any = None) -> Any:
        answer = self._answers[path]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Several:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Several(monkeypatch, tmp_path)


Frame = tuple[str, int, str, int, int]  # file, line, function, first line, MiB


def holding(*frames: Frame, before: int = 8, gap: int = 0, app: str = "/app", **changes: Any) -> dict[str, Any]:
    """A run at its peak whose frames hold so many MiB themselves; `main` in app.py called them. The books close."""
    rows = [(f"{app}/app.py", 5, "main", 1, 0), *frames]
    owned = sum(row[4] for row in rows) * MIB
    functions: dict[tuple[str, int, str], int] = {}
    files: dict[str, int] = {}
    for file, _line, function, first, mib in rows:
        functions[file, first, function] = functions.get((file, first, function), 0) + mib * MIB
        files[file] = files.get(file, 0) + mib * MIB
    meta = result()["meta"] | {"cwd": app, "command": "app.py"}
    return (
        result(
            meta=meta,
            processes=[
                process(meta={"engine": "faults", "sys_path": f"{app}\0/lib/python"}, rss_peak=(8 * MIB) + owned)
            ],
            frames=[row[:4] for row in rows],
            lines=[(n, row[4] * MIB, owned if n == 0 else row[4] * MIB, 1, 0, 0) for n, row in enumerate(rows)],
            functions=[(*key, size, owned if key[2] == "main" else size, 1, 0, 0) for key, size in functions.items()],
            files=[(file, size, size, 1, 0, 0) for file, size in files.items()],
            native=[],
            threads=[(0, 100, "MainThread", owned, 1, 0, 0)],
            tree=[(0, -1, 0, owned, 0), (0, 0, 0, owned, 0)]
            + [(1, n, row[4] * MIB, row[4] * MIB, 1) for n, row in enumerate(rows) if n],
            at_ns=1_000_000_000,
            rss_lag=0,
            held=[(before * MIB + owned + gap, before * MIB, 0, 0, 0, 0, owned, 0, 0)],
            snapshots=[(0, 4, 1_900_000_000, 1_900_000_000, 0, "")],
        )
        | changes
    )


def load(mib: int, line: int = 12, first: int = 10, app: str = "/app") -> Frame:
    return (f"{app}/app.py", line, "load", first, mib)


def shown(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(list(words)) == status
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    return json.loads(shown(capsys, *words, "--json", status=status))


def rows(found: Any, kind: str = "function") -> dict[str, tuple[str, int]]:
    """Status and change in MiB by name."""
    name = {"module": "module", "thread": "name"}.get(kind, "function")
    return {row[name]: (row["status"], row["change"] // MIB) for row in found[f"by_{kind}"]}


# ---- diff: who is who ----


def test_what_happened_to_owners(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    old = holding(load(10), ("/app/app.py", 30, "gone", 30, 3), ("/app/app.py", 40, "less", 40, 9))
    new = holding(load(40), ("/app/app.py", 50, "fresh", 50, 2), ("/app/app.py", 40, "less", 40, 5))
    found = document(capsys, "diff", *traces(old, new))
    assert rows(found) == {"load": ("grew", 30), "less": ("shrank", -4), "gone": ("gone", -3), "fresh": ("new", 2)}
    assert [row["function"] for row in found["by_function"]] == ["load", "less", "gone", "fresh"]
    assert rows(found, "module") == {"__main__": ("grew", 25)}
    assert rows(found, "thread") == {"MainThread": ("grew", 25)}


@pytest.mark.parametrize("kind", ["line", "function", "module", "thread"])
def test_changes_of_owners_add_up(kind: str, traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    old = holding(load(10), ("/lib/python/json/decoder.py", 355, "decode", 343, 3))
    new = holding(load(12), ("/lib/python/csv.py", 9, "read", 7, 30), before=9, gap=3 * PAGE)
    found = document(capsys, "diff", *traces(old, new), "--by", kind)
    parts = {part["name"]: part["change"] for part in found["parts"]}
    assert parts["owned"] == sum(row["change"] for row in found[f"by_{kind}"]) == 29 * MIB
    assert (parts["before_start"], parts["unexplained"]) == (MIB, 3 * PAGE)
    assert sum(parts.values()) == found["whole"]["change"] == 30 * MIB + 3 * PAGE
    assert [name for name in found if name.startswith("by_")] == [f"by_{kind}"]


def test_checkouts_may_be_anywhere(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    old = holding(load(10, app="/home/me/old"), ("/home/me/old/pkg/cache.py", 8, "put", 5, 4), app="/home/me/old")
    new = holding(load(11, app="/srv/new"), ("/srv/new/pkg/cache.py", 8, "put", 5, 4), app="/srv/new")
    found = document(capsys, "diff", *traces(old, new))
    assert rows(found) == {"load": ("grew", 1), "put": ("same", 0)}
    assert rows(found, "line") == {"load": ("grew", 1), "put": ("same", 0)}
    assert rows(found, "module") == {"__main__": ("grew", 1), "pkg.cache": ("same", 0)}


def test_lines_move_with_their_function(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    paths = traces(holding(load(10, 12, 10)), holding(load(11, 112, 110)))
    (row,) = document(capsys, "diff", *paths)["by_line"]
    assert (row["status"], row["line"], row["base_line"]) == ("grew", 112, 12)
    assert " app.py:112 (was 12)\n" in shown(capsys, "diff", *paths)


def test_lines_of_functions_of_one_name_are_told_apart(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    def lambdas(one: int, other: int) -> dict[str, Any]:
        return holding(("/app/app.py", 7, "<lambda>", 7, one), ("/app/app.py", 9, "<lambda>", 9, other))

    found = document(capsys, "diff", *traces(lambdas(2, 5), lambdas(3, 4)))
    assert [(row["line"], row["change"] // MIB) for row in found["by_line"]] == [(9, -1), (7, 1)]
    assert rows(found) == {"<lambda>": ("same", 0)}  # one function, for a module and a name are all it has


def test_native_code_is_its_library(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = holding(load(1)), holding(load(1))
    one["native"] = [("/venv/a/libblas.so", 0x1000, MIB, 1, 0, 0)]
    other["native"] = [("/opt/b/libblas.so", 0x9000, 3 * MIB, 1, 0, 0)]
    found = document(capsys, "diff", *traces(one, other))
    assert rows(found)["<libblas.so>"] == ("grew", 2)
    assert rows(found, "module")["<libblas.so>"] == ("grew", 2)


def test_totals_count_an_owner_inside_itself_once(traces: Several) -> None:
    answer = holding(load(1))
    answer["frames"] = [("/app/app.py", 5, "main", 1), ("/app/app.py", 9, "walk", 8), ("/app/app.py", 7, "read", 7)]
    answer["tree"] = [
        (0, -1, 0, 7, 0),
        (0, 0, 0, 7, 0),
        (1, 1, 1, 6, 0),
        (2, 2, 2, 5, 0),
        (3, 1, 3, 3, 0),
        (1, 1, 1, 1, 0),
    ]
    found = owners.totals(TraceFile(*traces(answer)), lambda number: None if number < 0 else (number,))
    assert found == {(0,): 7, (1,): 7, (2,): 5}


def test_totals_of_a_diff(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    paths = traces(holding(load(10)), holding(load(40)))
    found = document(capsys, "diff", *paths, "--total")
    assert rows(found) == {"main": ("grew", 30), "load": ("grew", 30)}
    assert "by_thread" not in found
    assert "with everything called" in shown(capsys, "diff", *paths, "--total")


# ---- diff: noise ----


@pytest.mark.parametrize(
    ("base", "new", "change", "spread", "noise", "status"),
    [
        ((10,), (40,), 30, 0, False, "grew"),
        ((10,), (10,), 0, 0, False, "same"),
        ((10, 11, 12), (40, 41, 42), 30, 4, False, "grew"),
        ((10, 14, 12), (15, 16, 20), 4, 9, True, "grew"),
        ((10, 10, 10), (11, 11, 11), 1, 0, False, "grew"),
        ((10, 20), (30, 40), 20, 20, True, "grew"),
        ((10, 20), (31, 40), 20, 19, False, "grew"),
        ((0, 0, 0), (0, 9, 9), 9, 9, True, "new"),
        ((0, 0, 3), (9, 9, 9), 9, 3, False, "grew"),  # a run had it
        ((5, 5, 5), (0, 0, 0), -5, 0, False, "gone"),
        ((5,), (1, 2, 3), -3, 2, False, "shrank"),
    ],
)
def test_noise(base: tuple[int, ...], new: tuple[int, ...], change: int, spread: int, noise: bool, status: str) -> None:
    found = diff.Change(diff.Side(base), diff.Side(new))
    assert (found.change, found.spread, found.within_noise, found.status) == (change, spread, noise, status)


def test_several_runs_a_side(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    def run(mib: int, noisy: int) -> dict[str, Any]:
        return holding(load(mib), ("/app/app.py", 40, "noisy", 40, noisy))

    paths = traces(run(10, 5), run(12, 9), run(11, 6), run(40, 8), run(42, 5), run(41, 7))
    words = ["diff", "--base", *paths[:3], "--new", *paths[3:]]
    found = document(capsys, *words)
    first, last = found["by_function"]
    assert (first["function"], first["base"], first["within_noise"]) == (
        "load",
        {"median": 11 * MIB, "spread": 2 * MIB, "runs": [10 * MIB, 12 * MIB, 11 * MIB]},
        False,
    )
    assert (last["function"], last["change"], last["spread"], last["within_noise"]) == ("noisy", MIB, 7 * MIB, True)
    # The books are of the middle run, by RSS, and add up: 8 + 11 + 6, 8 + 42 + 5 and 8 + 41 + 7 MiB are in the middle.
    assert (found["whole"]["base"], found["whole"]["new"]) == (25 * MIB, 56 * MIB)
    assert sum(part["change"] for part in found["parts"]) == found["whole"]["change"]
    text = shown(capsys, *words)
    assert "1 grew, 1 within the noise, 0 unchanged" in text
    lines = text.splitlines()
    noise = next(line for line in lines if " noise  noisy " in line)
    assert noise.split() == ["+1.0", "MiB", "6.0", "MiB", "7.0", "MiB", "7.0", "MiB", "noise", "noisy", "app.py:40"]
    assert lines.index(noise) > lines.index(next(line for line in lines if "  load  " in line))
    assert "one run a side" not in text


def test_even_numbers_of_runs_add_up(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    paths = traces(*(holding(load(mib), before=before) for mib, before in ((10, 8), (14, 9), (20, 8), (21, 8))))
    found = document(capsys, "diff", "--base", *paths[:2], "--new", *paths[2:])
    values = {part["name"]: (part["base"] / MIB, part["new"] / MIB) for part in found["parts"]}
    assert (values["owned"], values["before_start"]) == ((12, 20.5), (8.5, 8))
    assert found["whole"]["base"] == sum(part["base"] for part in found["parts"]) == 20.5 * MIB


# ---- diff: what is printed ----


def test_the_closing_line_adds_up(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "diff", *traces(holding(load(10)), holding(load(40), before=9, gap=-PAGE)))
    assert text.splitlines()[-1] == (
        "RSS 18.0 MiB -> 49.0 MiB: +31,740 KiB = before start +1,024 KiB, owned +30,720 KiB, file 0 KiB, "
        "shared 0 KiB, kernel 0 KiB, tracer 0 KiB, unexplained -4 KiB"
    )
    assert "all changes add up to +30,720 KiB" in text
    assert "one run a side: what differs by chance is not known" in text


def test_touched(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    more = result(touched_total=result()["touched_total"] + PAGE, touched_kernel=MIB + PAGE)
    found = document(capsys, "diff", *traces(result(), more), "--touched")
    assert (found["quantity"], found["at"]) == ("touched", None)
    assert {part["name"]: part["change"] for part in found["parts"]} == {
        "lines": 0,
        "kernel": PAGE,
        "tracer": 0,
        "left_out": 0,
    }
    assert sum(part["base"] for part in found["parts"]) == found["whole"]["base"] == result()["touched_total"]


@pytest.mark.parametrize("columns", ["80", "120", None])
def test_plain_and_within_the_width(
    columns: str | None, traces: Several, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    long = ("/app/pkg/some_module_of_a_long_name.py", 12, "SomeClass.some_method.<locals>.some_function", 10, 7)
    text = shown(capsys, "diff", *traces(holding(long), holding(load(40))))
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    table = [line for line in text.splitlines() if " MiB " in line and "->" not in line and "peak" not in line]
    assert table and max(map(len, table)) <= int(columns or 120)


def test_same_traces_same_text(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [load(3), ("/app/b.py", 1, "f", 1, 3), ("/app/a.py", 1, "f", 1, 3), ("/app/a.py", 2, "e", 1, 3)]
    paths = traces(holding(), holding(*frames), holding(), holding(*reversed(frames)))
    texts = [shown(capsys, "diff", *pair, "-n", "0") for pair in (paths[:2], paths[2:])]
    assert texts[0].replace(paths[0], paths[2]).replace(paths[1], paths[3]) == texts[1]


def test_rows_left_out_are_counted(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [("/app/app.py", n * 10, f"f{n}", n * 10, n) for n in range(1, 6)]
    paths = traces(holding(), holding(*frames))
    text = shown(capsys, "diff", *paths, "--by", "function", "-n", "2")
    assert "3 more changes: +6,144 KiB in all" in text
    text = shown(capsys, "diff", *paths, "--by", "function", "--min-change", "5MiB")
    assert "  f5  " in text and "  f4  " not in text
    text = shown(capsys, "diff", *paths, "--by", "function", "--min-change", "50MiB")
    assert "5 more changes: +15,360 KiB in all" in text


def test_text_from_traces_is_harmless(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    more = nasty()
    more["lines"] = [(n, size + MIB, total, faults, 0, 0) for n, size, total, faults, *_ in more["lines"]]
    paths = traces(nasty(), more)
    text = shown(capsys, "diff", *paths, "--touched")
    assert all(line.isprintable() for line in text.splitlines())
    assert "[bold]x\\x1b[31m\\n\\u202e\\udc80[/bold]" in text.replace("…", "")
    assert document(capsys, "diff", *paths, "--touched")["by_line"][0]["function"] == NASTY


def test_names_of_a_megabyte_are_cut(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x" * 1_000_000
    other = holding((f"/app/{name}.py", 2, name, 1, 9))
    other["meta"]["python"] = name
    paths = traces(holding(load(2)), other)
    assert max(map(len, shown(capsys, "diff", *paths).splitlines())) <= 1000
    assert main(["check", paths[1], "--baseline", paths[0]]) == 1
    captured = capsys.readouterr()
    assert max(map(len, (captured.out + captured.err).splitlines())) <= 1100


# ---- diff: what is said of the traces ----


def test_what_cannot_be_compared_is_said(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    other = holding(load(10))
    other["meta"] |= {"python": "3.13.0"}
    other["processes"] = [process(meta={"engine": "timer", "engine_reason": "asked for", "sys_path": "/app"})]
    paths = traces(holding(load(10)), other)
    text = shown(capsys, "diff", *paths)
    assert "engines differ, so owners may differ by that alone (the timer gives growth to the code that runs" in text
    assert f"Python versions differ: CPython 3.12.4: {paths[0]}; CPython 3.13.0: {paths[1]}" in text
    assert "CPython 3.13.0, engine timer" in text
    assert len(document(capsys, "diff", *paths)["notes"]) == 3  # and what the timer cannot know


def test_what_is_missing_is_said(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    paths = traces(truncated(), result(lost=7, left_out=(10**9, 5, MIB, 0, 0)))
    text = shown(capsys, "diff", *paths, "--touched")
    assert f"{paths[0]}: cut off: good up to 7.8 KiB of 8.8 KiB" in text
    assert f"{paths[1]}: 7 faults came faster" in text
    assert f"{paths[1]}: details end after 1.00 s" in text


def test_several_processes(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    def family(mib: int) -> dict[str, Any]:
        answer = holding(load(mib))
        answer["processes"].append(process(pid=200, parent=100))
        answer["held"].append((4 * MIB, MIB, 0, 0, 0, 0, 3 * MIB, 0, 0))
        return answer

    text = shown(capsys, "diff", *traces(family(1), family(2)))
    assert "several processes: owners are summed over all of a trace, RSS and its parts are the first process's" in text
    asked = runs.Asked(root=True)
    assert runs.read(*traces(family(1)), asked).processes == 1


# ---- wrong words ----


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["diff", "A"], "diff: 1 trace given: give two, or several a side as --base A1 A2 --new B1 B2"),
        (["diff", "A", "B", "A"], "diff: 3 traces given"),
        (["diff", "--base", "A"], "diff: --base needs --new beside it"),
        (["diff", "--new", "A"], "diff: --new needs --base beside it"),
        (["diff", "A", "--base", "A", "--new", "B"], "belongs to neither side"),
        (["diff", "--base", "A", "A", "--new", "B"], "is given twice behind --base"),
        (["diff", "A", "B", "--at", "end", "--touched"], "not allowed with argument --at"),
        (["diff", "A", "B", "--at", "99"], "the trace ends after 2.000 s"),
        (["diff", "A", "B", "--total", "--by", "thread"], "--total and --by thread contradict each other"),
        (["diff", "A", "B", "--min-change", "lots"], "'lots' is not a size"),
        (["diff", "A", "B", "-n", "-1"], "'-1' is not a number of 0 or more"),
        (["diff", "A", "nowhere.pmt"], "nowhere.pmt: No such file or directory"),
        (["diff", "A", "C"], "not a pymemtrace trace"),
        (["diff", "A", "D"], "nothing to compare: no memory was recorded in this trace (no room)"),
        (["check", "A"], "check: there is nothing to check: give --max-peak, --max-growth, --max-owner or --baseline"),
        (["check", "A", "--max-peak", "5 parsecs"], "'5 parsecs' is not a size"),
        (["check", "A", "--max-growth=-1MiB"], "'-1MiB' is not a size"),
        (["check", "A", "--max-owner", "pkg.mod"], "'pkg.mod' is not NAME=SIZE"),
        (["check", "A", "--max-owner", "=5MiB"], "'=5MiB' is not NAME=SIZE"),
        (["check", "A", "--max-owner", "a=5MiB", "--max-owner", "a=6MiB"], "--max-owner a is given twice"),
        (["check", "A", "--max-peak", "5M", "--tolerance", "5%"], "--tolerance is about a baseline"),
        (["check", "A", "--max-peak", "5M", "--owners", "5"], "--owners is about a baseline"),
        (["check", "A", "--max-peak", "5M", "--total"], "--total is about owners"),
        (["check", "A", "--baseline", "B", "--tolerance", "many"], "'many' is not a percentage"),
        (["check", "A", "--baseline", "B", "--tolerance", "nan"], "'nan' is not a percentage"),
        (["check", "C", "--max-peak", "5M"], "not a pymemtrace trace"),
        (["check", "A", "--baseline", "nowhere.pmt"], "nowhere.pmt: No such file or directory"),
        (["check", "D", "--max-peak", "5M"], "no memory was recorded"),
        (["check", "E", "--max-owner", "a=5M"], "--max-owner cannot be checked: no engine gave memory to owners"),
        (["check", "F", "--max-growth", "5M"], "RSS at the start is not in this trace"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], said: str, traces: Several, capsys: pytest.CaptureFixture[str]
) -> None:
    late = holding(load(1), at_ns=99 * 10**9) if "99" in words else holding(load(1))
    no_engine = empty(processes=[process(meta={"engine": "none", "engine_reason": "EACCES"})])
    paths = traces(
        late,
        holding(load(1)),
        FormatError("not a pymemtrace trace (wrong magic)"),
        empty(processes=[], meta={"problem": "no room"}),
        no_engine,
        holding(load(1), processes=[process(rss_start=None)]),
    )
    files = dict(zip("ABCDEF", paths, strict=True))
    assert main([files.get(word, word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err


# ---- check ----


def family_of_two() -> dict[str, Any]:
    """The first process's RSS: start 8, peak 20, end 18 MiB; the other's is far above."""
    return result(processes=[process(), process(pid=200, parent=100, rss_peak=900 * MIB, rss_end=800 * MIB)])


def test_limits_that_are_kept(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = traces(family_of_two())
    text = shown(capsys, "check", path, "--max-peak", "20MiB", "--max-growth", "10MiB")
    assert text == (
        f"ok {path}: peak 20.0 MiB (limit 20.0 MiB), growth 10.0 MiB (limit 10.0 MiB), "
        "RSS of the first of 2 processes\n"
    )


def test_limits_that_are_passed(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = traces(family_of_two())
    text = shown(capsys, "check", path, "--max-peak", "20479k", "--max-growth", "4MiB", status=1)
    assert text.splitlines() == [
        f"{path}: RSS at most: 20.0 MiB, 1.0 KiB more than --max-peak 20.0 MiB",
        f"{path}: RSS at the end less RSS at the start: 10.0 MiB, 6.0 MiB more than --max-growth 4.0 MiB",
    ]


def test_rss_goes_on_after_an_exec(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    before = process(end=(3, 0, 10**9))
    (path,) = traces(result(processes=[before, process(rss_start=None, rss_peak=60 * MIB, rss_end=50 * MIB)]))
    found = document(capsys, "check", path, "--max-peak", "1G", "--max-growth", "1G")
    assert [finding["value"] for finding in found["findings"]] == [60 * MIB, 42 * MIB]


@pytest.mark.parametrize(
    ("name", "self_mib", "total_mib"),
    [
        ("__main__:load", 10, 10),
        ("__main__:main", 0, 17),
        ("__main__", 10, 17),
        ("pkg.cache:put", 4, 4),
        ("pkg.cache", 7, 7),
        ("pkg/cache.py", 7, 7),
        ("/app/pkg/cache.py", 7, 7),
        ("<libblas.so>", 2, 2),
        ("libblas.so", 2, 2),
    ],
)
def test_what_an_owner_may_be_called(
    name: str, self_mib: int, total_mib: int, traces: Several, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = holding(load(10), ("/app/pkg/cache.py", 8, "put", 5, 4), ("/app/pkg/cache.py", 28, "get", 25, 3))
    answer["native"] = [("/usr/lib/libblas.so", 0x1000, 2 * MIB, 1, 0, 0)]
    (path,) = traces(answer)
    for more, mib in ((), self_mib), (("--total",), total_mib):
        found = document(capsys, "check", path, "--max-owner", f"{name}=100MiB", *more)
        assert [(f["name"], f["value"], f["limit"]) for f in found["findings"]] == [(name, mib * MIB, 100 * MIB)]
        if mib:
            main(["check", path, "--max-owner", f"{name}={mib * MIB - 1}", *more])
            assert f"{name} holds at the peak: {mib}.0 MiB, 1 B more than --max-owner" in capsys.readouterr().out


def test_owners_that_do_not_occur_are_warnings(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = traces(holding(load(10)))
    assert main(["check", path, "--max-owner", "app.py:load=1k", "--max-owner", "__main__:load=10MiB"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"ok {path}: __main__:load 10.0 MiB (limit 10.0 MiB)\n"
    assert captured.err == (
        f"pymemtrace: warning: {path}: app.py:load owns nothing in this trace: is it misspelt, or did it touch no "
        "memory? It has __main__:load.\n"
    )
    main(["check", path, "--max-owner", "load=1k", "--max-owner", "__maim__=1k"])
    assert [line.rpartition("memory? ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "It has __main__:load.",
        "It has __main__.",
    ]
    found = document(capsys, "check", path, "--max-owner", "nothing.like.it=1k")
    assert (found["ok"], found["findings"], len(found["warnings"])) == (True, [], 1)


@pytest.mark.parametrize(
    ("mib", "options", "failed"),
    [
        (105, (), []),
        (106, (), ["peak", "__main__:load"]),
        (115, (), ["peak", "__main__:load"]),
        (115, ("--owners", "0"), ["peak"]),
        (115, ("--tolerance", "20%"), []),
        (115, ("--floor", "20MiB"), []),
        (102, ("--tolerance", "0"), ["peak", "__main__:load"]),
        (102, ("--tolerance", "0", "--floor", "2MiB"), []),
        (50, (), []),
    ],
)
def test_baseline(
    mib: int, options: tuple[str, ...], failed: list[str], traces: Several, capsys: pytest.CaptureFixture[str]
) -> None:
    now, before = traces(holding(load(mib)), holding(load(100)))
    found = document(capsys, "check", now, "--baseline", before, *options, status=bool(failed))
    assert [f["name"] or f["kind"] for f in found["findings"] if not f["ok"]] == failed
    assert found["ok"] == (not failed)


def test_tiny_owners_and_new_ones(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = holding(load(100))
    tiny["functions"].append(("/app/app.py", 70, "tiny", 64 * KIB, 64 * KIB, 1, 0, 0))
    now, before = traces(tiny, holding(load(100)))
    assert main(["check", now, "--baseline", before]) == 0
    now, before = traces(holding(load(100), ("/app/app.py", 70, "fresh", 70, 3)), holding(load(100)))
    text = shown(capsys, "check", now, "--baseline", before, status=1)
    assert text.splitlines()[-1].endswith(
        "__main__:fresh holds at the peak: 3.0 MiB, 2.0 MiB more than allowed: baseline 0 B, limit 1.0 MiB"
    )


def test_the_highest_baseline_counts(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    now, low, high = traces(holding(load(120)), holding(load(100)), holding(load(119)))
    assert main(["check", now, "--baseline", low]) == 1
    assert main(["check", now, "--baseline", low, "--baseline", high]) == 0


def test_baselines_that_differ_are_warned_of(traces: Several, capsys: pytest.CaptureFixture[str]) -> None:
    coarse, timer = holding(load(100)), holding(load(50))
    coarse["processes"][0]["period"] = 64
    timer["processes"][0]["meta"]["engine"] = "timer"
    timer["meta"]["python"] = "3.13.0"
    now, before = traces(coarse, timer)
    assert main(["check", now, "--baseline", before]) == 1
    warnings = capsys.readouterr().err
    assert "engine faults, the baseline's is timer: owners may differ by that alone" in warnings
    assert "Python 3.12.4, the baseline's is 3.13.0" in warnings
    assert f"{before}: of the timer engine, so owners differ between runs by chance: --owners 0" in warnings
    now, before = traces(coarse, holding(load(50)))
    assert main(["check", now, "--baseline", before]) == 1
    assert "recorded down to one fault in 64, so owners differ between runs by chance" in capsys.readouterr().err
    now, before = traces(coarse, holding(load(100)))
    assert main(["check", now, "--baseline", before]) == 0
    assert capsys.readouterr().err == ""
