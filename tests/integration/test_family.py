"""Children of a traced program: they land in its trace under their own pid, or are listed as not traced."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import venv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Traced,
    any_user,
    assert_pages,
    cli,
    environment,
    need_connector,
    need_faults,
    new_folder,
    pymemtrace,
    report,
    run,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())
PAGES = 1000  # of tests/targets/family.py
TOUCH = "touch_in_child"


def family(way: str, user: str, *options: str) -> Traced:
    traced = trace("family.py", way, user=user, options=options)
    assert (traced.status, traced.stderr) == (0, ""), traced.stderr
    need_faults(user)
    return traced


def told(traced: Traced) -> dict[int, str]:
    """pid to name, as the children printed it."""
    lines = [line.split() for line in traced.stdout.splitlines()]
    return {int(pid): name for name, pid in lines}


def process(traced: Traced, pid: int) -> dict[str, Any]:
    found = [each for each in traced.report["processes"] if each["pid"] == pid]
    assert len(found) == 1, found
    return found[0]


def touched_by(traced: Traced, pid: int) -> int:
    rows = report(traced.path, "--pid", str(pid))["by_function"]
    return sum(row["self"] for row in rows if row["function"] == TOUCH)


@each_user
@pytest.mark.parametrize(
    ("way", "children"),
    [
        ("fork", 1),
        ("fork_and_exit", 1),
        ("fork_from_thread", 1),
        ("grandchild", 2),
        ("python", 1),
        ("python_of_python", 1),
        ("shell", 1),
        ("spawn", 2),
        ("forkserver", 2),
        ("multiprocessing_fork", 2),
        ("killed", 1),
    ],
)
def test_children_land_in_the_same_trace(way: str, children: int, user: str) -> None:
    traced = family(way, user)
    names = told(traced)
    assert len(names) == children
    for pid in names:
        row = process(traced, pid)
        assert row["traced"] and row["touched"] >= PAGES * PAGE
        assert_pages(touched_by(traced, pid), PAGES)
    total = [row for row in traced.report["by_function"] if row["function"] == TOUCH]
    assert_pages(sum(row["self"] for row in total), PAGES * children)
    parts = sum(each["touched"] for each in traced.report["processes"])
    assert (
        parts + traced.report["touched"]["kernel"]
        >= traced.report["touched"]["total"] - traced.report["touched"]["tracer"]
    )


@each_user
def test_pool(user: str) -> None:
    traced = family("pool", user)
    rows = [row for row in traced.report["by_function"] if row["function"] == TOUCH]
    assert_pages(sum(row["self"] for row in rows), 4 * PAGES)


@pytest.mark.parametrize(
    ("way", "end"), [("fork", ("exit", 7)), ("fork_and_exit", ("exit", 0)), ("killed", ("signal", 9))]
)
def test_ends_of_children(way: str, end: tuple[str, int]) -> None:
    traced = family(way, any_user())
    (pid,) = told(traced)
    row = process(traced, pid)
    assert row["parent"] == traced.report["processes"][0]["pid"]
    assert row["end"]["kind"] == end[0]
    assert row["end"]["value"] in (end[1], None), "None where the kernel does not tell"


def test_output_and_status_are_the_same() -> None:
    for way in ("fork", "spawn", "pool", "shell", "replace"):
        bare = run([sys.executable, TARGETS / "family.py", way])
        traced = trace("family.py", way)
        strip = [[line.split()[0] for line in each.stdout.splitlines()] for each in (bare, traced)]
        assert (strip[0], bare.status, bare.stderr) == (strip[1], traced.status, traced.stderr)


@pytest.mark.parametrize(("way", "command"), [("other", "/bin/sleep"), ("isolated", sys.executable)])
def test_what_cannot_be_followed_is_listed(way: str, command: str) -> None:
    traced = family(way, any_user())
    others = [row for row in traced.report["processes"] if not row["traced"]]
    assert [row["command"][0] for row in others] == [command]
    assert others[0]["touched"] == 0
    assert others[0]["rss"]["peak"] > 0
    assert others[0]["end"]["kind"] == "exit" and others[0]["end"]["value"] in (0, None)
    assert "not traced" in cli("report", traced.path).stdout


def endings(traced: Traced) -> dict[int, tuple[str, int | None]]:
    """Of the processes that the root started; each pid once."""
    children = traced.report["processes"][1:]
    found = {row["pid"]: (row["end"]["kind"], row["end"]["value"]) for row in children}
    assert len(found) == len(children)
    return found


@each_user
def test_children_that_live_for_a_millisecond(user: str) -> None:
    need_connector(user)
    traced = family("brief", user)
    expected = {"zero": ("exit", 0), "one": ("exit", 1), "killed": ("signal", 9)}
    assert endings(traced) == {pid: expected[name] for pid, name in told(traced).items()}
    assert len(told(traced)) == 81
    for row in traced.report["processes"][1:]:
        assert not row["traced"] and row["command"][:1] in ([], ["/bin/true"], ["/bin/false"], ["/bin/sleep"], ["true"])
        assert (row["rss"]["peak"] or 0) < 10 << 20, "never its parent's memory, which it runs on at first"
        assert row["rss"]["peak"] or not row["rss"]["peak_at_least"]
    assert any(row["rss"]["peak_at_least"] for row in traced.report["processes"])


def test_children_are_no_strangers_and_strangers_no_children() -> None:
    """While the machine is busy with others."""
    need_connector(any_user())
    storm = "import os\nwhile True:\n pid = os.fork()\n if not pid: os._exit(0)\n os.waitpid(pid, 0)"
    others = subprocess.Popen([sys.executable, "-c", storm])
    try:
        traced = family("brief", any_user())
    finally:
        others.kill()
        others.wait()
    expected = {"zero": ("exit", 0), "one": ("exit", 1), "killed": ("signal", 9)}
    assert endings(traced) == {pid: expected[name] for pid, name in told(traced).items()}


def test_orphans() -> None:
    need_connector(any_user())
    found = endings(family("orphan", any_user()))
    assert Counter(found.values()) == {("exit", 4): 10, ("exit", 0): 10}


def test_threads_are_no_children() -> None:
    assert len(family("threads", any_user()).report["processes"]) == 1


def test_the_peak_of_a_child_that_was_looked_at_to_its_end() -> None:
    traced = family("looked_at", any_user())
    (row,) = (row for row in traced.report["processes"] if row["command"][:1] == ["/bin/sleep"])
    assert not row["rss"]["peak_at_least"]


@each_user
def test_exec_in_place(user: str) -> None:
    traced = family("replace", user)
    images = [row for row in traced.report["processes"] if row["pid"] == traced.report["processes"][0]["pid"]]
    assert len(images) == 2 and all(row["traced"] for row in images)
    assert traced.report["end"] == images[1]["end"] == {"kind": "exit", "value": 0}
    assert_pages(touched_by(traced, images[0]["pid"]), 2 * PAGES)


@each_user
def test_fork_and_exec(user: str) -> None:
    traced = family("fork_and_exec", user)
    (pid,) = told(traced)
    forked, image = (row for row in traced.report["processes"] if row["pid"] == pid)
    assert forked["traced"] and image["traced"]
    assert image["command"] == [sys.executable, str(TARGETS / "family.py"), "child", "image"]
    assert image["end"]["kind"] == "exit" and image["end"]["value"] in (0, None)
    assert_pages(touched_by(traced, pid), PAGES)


def test_exec_of_another_program() -> None:
    traced = family("replace_by_other", any_user())
    assert traced.report["end"] == {"kind": "exit", "value": 0}
    assert_pages(touched_by(traced, traced.report["processes"][0]["pid"]), PAGES)


def test_no_follow() -> None:
    for way in ("fork", "python"):
        traced = family(way, any_user(), "--no-follow")
        (pid,) = told(traced)
        assert touched_by(traced, traced.report["processes"][0]["pid"]) == 0
        assert [row["traced"] for row in traced.report["processes"] if row["pid"] == pid] in ([], [False])


def test_a_child_that_outlives_the_program() -> None:
    path = new_folder(any_user()) / "x.pmt"
    begin = time.monotonic()
    done = cli("run", "-o", path, TARGETS / "family.py", "outlive")
    assert done.status == 0 and time.monotonic() - begin < 5
    assert "1 of its processes still run" in done.stderr
    found = _when_all_have_ended(path)
    assert found["end"] == {"kind": "exit", "value": 0}
    _assert_survivor(found, int(done.stdout.split()[1]))
    assert_pages(_touched_in_children(found), PAGES)


@each_user
def test_a_child_whose_parent_is_killed(user: str) -> None:
    need_faults(user)
    path = new_folder(user) / "x.pmt"
    done = cli("run", "-q", "-o", path, TARGETS / "family.py", "bereave", user=user)
    assert done.status == -signal.SIGKILL
    found = _when_all_have_ended(path)
    assert found["end"] == {"kind": "signal", "value": signal.SIGKILL}
    _assert_survivor(found, int(done.stdout.split()[1]))
    assert_pages(_touched_in_children(found), 2 * PAGES)


def _assert_survivor(found: dict[str, Any], pid: int) -> None:
    (row,) = (row for row in found["processes"] if row["pid"] == pid)
    assert row["end"]["kind"] == "exit" and row["end"]["value"] in (3, None)
    assert row["command"] == found["command"], "none of our words"
    assert row["touched"] >= PAGES * PAGE


def _touched_in_children(found: dict[str, Any]) -> int:
    return sum(row["self"] for row in found["by_function"] if row["function"] == TOUCH)


def _when_all_have_ended(path: Path) -> dict[str, Any]:
    """The report of a trace whose recorder is still at work when `run` returns."""
    deadline = time.monotonic() + 10
    while not json.loads(cli("info", path, "--json").stdout)["file"]["complete"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return report(path)


def test_many_forks_are_all_there_and_ended() -> None:
    traced = family("many", any_user())
    children = [row for row in traced.report["processes"][1:] if row["traced"]]
    assert len(children) == 100
    assert all(row["end"]["kind"] == "exit" for row in children)


def test_the_environment_of_children_without_a_recorder() -> None:
    """The variable that stays behind in the environment harms nobody."""
    code = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', 'print(len(__import__(\"sys\").path))'])"
    bare = run([sys.executable, "-c", code])
    stale = run([sys.executable, "-c", code], env={"PYMEMTRACE_FOLLOW": "pymemtrace-gone exact"})
    traced = cli("run", "-q", "-f", "-o", new_folder(any_user()) / "x.pmt", "-c", code)
    assert (bare.stdout, bare.stderr) == (stale.stdout, stale.stderr) == (traced.stdout, traced.stderr)


def test_inside_a_virtual_environment() -> None:
    """One made here, whose Python has nothing of its own: program and children are that environment's, and traced."""
    folder = new_folder(any_user())
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout.strip()
    ours = sorted({path for path in sys.path if path.endswith("site-packages")})
    (Path(packages) / "ours.pth").write_text("\n".join(ours))
    code = "import os, sys; print(os.path.samefile(sys.prefix, sys.argv[1]), sys.prefix != sys.base_prefix, flush=True)"
    parent = f"import subprocess\n{code}\nsubprocess.run([sys.executable, '-c', {code!r}, sys.argv[1]])"
    bare = run([python, "-c", parent, folder / "env"], user=any_user())
    assert bare.stdout == "True True\n" * 2
    path = folder / "x.pmt"
    command = pymemtrace("run", "-q", "-o", path, "-c", parent, folder / "env")
    traced = run([python, *command[1:]], user=any_user(), env=environment())
    assert (traced.status, traced.stdout, traced.stderr) == (0, bare.stdout, "")
    assert [row["traced"] for row in report(path)["processes"]] == [True, True]
