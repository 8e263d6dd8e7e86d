"""The recorder dies, stops or lags: the program waits a second at most, and what is missing is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pymemtrace as pymemtrace_package
from integration.harness import (
    PAGE,
    TARGETS,
    answer,
    any_user,
    assert_pages,
    cli,
    holders,
    kill_tree,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
    report,
    run,
    text,
    users,
)

each_user = pytest.mark.parametrize("user", users())
WAIT = 1.0  # seconds that a full ring waits without progress


def start(user: str, *words: str, options: tuple[str, ...] = ("-q",)) -> tuple[subprocess.Popen[bytes], Path, int]:
    """A program that touches pages at each line of input; also the pid of its recorder."""
    need_faults(user)
    path = new_folder(user) / "x.pmt"
    command = pymemtrace("run", *options, "-o", path, TARGETS / "on_command.py", *words)
    process = popen(command, user=user, stdin=subprocess.PIPE)
    answer(process, b"ready")
    [recorder] = holders(path)
    return process, path, recorder


def touch(process: subprocess.Popen[bytes]) -> float:
    """Let it touch once; the seconds that took."""
    assert process.stdin
    begin = time.monotonic()
    process.stdin.write(b"\n")
    process.stdin.flush()
    answer(process, b"done", 30)
    return time.monotonic() - begin


@each_user
def test_the_recorder_is_killed(user: str) -> None:
    process, path, recorder = start(user, "1", "1000", options=())
    touch(process)
    time.sleep(0.3)
    os.kill(recorder, signal.SIGKILL)
    assert touch(process) < WAIT + 1
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(stdout.splitlines()[-1])["pages"] == 2000
    assert "the trace is incomplete: the recorder was killed" in text(stderr)
    found = report(path, user=user)
    assert found["end"]["kind"] == "truncated"
    assert_pages(sum(row["self"] for row in found["by_function"] if row["function"] == "touch"), 1000)
    assert "cut off" in cli("report", path, user=user).stdout


@each_user
def test_the_recorder_is_killed_under_load(user: str) -> None:
    """Rings fill and nobody will ever empty them: one wait for all, then the program runs as if alone."""
    process, _, recorder = start(user, "4", "20000")
    os.kill(recorder, signal.SIGKILL)
    assert touch(process) < WAIT + 2
    assert touch(process) < 1.5, "it does not wait again"
    assert process.communicate(timeout=30)[1] == b"pymemtrace: the trace is incomplete: the recorder was killed\n"


@each_user
@pytest.mark.parametrize("threads", [1, 6])
def test_the_recorder_is_stopped(threads: int, user: str) -> None:
    process, path, recorder = start(user, str(threads), str(24_000 // threads), options=("-q", "--exact"))
    os.kill(recorder, signal.SIGSTOP)
    stalled = touch(process)
    os.kill(recorder, signal.SIGCONT)
    time.sleep(0.3)
    assert touch(process) < WAIT + 1
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, b"")
    truth = json.loads(stdout.splitlines()[-1])
    # All threads together wait once, though each ring is full.
    assert WAIT * 0.9 < stalled < WAIT + 1.5
    found = report(path, user=user)
    assert found["end"] == {"kind": "exit", "value": 0}
    assert found["lost"] > 1000
    info = json.loads(cli("info", path, "--json", user=user).stdout)
    [row] = info["processes"]
    assert row["counters"]["waits"] >= 1
    assert row["counters"]["wait_ns"] >= 0.9e9
    assert row["counters"]["lost"] == found["lost"]
    # What was lost is in the totals of later faults, of whichever code, and labelled.
    rise = found["rss"]["end"] - found["rss"]["start"]
    assert rise > truth["pages"] * PAGE
    assert rise * 0.98 < sum(row["self"] for row in found["by_line"]) < rise * 1.05
    assert found["touched"]["by_time"] > found["lost"] * 0.9 * PAGE
    assert "lost" in cli("report", path, user=user).stdout


def recorder_of(process: subprocess.Popen[bytes], path: Path) -> int:
    """Wait for it."""
    while process.poll() is None:
        if path.exists() and (found := holders(path)):
            return found[0]
    pytest.fail("the program ended before its recorder was seen")


def test_a_recorder_that_gets_little_time() -> None:
    """It closes the events of the last period late: until then they signal beside the new ones, or in their place."""
    need_faults(user := any_user())
    path = new_folder(user) / "x.pmt"
    pieces = [TARGETS / "released_at_once.py", "pieces", "2", "60000", "1"]
    process = popen(pymemtrace("run", "-q", "-o", path, *pieces), user=user, stdin=subprocess.DEVNULL)
    recorder = recorder_of(process, path)
    while process.poll() is None:
        try:
            os.kill(recorder, signal.SIGSTOP)
            time.sleep(0.02)
            os.kill(recorder, signal.SIGCONT)
        except ProcessLookupError:
            break
        time.sleep(0.005)
    assert process.wait(20) == 0
    found = report(path, user=user)
    assert found["engine"]["period"] > 16, "the period did not widen"
    assert_pages(sum(row["self"] for row in found["by_function"] if row["function"] == "touch"), 120_000)


def test_a_recorder_that_stays_stopped() -> None:
    """The program ends as it would, and so does `run`: a recorder that cannot end is told to go on."""
    process, path, recorder = start(any_user(), "1", "20000")
    os.kill(recorder, signal.SIGSTOP)
    touch(process)
    try:
        stdout, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        pytest.fail("`run` waits for a stopped recorder")
    assert process.returncode == 0
    assert b'"pages": 20000' in stdout
    assert report(path)["lost"] > 0


@each_user
def test_the_program_is_killed(user: str) -> None:
    process, path, recorder = start(user, "1", "5000")
    touch(process)
    [program] = [
        int(p)
        for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if int(p) != recorder
    ]
    os.kill(program, signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    found = report(path, user=user)
    assert found["end"] == {"kind": "signal", "value": signal.SIGKILL}
    assert_pages(sum(row["self"] for row in found["by_function"] if row["function"] == "touch"), 5000)


@each_user
def test_the_launcher_is_killed(user: str) -> None:
    """The program and its recorder need it no more."""
    process, path, _ = start(user, "2", "1000")
    touch(process)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    touch(process)
    assert process.stdin and process.stdout
    process.stdin.write(b"\n")
    process.stdin.close()  # the program ends when there is nothing more to read
    assert b'"pages": 6000' in process.stdout.read()
    deadline = time.monotonic() + 10
    while holders(path):
        assert time.monotonic() < deadline, "the recorder stays"
        time.sleep(0.02)
    found = report(path, user=user)
    assert found["end"]["kind"] == "exit"
    assert found["end"]["value"] in (0, None), "the status is its parent's to know"
    assert_pages(sum(row["self"] for row in found["by_function"] if row["function"] == "touch"), 6000)


DEAF = """
import _socket, mmap, os, sys
from importlib.util import spec_from_file_location, module_from_spec
spec = spec_from_file_location("inside", sys.argv[1])
inside = module_from_spec(spec)
spec.loader.exec_module(inside)
address = f"pymemtrace-test-{os.getpid()}"
listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
listener.bind(b"\\0" + address.encode())
listener.listen(1)
try:
    inside.start(inside.load_capture(), address, ["alone"], confirm=True)
    print("started")
except OSError as error:
    print(error.strerror)
memory = mmap.mmap(-1, 1000 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for offset in range(0, len(memory), mmap.PAGESIZE):
    memory[offset] = 1
"""


@each_user
def test_a_recorder_that_never_answers(user: str) -> None:
    """The event that it was sent must not go on: nobody handles its signals."""
    need_faults(user)
    inside = Path(pymemtrace_package.__file__).with_name("_inside.py")
    done = run([sys.executable, "-c", DEAF, inside], user=user)
    assert done.status == 0
    assert "the recorder does not answer" in done.stdout
