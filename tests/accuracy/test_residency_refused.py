"""Where less can be known the rest stands, and a line says what is missing: the timer engine, kernels whose RSS lags,
no pagemap, a process that nobody may look at, or that is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from accuracy.resident import as_user, assert_books_close, assert_owners, report, resident
from integration.harness import (
    PAGE,
    TARGETS,
    Outcome,
    Traced,
    any_user,
    cli,
    environment,
    need_faults,
    new_folder,
    pymemtrace,
    run,
)
from oracle import pmt

MIB = 1 << 20
SHIM = TARGETS / "residency" / "lagging_rss.c"


def shim(*flags: str) -> str:
    """Build the library to preload; every user can read it."""
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = new_folder("root" if os.geteuid() == 0 else any_user()) / "shim.so"
    subprocess.run(
        [compiler, "-std=gnu11", "-O1", "-shared", "-fPIC", *flags, "-o", library, SHIM, "-ldl"], check=True, timeout=60
    )
    library.chmod(0o755)
    return str(library)


def preloaded(library: str, target: str, *arguments: str, options: tuple[str, ...] = ()) -> tuple[Outcome, Path]:
    user = any_user()
    need_faults(user)
    path = new_folder(user) / "x.pmt"
    program = TARGETS / target
    command = pymemtrace("run", "-q", "-f", "-o", path, *options, program, *arguments)
    done = run(command, user=user, env=environment(LD_PRELOAD=library))
    assert (done.stderr, done.status) == ("", 0)
    return done, path


@pytest.mark.parametrize(
    "case", [("stages.py", "second,fourth"), ("given_back.py", "again"), ("threads.py",)], ids="-".join
)
@pytest.mark.parametrize("period", [(), ("--exact",)], ids=["adaptive", "exact"])
def test_rss_that_lags(case: tuple[str, ...], period: tuple[str, ...]) -> None:
    """Each owner's total holds within the printed band."""
    done, path = preloaded(shim(), f"residency/{case[0]}", *case[1:], options=period)
    assert "±" in cli("report", path).stdout
    for moment in "peak", "end":
        found = report(path, "--at", moment)
        assert_books_close(found)
        band = found["at"]["error_band"]
        assert band >= 2 * 64 * PAGE, "or the band is not that of this reader, of pages of memory and of files"
        whole = Traced(0, done.stdout, "", 0.0, path, found)
        assert_owners(whole, done.truth[moment], case[0], slack=16 + band // PAGE)


def test_the_event_log_names_the_lag() -> None:
    _, path = preloaded(shim(), "residency/stages.py", "", options=("--calls",))
    for verb in "log", "calls":
        assert "lags by up to" in cli(verb, path).stdout.replace("\n", " "), verb


def test_the_shim_lags() -> None:
    """Else the test above is about nothing."""
    program = (
        "import os, mmap\n"
        "statm = os.open('/proc/self/statm', os.O_RDONLY)\n"
        "read = lambda: int(os.pread(statm, 128, 0).split()[1])\n"
        "memory = mmap.mmap(-1, 1 << 22, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "seen = []\n"
        "for page in range(1024):\n"
        "    memory[page * 4096] = 1\n"
        "    seen.append(read())\n"
        "print(len(set(seen)))\n"
    )
    count = {lag: run([sys.executable, "-c", program], env=environment(**lag_env)).stdout for lag, lag_env in lags()}
    assert int(count["lagging"]) <= 40
    if os.uname().release.split(".")[:2] >= ["6", "18"]:
        assert int(count["exact"]) >= 900


def lags() -> list[tuple[str, dict[str, str]]]:
    return [("lagging", {"LD_PRELOAD": shim()}), ("exact", {})]


# The timer engine


@as_user
@pytest.mark.parametrize("case", [("stages.py", "second,fourth"), ("given_back.py", "half", "0.3")], ids="-".join)
def test_the_timer_engine(case: tuple[str, ...], user: str) -> None:
    """The same commands; the books close; nothing is called exact that is not."""
    run = resident(*case, user=user, engine="timer")
    for found in run.report, run.end:
        assert found["engine"]["name"] == "timer"
        assert_books_close(found)
        assert found["at"]["exact"] == 0, "ticks have no address"
    # It reads RSS at its ticks, and the recorder every 10 ms: a peak that lasts is seen, one between them is not.
    assert 0.9 * run.highest <= run.report["at"]["rss"] <= 1.01 * run.highest
    for moment in "peak", "end":
        for command in "report", "tree":
            done = cli(command, run.path, "--at", moment, user=user)
            assert done.status == 0, done.stderr
        assert "timer" in cli("report", run.path, "--at", moment, user=user).stdout


@as_user
def test_the_timer_says_what_it_cannot_know(user: str) -> None:
    run = resident("stages.py", "second,fourth", user=user, engine="timer")
    said = cli("report", run.path, "--at", "end", user=user).stdout.lower()
    assert "by time" in said, said[-1500:]


# Nothing to look at


def test_pagemap_refused() -> None:
    _, path = preloaded(shim("-DREFUSE"), "touch_kinds.py", "mmap_private")
    found = report(path)
    assert_books_close(found)
    whole = Traced(0, "", "", 0.0, path, found)
    size = 32 * MIB
    assert whole.function("mmap_private", "touch_kinds.py")["self"] == pytest.approx(size, rel=0.02)
    said = cli("report", path).stdout
    assert "pagemap" in said, said[-2000:]


@as_user
@pytest.mark.parametrize("way", ["killed", "os_exit", "undumpable"])
def test_a_process_that_is_gone_or_hidden(way: str, user: str) -> None:
    """A clear line where there is no last snapshot; the rest of the report stands."""
    need_faults(user)
    path = new_folder(user) / "x.pmt"
    run(pymemtrace("run", "-q", "-f", "-o", path, TARGETS / "residency/odd_ends.py", way), user=user)
    for moment in "peak", "end":
        found: dict[str, Any] = report(path, "--at", moment, user=user)
        assert_books_close(found)
        whole = Traced(0, "", "", 0.0, path, found)
        assert whole.function("grow", "odd_ends.py")["total"] == pytest.approx(32 * MIB, rel=0.02), moment
    if way == "killed":
        assert not any(snapshot.kind == 4 and snapshot.end for snapshot in pmt.decode(path).snapshots)
        assert "snapshot" in cli("report", path, "--at", "end", user=user).stdout
