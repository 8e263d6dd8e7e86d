"""Exports as tables: the same rows in each format, as the oracle has them, read by those who are to read them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from export_help import PAGE, export, long_log, made, plain

from oracle import events, pmt, sums, synth
from pymemtrace.export import tables
from pymemtrace.tracefile import TraceFile

Rows = list[dict[str, Any]]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return made(tmp_path)


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))


def texts(rows: Rows) -> list[dict[str, str]]:
    """Rows as CSV has them."""
    return [{name: "" if cell is None else str(cell) for name, cell in row.items()} for row in rows]


def json_rows(path: Path) -> Rows:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(isinstance(row, dict) for row in found)
    return found


# The tables


def test_owners(trace: Path) -> None:
    rows = json_rows(export(trace, "jsonl", "--table", "owners", "--touched"))
    found = {
        (row["file"], row["line"] or 0, row["function"]): (row["self"], row["total"], row["faults"]) for row in rows
    }
    expected = sums.aggregate(pmt.decode(trace))
    lines = {(f.file, f.line, f.name): (c.self, c.total, c.faults) for f, c in expected.lines.items()}
    assert found == lines | {("/lib/libfoo.so", 0, "<libfoo.so>"): (4 * PAGE, 4 * PAGE, 1)}
    assert {row["module"] for row in rows} == {"__main__", "lib", None}
    assert all(row["self"] == row["exact"] + row["fill"] + row["by_time"] for row in rows)


def test_owners_at_a_moment(trace: Path) -> None:
    for words, at in ((), "peak"), (("--at", "end"), "end"), (("--at", "0.0000013"), 0.0000013):
        rows = json_rows(export(trace, "jsonl", "--table", "owners", *words))
        by_line = TraceFile(trace, at=at).by_line
        assert [(row["function"], row["self"]) for row in rows] == [
            (line.function, line.self_bytes) for line in by_line
        ]


def test_events_are_the_log(trace: Path) -> None:
    rows = json_rows(export(trace, "jsonl"))
    expected = events.log(pmt.decode(trace))
    names = ("pid", "tid", "depth", "kind", "function", "file", "line", "rss", "change")
    assert [tuple(row[name] for name in names) for row in rows] == [tuple(row[1:10]) for row in expected]
    assert {row["kind"] for row in rows} >= {"call", "return", "yield", "resume", "unwind", "c_raise", "fault", "lost"}
    assert [row["t"] for row in csv_rows(export(trace, "csv"))] == [f"{row['t']:.9f}" for row in rows]
    assert len(json_rows(export(trace, "jsonl", "--pid", "200"))) == sum(row.pid == 200 for row in expected)


def test_the_default_of_a_trace_without_calls_is_owners(tmp_path: Path) -> None:
    assert "by_time" in csv_rows(export(plain(tmp_path), "csv"))[0]
    faults = json_rows(export(plain(tmp_path), "jsonl", "--table", "events"))
    assert [row for row in faults if row["kind"] == "fault"] == json_rows(
        export(plain(tmp_path), "jsonl", "--table", "faults")
    )
    assert {row["kind"] for row in faults} == {"mark", "fault"}
    assert sum(row.get("touched", 0) for row in faults) == 22 * PAGE


def test_timeline(trace: Path) -> None:
    rows = json_rows(export(trace, "jsonl", "--table", "timeline"))
    parts = ("before_start", "file", "shared", "kernel", "tracer", "exact", "fill", "by_time", "unexplained")
    assert len(rows) == 200 and rows[0]["time_s"] == 0
    assert all(sum(row[part] for part in parts) == row["rss"] for row in rows if row["rss"] is not None)
    owners = list(rows[0])[len(parts) + 4 :]
    assert owners[-1] == "all others" and "grow /app/lib.py:11" in owners
    for row in rows:
        assert sum(row[owner] for owner in owners) == row["exact"] + row["fill"] + row["by_time"]


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.pmt"
    path.write_bytes(synth.event_trace(3, lines=True).finish())
    rows = json_rows(export(path, "jsonl", "--table", "lines"))
    expected = TraceFile(path).lines()
    assert [tuple(row[name] for name in ("line", "hits", "growth", "change")) for row in rows] == [
        (line.line, line.hits, line.growth, line.change) for line in expected
    ]
    assert any(row["hits"] for row in rows)


@pytest.mark.parametrize("name", tables.NAMES)
@pytest.mark.parametrize("hostile", [False, True])
def test_every_text_format_has_the_same_rows(name: str, hostile: bool, tmp_path: Path) -> None:
    path = made(tmp_path, hostile)
    rows = json_rows(export(path, "jsonl", "--table", name))
    assert rows and json.loads(export(path, "json", "--table", name).read_text()) == rows
    found = csv_rows(export(path, "csv", "--table", name))
    if name not in tables.OF_LOG:
        assert found == texts(rows)
        return
    for row, cells in zip(rows, found, strict=True):
        extra = row.get("exception", row.get("text", row.get("events", "")))
        assert (cells["text"], cells["touched"]) == (str(extra), str(row.get("touched", "")))
        assert cells["function"] == (row["function"] or "")


def test_json_is_the_report(trace: Path) -> None:
    def report(*words: str) -> Any:
        command = [sys.executable, "-m", "pymemtrace", "report", "--json", str(trace), *words]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert json.loads(export(trace, "json").read_text()) == report()
    assert json.loads(export(trace, "json", "--touched").read_text()) == report("--touched")
    assert json.loads(export(plain(trace.parent), "json", "--table", "lines").read_text())


# Arrow and Parquet


@pytest.fixture
def pa() -> Any:
    return pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")


def as_events(rows: Rows) -> Rows:
    """The log's JSON rows with the columns of the table of events."""
    found = []
    for row in rows:
        text = row.pop("exception", row.pop("text", None))
        touched, lost = row.pop("touched", None), row.pop("events", None)
        found.append({**row, "touched": touched, "text": text, "lost": lost})
    return found


@pytest.mark.parametrize("name", tables.NAMES)
@pytest.mark.parametrize("hostile", [False, True])
def test_arrow_and_parquet_have_the_same_rows(name: str, hostile: bool, tmp_path: Path, pa: Any) -> None:
    from pyarrow import feather, parquet

    path = made(tmp_path, hostile)
    rows = json_rows(export(path, "jsonl", "--table", name))
    rows = as_events(rows) if name in tables.OF_LOG else rows
    for table in (
        feather.read_table(export(path, "arrow", "--table", name)),
        parquet.read_table(export(path, "parquet", "--table", name)),
    ):
        table.validate(full=True)
        assert table.to_pylist() == rows


@pytest.mark.parametrize("seed", range(3))
def test_random_logs_as_arrow(seed: int, tmp_path: Path, pa: Any) -> None:
    path = tmp_path / "random.pmt"
    path.write_bytes(synth.event_trace(seed).finish())
    table = TraceFile(path).to_arrow("events")
    table.validate(full=True)
    assert table.to_pylist() == as_events(json_rows(export(path, "jsonl", "--table", "events")))


def test_to_arrow(trace: Path, pa: Any) -> None:
    found = TraceFile(trace, at="peak")
    assert found.to_arrow().schema.names[:4] == ["t", "pid", "tid", "depth"]
    owners = found.to_arrow("owners")
    assert sum(owners["self"].to_pylist()) == sum(row.self_bytes for row in found.by_line)
    assert TraceFile(plain(trace.parent)).to_arrow().schema.names[:2] == ["file", "line"]
    assert sum(len(batch) for batch in found.to_arrow_batches("timeline")) == 200
    assert pa.table(found) == found.to_arrow()
    with pytest.raises(ValueError, match="table must be one of events, faults, owners, timeline, lines, not 'rows'"):
        found.to_arrow("rows")


def test_pandas_reads_it(trace: Path, pa: Any) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    from_stream = pandas.DataFrame.from_arrow(TraceFile(trace))
    for frame in (
        from_stream,
        pandas.read_feather(export(trace, "arrow")),
        pandas.read_parquet(export(trace, "parquet")),
    ):
        assert len(frame) == len(json_rows(export(trace, "jsonl")))
        assert frame["touched"].sum() == 39 * PAGE
        assert frame.groupby("kind", observed=True).size()["fault"] == 6
    assert len(pandas.read_csv(export(trace, "csv"))) == len(from_stream)


def test_polars_reads_it(trace: Path, pa: Any) -> None:
    polars = pytest.importorskip("polars", reason="needs polars: pip install polars")
    for frame in (
        polars.DataFrame(TraceFile(trace)),
        polars.read_ipc(export(trace, "arrow")),
        polars.read_parquet(export(trace, "parquet")),
    ):
        assert frame["touched"].sum() == 39 * PAGE
        assert frame.filter(polars.col("kind").cast(polars.String) == "fault").height == 6
    assert polars.read_ndjson(export(trace, "jsonl"), infer_schema_length=None)["touched"].sum() == 39 * PAGE


def test_duckdb_reads_it(trace: Path, pa: Any) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb: pip install duckdb")
    found = TraceFile(trace)
    assert found.has_events
    files = [
        f"read_{name}('{export(trace, form)}')" for name, form in (("parquet",) * 2, ("csv",) * 2, ("json", "jsonl"))
    ]
    for source in ("found", *files):
        select = f"select count(*), sum(touched)::bigint from {source} where kind = 'fault'"
        assert duckdb.sql(select).fetchall() == [(6, 39 * PAGE)], source


# Memory


@pytest.fixture(scope="module")
def long_logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of a third of a million events, and of three times as many."""
    paths = [tmp_path_factory.mktemp("long") / f"{rounds}.pmt" for rounds in (333, 1000)]
    for path in paths:
        path.write_bytes(long_log(int(path.stem)))
    return paths


@pytest.mark.parametrize("form", ["csv", "jsonl", "perfetto", "arrow", "parquet"])
def test_memory_does_not_grow_with_the_log(form: str, long_logs: list[Path]) -> None:
    if form in ("arrow", "parquet"):
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    peaks = []
    for path in long_logs:
        # VmHWM: ru_maxrss counts what the process was before the exec, a test worker of any size
        code = "import sys; from pymemtrace.cli import main; status = main(sys.argv[1:]); "
        code += "print(status, *(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        words = ["export", "--format", form, str(path), "-o", "/dev/null"]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=True)
        status, peak = map(int, done.stdout.split())
        assert status == 0
        peaks.append(peak)
    assert peaks[1] < peaks[0] + (16 << 10) and peaks[1] < 300 << 10, peaks
