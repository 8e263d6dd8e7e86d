"""Signals, small stacks and strange descriptors: what a program does with them works as without us, and is traced."""

from __future__ import annotations

import os
import select
import signal
import sys
import time

import pytest

from integration.harness import (
    TARGETS,
    answer,
    any_user,
    assert_pages,
    assert_same,
    both,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
    report,
    run,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())


@each_user
def test_a_storm_of_signals(user: str) -> None:
    need_faults(user)
    bare, traced, path = both(TARGETS / "signal_storm.py", "20000", user=user)
    assert_same(bare, traced)
    assert traced.truth["handled"], "the alarm rang"
    found = report(path, user=user)
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    assert_pages(touched, 20_000, slack=20)


@each_user
@pytest.mark.parametrize("way", ["thread", "alternate", "forked", "deep", "overflow"])
def test_little_stack(way: str, user: str) -> None:
    need_faults(user)
    bare, traced, path = both(TARGETS / "small_stacks.py", way, user=user)
    assert_same(bare, traced)
    assert bare.status == 0
    found = report(path, user=user)
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    assert_pages(touched, traced.truth["pages"], slack=20)


@each_user
def test_all_descriptors_closed(user: str) -> None:
    need_faults(user)
    closed = trace("closes_descriptors.py", user=user)
    assert (closed.status, closed.stderr) == (0, "")
    assert closed.truth["intact"]
    assert closed.truth["numbers"] == list(range(3, 23))
    assert_pages(closed.function("touch")["self"], closed.truth["pages"], slack=20)


CAPTURE = """
import json, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr, time.monotonic() - begin]))
"""


def test_captured_output_ends_with_the_program() -> None:
    """A parent that reads until the end of the pipes gets its end: nobody of ours holds them open."""
    path = new_folder(any_user()) / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "endings.py", "exit_3")
    done = run([sys.executable, "-c", CAPTURE, *command], timeout=30)
    status, stdout, stderr, seconds = done.truth
    assert (status, stderr) == (3, "")
    assert '"pages"' in stdout
    assert seconds < 5


@each_user
def test_an_interrupt_reaches_the_sleeping_main_thread(user: str) -> None:
    """However often other threads come out of the kernel, where they could take it first.

    The moment between the handler's last look and its return is left: about one in twenty here, where two threads do
    nothing but fault and each fault is signalled. Without that look it is more than half.
    """
    missed = 0
    for _ in range(12):
        path = new_folder(user) / "x.pmt"
        process = popen(pymemtrace("run", "-q", "--exact", "-o", path, TARGETS / "interrupted.py"), user=user)
        answer(process, b"ready")
        time.sleep(0.1)
        assert process.stdout
        os.killpg(process.pid, signal.SIGINT)
        while not select.select([process.stdout], [], [], 1)[0]:
            missed += 1
            os.killpg(process.pid, signal.SIGINT)
        answer(process, b"interrupted")
        process.communicate(timeout=10)
    assert missed <= 4
