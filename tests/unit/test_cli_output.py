"""Where the reports print to: a full disk, a closed output, a pipe, a signal while a file is written."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from export_help import long_log, plain

from oracle import synth

VERBS = [
    ["report"],
    ["report", "--json"],
    ["tree"],
    ["timeline"],
    ["timeline", "--csv"],
    ["lines"],
    ["calls"],
    ["log"],
    ["info"],
]
CHECK = ["check", "--max-peak", "1T"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "made.pmt"
    path.write_bytes(synth.event_trace(1, lines=True).finish())
    return path


def command(words: list[str], trace: Path) -> list[str]:
    return [sys.executable, "-m", "pymemtrace", words[0], str(trace), *words[1:]]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_full_disk_is_one_line(words: list[str], trace: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command(words, trace), stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert b"No space left on device; free some space" in done.stderr


def test_check_is_not_passed_where_nobody_reads_it(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command([*CHECK, "--json"], plain(tmp_path)), stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr


@pytest.mark.parametrize("words", [["report"], CHECK], ids=" ".join)
def test_a_closed_output_is_one_line(words: list[str], trace: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command(words, trace)], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert b"standard output is closed" in done.stderr


def test_an_output_without_a_buffer_gets_all_of_it(trace: Path) -> None:
    words = command(["export", "--format", "csv"], trace)
    whole = subprocess.run(words, capture_output=True, check=True).stdout
    bare = {**os.environ, "PYTHONUNBUFFERED": "1"}
    assert subprocess.run(words, capture_output=True, check=True, env=bare).stdout == whole
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@" > "$0"', str(trace.with_name("out.csv")), *words]
    done = subprocess.run(limited, stderr=subprocess.PIPE, env=bare)
    assert len(whole) > 1024 and done.returncode == 2 and b"File too large" in done.stderr


def test_names_are_whole_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymemtrace.report.console import rows_table, show

    monkeypatch.delenv("COLUMNS", raising=False)
    out, place = io.StringIO(), f"/{'x' * 500}.py:1"
    table = rows_table(["self", "file:line"], 1)
    table.add_row("1.0 KiB", place)
    show([table], out)
    assert f"1.0 KiB  {place}" in out.getvalue().splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_half_written_file(number: signal.Signals, trace: Path) -> None:
    trace.write_bytes(long_log(500))
    words = [*command(["export", "--format", "csv"], trace), "-o", str(trace.with_name("out.csv"))]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not list(trace.parent.glob(".out.csv.*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(number)
        process.wait(30)
    assert process.returncode == 128 + number
    assert [path.name for path in trace.parent.iterdir()] == ["made.pmt"]
