"""`pymemtrace live` on a terminal: what it shows, its keys, and that it leaves terminal and program as they were."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.harness import (
    any_user,
    assert_one_line,
    cached_trace,
    children,
    cli,
    kill_tree,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
)
from integration.terminal import Terminal, plain
from pymemtrace.live import view

GROW = """
import sys, time
kept = []
def grow():
    kept.append(bytearray(400_000))
print("be" "gun", flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    grow()
    time.sleep(0.02)
print("done")
sys.exit(7)
"""
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?25h\x1b[?1049l"
pytestmark = pytest.mark.skipif(any_user() != "root", reason="one user is enough, and the folder is root's")


@pytest.fixture(autouse=True)
def _faults() -> None:
    need_faults(any_user())


@contextlib.contextmanager
def running(seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher of a traced program."""
    path = new_folder("root") / "x.pmt"
    process = popen(pymemtrace("run", "-q", "-o", path, "-c", GROW, str(seconds)))
    try:
        assert process.stdout and process.stdout.readline() == b"begun\n"
        yield process
    finally:
        kill_tree(process.pid)
        process.communicate()


def of_program(seconds: float, *options: str) -> list[str]:
    return pymemtrace("live", *options, "--", "-o", "x.pmt", "-c", GROW, str(seconds))


def shows_growth(terminal: Terminal, since: int = 0) -> None:
    terminal.wait_for(r"peak [\d.]+ MiB", since)
    terminal.wait_for(r"[\d.]+ MiB +\d+\.\d % +\S+ +\+[\d.]+ MiB +[\d.]+ MiB +grow +<string>:5", since)


def test_quitting_leaves_the_program_to_its_end() -> None:
    with Terminal(of_program(1.7)) as terminal:
        shows_growth(terminal)
        assert terminal.attributes() != terminal.settings
        assert "begun" not in terminal.text  # the program's output does not get into the picture
        terminal.send("q")
        terminal.wait_for("begun")
        assert terminal.attributes() == terminal.settings
        before, _, after = terminal.text.partition(LEFT)
        assert ENTERED in before
        assert "done" not in after
        assert terminal.end() == 7
        after = terminal.text.partition(LEFT)[2]
        assert "\x1b" not in after
        found = re.search(r"begun\ndone\npymemtrace: peak RSS [\d.]+ MiB, touched .*; exit status 7\n", after)
        assert found
        assert "details: pymemtrace report x.pmt" in after


def test_the_end_of_the_program_ends_the_screen() -> None:
    with Terminal(of_program(0.6, "--log", "out.log")) as terminal:
        assert terminal.end() == 7
        after = terminal.text.partition(LEFT)[2]
        assert after.startswith("pymemtrace: peak RSS ")
        assert (terminal.folder / "out.log").read_text() == "begun\ndone\n"


def test_ctrl_c_is_the_programs_too() -> None:
    with Terminal(of_program(30)) as terminal:
        shows_growth(terminal)
        terminal.send("\x03")
        assert terminal.end() == -signal.SIGINT
        assert terminal.text.count(LEFT) == 1
        assert "KeyboardInterrupt" in terminal.text.partition(LEFT)[2]


def test_a_process_that_is_traced() -> None:
    with running(3) as launcher:
        with Terminal(pymemtrace("live", str(launcher.pid))) as terminal:
            shows_growth(terminal)
            assert not re.search("b by: function", terminal.text)
            terminal.send("sb")
            terminal.wait_for("s sort: growth +b by: function")
            terminal.wait_for(">last 10 s")
            terminal.send("p")
            terminal.wait_for("PAUSED")
            terminal.send("pq")
            assert terminal.end() == 0
            assert plain(terminal.text.partition(LEFT)[2]).startswith(f"process {program_of(launcher)} goes on")
        with Terminal(pymemtrace("live", str(program_of(launcher)))) as terminal:
            shows_growth(terminal)
            os.kill(terminal.pid, signal.SIGTERM)
            assert terminal.end() == -signal.SIGTERM
            assert terminal.text.endswith(LEFT)
        output, _ = launcher.communicate()
        assert (launcher.returncode, output) == (7, b"done\n")


def program_of(launcher: subprocess.Popen[bytes]) -> int:
    [program] = [pid for pid in children(launcher.pid) if b"_boot.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return program


def test_a_small_terminal() -> None:
    with running(30) as launcher, Terminal(pymemtrace("live", str(launcher.pid)), 40, 8) as terminal:
        terminal.wait_for("MiB")
        time.sleep(0.6)
        terminal.send("q")
        assert terminal.end() == 0
        frames = [frame.split("\x1b[J")[0] for frame in terminal.text.split("\x1b[H")[1:]]
        assert len(frames) >= 2
        assert all(len(frame.split("\n")) <= 8 for frame in frames)
        assert [line for frame in frames for line in plain(frame).split("\n") if len(line) > 40] == []
        assert re.search(r"^.{4} +[\d.]+ [KM]iB  [<\w]", plain(frames[-1]), re.MULTILINE), "who holds it is there"


def test_refusals() -> None:
    assert_one_line(cli("live", "1"))
    assert "stdout is not a terminal" in cli("live", "--", "x.py").stderr
    for words, answer in {
        ("1073741824",): "there is no process 1073741824",
        (str(os.getpid()),): f"process {os.getpid()} is not being traced: start the program with `pymemtrace run`",
        ("x.py",): "'x.py' is no process number; before a program put --",
        (): "give either a PID, or -- and a program",
        ("1", "--log", "x"): "--log is about the output of a program",
        ("--", "--paused", "x.py"): "--paused records nothing",
    }.items():
        with Terminal(pymemtrace("live", *words), 200) as terminal:
            assert terminal.end() == 2
            [line] = terminal.text.splitlines()
            assert line.startswith("pymemtrace: ")
            assert answer in line
            assert terminal.text.count("\x1b") == 0


def test_a_view_says_what_the_timeline_says() -> None:
    path = str(cached_trace("held.py").path)
    found = view.read(path, None)
    rows = found.rows("function")
    last = json.loads(cli("timeline", path, "--json", "--by", "function").stdout)["points"][-1]
    assert sum(row.resident for row in rows) == last["exact"] + last["fill"] + last["by_time"]
    assert sum(row.growth for row in rows) == sum(row.resident for row in rows)  # it ran for less than 10 s
    assert found.history("function").points[-1].rss == last["rss"]
    touched = json.loads(cli("report", path, "--json", "--touched").stdout)["by_function"]
    of_touch = sum(row["self"] for row in touched if row["function"] == "touch")
    assert sum(row.touched for row in rows if row.owner.name == "touch") == of_touch
    assert sum(held for _tid, _name, held in found.threads) == sum(row.resident for row in rows)
