"""Exports of real traces: threads, children, calls. What each says is what the other reports say."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from integration.harness import TARGETS, any_user, cli, need_faults, new_folder, pymemtrace, report, run

PROGRAM = """
import os, threading, warnings

warnings.simplefilter("ignore")  # a thread that was joined may still be there for the fork, which then complains

def fill():
    return bytearray(3_000_000)

def work():
    for _ in range(20):
        fill()

threads = [threading.Thread(target=work, name=f"worker {n}") for n in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if (pid := os.fork()) == 0:
    work()
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module")
def path() -> Path:
    user = any_user()
    need_faults(user)
    folder = new_folder(user)
    (folder / "program.py").write_text(PROGRAM)
    words = ("run", "-q", "--calls", "--include", "__main__", "-o", folder / "x.pmt", folder / "program.py")
    done = run(pymemtrace(*words), user=user)
    assert (done.status, done.stderr) == (0, "")
    return folder / "x.pmt"


def exported(path: Path, form: str, *words: str) -> Path:
    target = path.with_name(f"x.{form}")
    done = cli("export", "--format", form, "-f", "-o", target, path, *words)
    assert done.status == 0, done.stderr
    return target


def test_collapsed_holds_what_the_report_says(path: Path) -> None:
    sizes: Counter[str] = Counter()
    for line in exported(path, "collapsed", "--touched").read_text().splitlines():
        stack, _, size = line.rpartition(" ")
        sizes[stack.rpartition(";")[2]] += int(size)
    touched = report(path)
    assert sum(sizes.values()) == touched["touched"]["total"]
    [row] = [row for row in touched["by_line"] if row["function"] == "fill"]
    assert row["self"] == sizes[f"fill (program.py:{row['line']})"] > 3_000_000


def test_speedscope_has_threads_and_time(path: Path) -> None:
    profiles = {p["name"]: p for p in json.loads(exported(path, "speedscope").read_text())["profiles"]}
    calls = json.loads(cli("calls", path, "--json").stdout)["functions"]
    whole = sum(row["time_self_ns"] for row in calls)
    assert profiles["time"]["endValue"] == whole
    workers = [
        p["endValue"] for name, p in profiles.items() if re.match(r"time, thread \d+ worker \d of process", name)
    ]
    assert len(workers) == 2 and all(0 < value < whole for value in workers)


def test_pprof_is_a_gzip_file_without_a_clock(path: Path) -> None:
    data = exported(path, "pprof").read_bytes()
    assert data[:2] == b"\x1f\x8b" and data[3:8] == bytes(5)  # no name, time 0
    assert b"worker 1" in gzip.decompress(data) and b"__main__.fill" in gzip.decompress(data)


def test_perfetto_has_every_call(path: Path) -> None:
    name = "perfetto.protos.perfetto.trace.perfetto_trace_pb2"
    schema = pytest.importorskip(name, reason="needs perfetto: pip install perfetto")
    trace = schema.Trace.FromString(exported(path, "perfetto").read_bytes())
    kinds = Counter(packet.track_event.type for packet in trace.packet if packet.HasField("track_event"))
    rows = [json.loads(line)["kind"] for line in cli("log", path, "--json").stdout.splitlines()]
    begun = sum(kind in ("call", "resume", "throw", "c_call") for kind in rows)
    assert kinds[schema.TrackEvent.TYPE_SLICE_BEGIN] == kinds[schema.TrackEvent.TYPE_SLICE_END] == begun > 60
    processes = [p.track_descriptor for p in trace.packet if p.track_descriptor.HasField("process")]
    assert len(processes) == 2


def test_the_table_of_events_is_the_log(path: Path) -> None:
    assert exported(path, "csv").read_text() == cli("log", path, "--csv").stdout
    assert exported(path, "jsonl").read_text() == cli("log", path, "--json").stdout


def test_parquet_adds_up(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb: pip install duckdb")
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    query = f"select pid, sum(change)::bigint, sum(touched)::bigint from '{exported(path, 'parquet')}' group by pid"
    found = {pid: (change, touched) for pid, change, touched in duckdb.sql(query).fetchall()}
    changes: Counter[int] = Counter()
    for line in cli("log", path, "--json").stdout.splitlines():
        row = json.loads(line)
        changes[row["pid"]] += row["change"]
    for process in report(path)["processes"]:
        assert found[process["pid"]] == (changes[process["pid"]], process["touched"])
        assert process["touched"] > 0


def test_a_program_that_recorded_nothing_special() -> None:
    user = any_user()
    target = new_folder(user) / "x.pmt"
    run(pymemtrace("run", "-q", "--engine", "none", "-o", target, TARGETS / "hello.py"), user=user)
    for form in ("collapsed", "speedscope", "pprof", "perfetto", "csv", "json", "jsonl"):
        assert exported(target, form).exists()
