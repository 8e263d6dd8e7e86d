"""Under gdb and strace, from the start and attached later: signals at page faults would stop the program in them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from integration.harness import (
    TARGETS,
    answer,
    any_user,
    assert_pages,
    holders,
    kill_tree,
    need_faults,
    new_folder,
    popen,
    pymemtrace,
    report,
    run,
    text,
)

needs_gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed (make test installs it)")
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (make test installs it)"
)
GDB = ["gdb", "-nx", "-batch", "-q", "-iex", "set debuginfod enabled off", "-ex", "set confirm off"]


def program_of(process: subprocess.Popen[bytes], path: Path) -> int:
    """The traced program below the launcher."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    [program] = set(map(int, children)) - set(holders(path))
    return program


def start_on_command(path: Path) -> subprocess.Popen[bytes]:
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "on_command.py", "2", "2000")
    process = popen(command, user=any_user(), stdin=subprocess.PIPE)
    answer(process, b"ready")
    return process


def touch(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()
    answer(process, b"done", 30)


@needs_gdb
def test_run_under_gdb() -> None:
    """gdb follows the launcher and lets go of its children: the program is traced by us alone."""
    path = new_folder(any_user()) / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "endings.py", "exit_3")
    done = run([*GDB, "-ex", "run", "--args", *command])
    if "ptrace" in done.stderr:
        pytest.skip(f"gdb does not work here: {done.stderr}")
    assert re.search(r"exited with code 0?3\]", done.stdout), done
    assert "SIGTRAP" not in done.stdout
    assert report(path)["end"] == {"kind": "exit", "value": 3}


@needs_gdb
def test_the_program_under_gdb() -> None:
    """gdb follows the program: no page-fault signals then, and the reason is in the report."""
    path = new_folder(any_user()) / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, TARGETS / "endings.py", "exit_3")
    done = run([*GDB, "-ex", "set follow-fork-mode child", "-ex", "run", "--args", *command])
    if "ptrace" in done.stderr:
        pytest.skip(f"gdb does not work here: {done.stderr}")
    assert re.search(r"exited with code 0?3\]", done.stdout), done
    assert "SIGTRAP" not in done.stdout
    deadline = time.monotonic() + 10  # gdb ends with the program, the launcher a moment later
    while (found := report(path))["end"]["kind"] == "truncated" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found["end"] == {"kind": "exit", "value": 3}
    assert found["engine"]["name"] == "none"
    assert "debugger" in found["engine"]["reason"]


@needs_gdb
def test_gdb_attached_later() -> None:
    """The events are switched off before the program goes on, or it would stop at its next fault."""
    need_faults(any_user())
    path = new_folder(any_user()) / "x.pmt"
    process = start_on_command(path)
    touch(process)
    time.sleep(0.2)
    pid = program_of(process, path)
    debugger = popen([*GDB, "-p", str(pid), "-ex", "continue"], user=any_user())
    deadline = time.monotonic() + 30
    while f"TracerPid:\t{debugger.pid}" not in Path(f"/proc/{pid}/status").read_text():
        if debugger.poll() is not None or time.monotonic() > deadline:
            kill_tree(process.pid)
            pytest.skip(f"gdb cannot attach here: {text(debugger.communicate()[1])}")
        time.sleep(0.05)
    touch(process)
    stdout, stderr = process.communicate(timeout=60)
    said = text(debugger.communicate(timeout=30)[0])
    assert (process.returncode, stderr) == (0, b"")
    assert b'"pages": 8000' in stdout
    assert "SIGTRAP" not in said
    assert "exited normally" in said
    found = report(path)
    assert "debugger" in found["engine"]["reason"]
    touched = sum(row["self"] for row in found["by_function"] if row["function"] == "touch")
    assert_pages(touched, 4000, slack=20)


@needs_strace
def test_strace_attached_later() -> None:
    need_faults(any_user())
    folder = new_folder(any_user())
    process = start_on_command(folder / "x.pmt")
    touch(process)
    pid = program_of(process, folder / "x.pmt")
    tracer = popen(["strace", "-f", "-qq", "-o", folder / "log", "-p", str(pid)], user=any_user())
    time.sleep(0.5)
    if tracer.poll() is not None:
        kill_tree(process.pid)
        pytest.skip(f"strace cannot attach here: {text(tracer.communicate()[1])}")
    touch(process)
    os.kill(tracer.pid, signal.SIGINT)
    tracer.communicate(timeout=30)
    touch(process)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, b"")
    assert b'"pages": 12000' in stdout
    assert "debugger" in report(folder / "x.pmt")["engine"]["reason"]
