"""However a program ends, and whatever becomes of the recorder or the file, what was recorded is there."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Traced,
    any_user,
    assert_pages,
    assert_same,
    cached_trace,
    cli,
    error_names,
    holders,
    kill_tree,
    need_faults,
    new_folder,
    popen_ready,
    pymemtrace,
    report,
    run,
    text,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())

ENDS = {
    "exit_none": ("exit", 0),
    "exit_3": ("exit", 3),
    "exit_text": ("exit", 1),
    "exception": ("exit", 1),
    "os_exit_7": ("exit", 7),
    "SIGTERM": ("signal", signal.SIGTERM),
    "SIGSEGV": ("signal", signal.SIGSEGV),
    "null_pointer": ("signal", signal.SIGSEGV),
    "keyboard_interrupt": ("signal", signal.SIGINT),
    "SIGKILL": ("signal", signal.SIGKILL),
}


@each_user
@pytest.mark.parametrize("way", ENDS)
def test_how_the_program_ended(way: str, user: str) -> None:
    kind, value = ENDS[way]
    run = cached_trace("endings.py", way, user=user)
    assert run.report["end"] == {"kind": kind, "value": value}
    [process] = run.report["processes"]
    assert process["end"] == run.report["end"]


@each_user
@pytest.mark.parametrize("way", ENDS)
def test_nothing_is_lost(way: str, user: str) -> None:
    """The pages were touched right before the end."""
    need_faults(user)
    run = cached_trace("endings.py", way, user=user)
    assert_pages(run.function("touch", "endings.py")["self"], run.truth["pages"])


@each_user
def test_nothing_is_lost_to_sigkill_ever(user: str) -> None:
    need_faults(user)
    for _ in range(5):
        run = trace("endings.py", "SIGKILL", user=user)
        assert_pages(run.function("touch", "endings.py")["self"], run.truth["pages"])


# Cut files


@functools.cache
def long_trace() -> Traced:
    """A trace of a second, written in several blocks."""
    need_faults(any_user())
    return trace("touch_slowly.py", "1.2", user=any_user())


def block_starts(data: bytes) -> list[int]:
    """Where blocks begin (docs/format.md 3)."""
    starts, at = [], 64
    while at < len(data):
        assert data[at : at + 4] == b"PBLK"
        starts.append(at)
        at += 20 + int.from_bytes(data[at + 8 : at + 12], "little")
    assert at == len(data)
    return starts


def test_a_block_is_written_every_tenth_of_a_second() -> None:
    assert len(block_starts(long_trace().path.read_bytes())) >= 8


def test_a_file_cut_anywhere_reads_or_fails_with_one_line() -> None:
    whole = long_trace()
    data = whole.path.read_bytes()
    starts = block_starts(data)
    few = {*starts[:3], *starts[-3:], starts[len(starts) // 2]}
    cuts = {at + near for at in few for near in (-1, 0, 19, 20)}
    cuts |= {len(data) * part // 8 for part in range(8)} | {1, 8, 63, 64, len(data) - 1}
    path = new_folder(any_user()) / "cut.pmt"
    touched = []
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        done = cli("report", path, "--json")
        assert "Traceback" not in done.stderr
        if cut >= starts[2]:
            assert done.status == 0, (cut, done.stderr)
        if done.status == 0:
            found = json.loads(done.stdout)
            assert found["end"]["kind"] == "truncated", cut
            touched.append(found["touched"]["total"])
        else:
            assert (done.status, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), (cut, done.stderr)
    assert touched == sorted(touched), "a longer file says no less"
    assert touched[-1] >= 0.9 * whole.report["touched"]["total"]


def test_a_tail_of_zeros_is_a_cut() -> None:
    data = long_trace().path.read_bytes()
    path = new_folder(any_user()) / "zeros.pmt"
    path.write_bytes(data[: block_starts(data)[-1]] + bytes(4096))
    assert report(path)["end"]["kind"] == "truncated"


# While it runs, and without its recorder


def start_slow_program(seconds: float) -> tuple[subprocess.Popen[bytes], Path]:
    path = new_folder(any_user()) / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "touch_slowly.py", str(seconds))
    return popen_ready(command), path


def test_a_trace_can_be_read_while_it_is_written() -> None:
    process, path = start_slow_program(2)
    try:
        time.sleep(0.8)
        assert report(path)["end"]["kind"] in ("running", "truncated")
        assert process.poll() is None
    finally:
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert report(path)["end"] == {"kind": "exit", "value": 0}


def test_the_program_outlives_its_recorder() -> None:
    process, path = start_slow_program(2.5)
    time.sleep(0.8)
    recorders = holders(path)
    for pid in recorders:
        os.kill(pid, signal.SIGKILL)
    try:
        stdout, stderr = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        pytest.fail("hangs without its recorder")
    assert recorders, "nobody was writing the trace"
    assert process.returncode == 0, text(stderr)
    assert b'"pages"' in stdout
    assert b"Traceback" not in stderr
    cut = report(path)
    assert cut["end"]["kind"] == "truncated"
    assert cut["duration_s"] > 0.2


# Refused by the kernel

KNOBS = re.compile(r"perf_event_paranoid|CAP_PERFMON|seccomp|CONFIG_PERF_EVENTS|kernel", re.IGNORECASE)


@each_user
@pytest.mark.parametrize("number", error_names("EPERM", "EACCES", "ENOSYS"))
def test_perf_events_refused(number: int, user: str) -> None:
    """The program runs all the same, under the timer engine; the report says why."""
    bare = run([sys.executable, TARGETS / "endings.py", "exit_3"], user=user, refuse_perf=number)
    refused = trace("endings.py", "exit_3", user=user, refuse_perf=number)
    assert_same(bare, refused)
    assert refused.report["engine"]["name"] == "timer"
    assert KNOBS.search(refused.report["engine"]["reason"]), refused.report["engine"]
    assert refused.report["end"] == {"kind": "exit", "value": 3}
    assert refused.report["rss"]["peak"] >= refused.truth["pages"] * PAGE, "RSS is still sampled"
    human = cli("report", refused.path, user=user)
    assert human.status == 0
    assert KNOBS.search(human.stdout + human.stderr)


@each_user
def test_no_engine_at_all(user: str) -> None:
    """Without ticks either an empty report explains itself."""
    refused = trace("endings.py", "exit_3", user=user, options=("--engine", "faults"), refuse_perf=1)
    assert refused.report["engine"]["name"] == "none"
    assert refused.report["rss"]["peak"] >= refused.truth["pages"] * PAGE, "RSS is still sampled"
    assert sum(row["self"] for row in refused.report["by_line"]) == 0
    human = cli("report", refused.path, user=user)
    assert human.status == 0
    assert KNOBS.search(human.stdout + human.stderr)


def test_a_refusal_is_said_at_the_end_of_run() -> None:
    path = new_folder(any_user()) / "x.pmt"
    done = cli("run", "-o", path, TARGETS / "hello.py", refuse_perf=1)
    assert done.status == 0
    assert KNOBS.search(done.stderr)
    quiet = cli("run", "-q", "-f", "-o", path, TARGETS / "hello.py", refuse_perf=1)
    assert quiet.stderr == "to stderr\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_under_a_debugger() -> None:
    """Signals would stop a traced program at every fault: not while somebody traces it."""
    folder = new_folder(any_user())
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-e", "signal=none", "-o", str(folder / "log")]
    if run([*strace, sys.executable, "-c", ""]).status != 0:
        pytest.skip("strace does not work here")
    done = run([*strace, *pymemtrace("run", "-q", "-o", folder / "x.pmt", TARGETS / "endings.py", "exit_3")])
    assert (done.status, done.stderr) == (3, "")
    engine = report(folder / "x.pmt")["engine"]
    assert engine["name"] == "none"
    assert re.search("ptrace|trac|debug", engine["reason"], re.IGNORECASE)
