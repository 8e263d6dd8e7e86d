"""`pymemtrace run`: the program cannot tell that it is traced, and its caller sees it end as it does without us."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    PAGE,
    TARGETS,
    Outcome,
    any_user,
    assert_one_line,
    assert_pages,
    assert_same,
    both,
    cli,
    environment,
    holders,
    kill_tree,
    need_faults,
    new_folder,
    popen,
    popen_ready,
    pymemtrace,
    report,
    run,
    text,
    trace,
    unprivileged,
    users,
)

each_user = pytest.mark.parametrize("user", users())


# How a program is named


@pytest.fixture(scope="module")
def programs() -> Path:
    """A folder with the same program as a script, module, package, folder and zip file."""
    folder = new_folder(any_user())
    facts = TARGETS / "main_facts.py"
    for name in "package/sub", "with_main":
        (folder / name).mkdir(parents=True)
    for name in "script.py", "module.py", "package/__main__.py", "package/sub/mod.py", "with_main/__main__.py":
        shutil.copy(facts, folder / name)
    shutil.copy(facts, folder / "no_suffix")
    (folder / "package/__init__.py").write_text("")
    (folder / "package/sub/__init__.py").write_text("print('imported', __name__)\n")
    (folder / "link.py").symlink_to(TARGETS / "main_facts.py")
    (folder / "sp ace \u00fc.py").write_text(facts.read_text())
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.write(facts, "__main__.py")
    return folder


FORMS = {
    "script": ["script.py"],
    "script_by_folder": ["./script.py", "argument"],
    "script_without_suffix": ["no_suffix"],
    "script_through_a_link": ["link.py"],
    "script_with_a_strange_name": ["sp ace \u00fc.py"],
    "options_of_the_script": ["script.py", "-o", "x", "-q", "--json", "--", "-m", "-c", ""],
    "module": ["-m", "module", "-x", "y"],
    "package": ["-m", "package"],
    "submodule": ["-m", "package.sub.mod", "1"],
    "folder": ["with_main", "-v"],
    "zip_file": ["archive.zip", "a", "b"],
    "code": ["-c", (TARGETS / "main_facts.py").read_text(), "-c", "d"],
}


@pytest.mark.parametrize("form", FORMS)
def test_what_main_sees(form: str, programs: Path) -> None:
    bare, traced, path = both(*FORMS[form], cwd=programs)
    assert bare.status == 0, bare.stderr
    assert_same(bare, traced)
    assert report(path)["command"] is not None


@pytest.mark.parametrize(
    "flags", [["-P"], ["-I"], ["-E", "-s"], ["-B", "-u"], ["-O"], ["-X", "utf8", "-W", "ignore"]], ids="".join
)
@pytest.mark.parametrize("form", ["script", "code", "zip_file"])
def test_what_main_sees_under_flags(form: str, flags: list[str], programs: Path) -> None:
    bare, traced, _ = both(*FORMS[form], flags=flags, cwd=programs)
    assert bare.status == 0, bare.stderr
    assert_same(bare, traced)


def test_module_under_safe_path(programs: Path) -> None:
    bare, traced, _ = both("-m", "module", flags=["-P"], cwd=programs, env=environment(PYTHONPATH=str(programs)))
    assert "name __main__" in bare.stdout
    assert_same(bare, traced)


def test_safe_path_by_environment(programs: Path) -> None:
    bare, traced, _ = both("script.py", cwd=programs, env=environment(PYTHONSAFEPATH="1"))
    assert_same(bare, traced)


def test_the_command_of_the_report(programs: Path) -> None:
    """`command` is the user's argv."""
    script = programs / "script.py"
    path = new_folder(any_user()) / "x.pmt"
    assert cli("run", "-q", "-o", path, script, "--one", "two words").status == 0
    assert report(path)["command"][-3:] == [str(script), "--one", "two words"]


# What a program is given


@pytest.fixture(scope="module", params=users())
def surroundings(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Any]]:
    """What surroundings.py finds bare and traced, in the same session as these tests."""
    bare, traced, _ = both(TARGETS / "surroundings.py", user=request.param, own_session=False)
    assert (bare.status, bare.stderr) == (0, "")
    assert (traced.status, traced.stderr) == (0, "")
    return json.loads(bare.stdout), json.loads(traced.stdout)


SURROUNDINGS = [
    "descriptors", "environment", "child", "children", "dispositions", "signal masks", "blocked", "privileges",
    "terminal", "directory", "umask", "limits", "priority", "threads", "main thread", "switch interval",
    "garbage collector", "encodings", "buffering", "name", "executable", "warnings", "session",
]  # fmt: skip


def test_every_surrounding_is_compared(surroundings: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert sorted(surroundings[0]) == sorted(SURROUNDINGS)


@pytest.mark.parametrize("what", SURROUNDINGS)
def test_surroundings(what: str, surroundings: tuple[dict[str, Any], dict[str, Any]]) -> None:
    bare, traced = surroundings
    assert traced[what] == bare[what]


def test_environment_of_a_child(programs: Path) -> None:
    code = "import subprocess; print(subprocess.run(['env'], capture_output=True, text=True).stdout)"
    bare, traced, _ = both("-c", code)
    own = [line for line in traced.stdout.splitlines() if line not in bare.stdout.splitlines()]
    names = [line.partition("=")[0] for line in own]
    assert names.count("PYTHONPATH") == 1 and names.count("PYMEMTRACE_FOLLOW") == 1 and len(names) == 2
    assert set(bare.stdout.splitlines()) <= set(traced.stdout.splitlines())
    bare, traced, _ = both("-c", code.replace("'env'", f"{sys.executable!r}, '-c', 'import os; print(os.environ)'"))
    assert_same(bare, traced)


# Streams


@pytest.mark.parametrize("data", [b"", b"line\nother", bytes(range(256)) * 4096], ids=["nothing", "text", "binary"])
def test_streams(data: bytes) -> None:
    bare, traced, _ = both(TARGETS / "copy_stdin.py", stdin=data)
    assert bare.status == 0
    assert_same(bare, traced)


def test_notices_go_to_stderr() -> None:
    """Without -q: where the trace goes, a summary, and the next command to copy; stdout stays the program's."""
    folder = new_folder(any_user())
    done = cli("run", "-o", folder / "x.pmt", TARGETS / "hello.py", cwd=folder)
    assert re.fullmatch(r"hello from \d+\n", done.stdout)
    assert "to stderr\n" in done.stderr
    before, after = done.stderr.split("to stderr\n")
    assert "x.pmt" in before
    assert re.search(r"pymemtrace report \S*x\.pmt", after)
    assert re.search(r"\d (KiB|MiB|GiB)", after)
    assert "\x1b" not in done.stderr
    assert done.status == 0


def test_quiet_is_silent() -> None:
    done = cli("run", "-q", "-o", new_folder(any_user()) / "x.pmt", TARGETS / "hello.py")
    assert done.stderr == "to stderr\n"


@pytest.mark.parametrize("options", [[], ["-q"]], ids=["", "quiet"])
def test_output_ends_when_the_program_ends(options: list[str]) -> None:
    """Nobody keeps the pipe open: a caller that reads to the end gets it at once."""
    folder = new_folder(any_user())
    process = popen(pymemtrace("run", *options, "-o", folder / "x.pmt", TARGETS / "hello.py"))
    assert process.stdout
    assert process.stderr
    first = process.stdout.readline()
    start = time.monotonic()
    rest = process.stdout.read() + process.stderr.read()
    elapsed = time.monotonic() - start
    process.wait()
    assert first.startswith(b"hello from")
    assert b"Traceback" not in rest
    assert elapsed < 5


# How a program ends

WAYS = [
    "exit_3", "exit_text", "exit_none", "exit_object", "exit_large", "exception", "chained_exception",
    "exception_group", "os_exit_7", "keyboard_interrupt", "excepthook", "broken_stdout", "null_pointer",
    "SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT", "SIGUSR1", "SIGHUP", "SIGPIPE", "SIGINT", "SIGQUIT",
]  # fmt: skip


@each_user
@pytest.mark.parametrize("way", WAYS)
def test_endings(way: str, user: str) -> None:
    bare, traced, path = both(TARGETS / "endings.py", way, user=user)
    assert_same(bare, traced)
    assert path.exists()


@pytest.mark.parametrize("form", ["code", "module"])
def test_traceback_of_other_forms(form: str) -> None:
    """Traceback texts: no frame of ours in them, none missing."""
    code = "def f():\n  1 / 0\nf()"
    if form == "module":
        folder = new_folder(any_user())
        (folder / "failing.py").write_text(code)
        bare, traced, _ = both("-m", "failing", cwd=folder)
    else:
        bare, traced, _ = both("-c", code)
    assert "ZeroDivisionError" in bare.stderr
    assert_same(bare, traced)


def test_syntax_error() -> None:
    folder = new_folder(any_user())
    (folder / "wrong.py").write_text('print("never")\nif True print("wrong")\n')
    bare, traced, _ = both(folder / "wrong.py")
    assert bare.status == 1
    assert_same(bare, traced)


def start_waiting(way: str, *, bare: bool) -> subprocess.Popen[bytes]:
    arguments = [str(TARGETS / "waiting.py"), way]
    command = [sys.executable, *arguments] if bare else pymemtrace("run", "-q", "-o", "x.pmt", *arguments)
    process = popen_ready(command, cwd=new_folder(any_user()))
    time.sleep(0.05)
    return process


def finish(process: subprocess.Popen[bytes]) -> Outcome:
    try:
        stdout, stderr = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        pytest.fail("still runs 20 s after the signal")
    return Outcome(process.returncode, text(stdout), text(stderr), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
@pytest.mark.parametrize("way", ["default", "handled", "caught"])
def test_signal_to_the_process_group(way: str, number: signal.Signals) -> None:
    """As from the terminal: the program decides, and the launcher ends as it does."""
    outcomes = []
    for bare in True, False:
        process = start_waiting(way, bare=bare)
        os.killpg(process.pid, number)
        outcomes.append(finish(process))
    assert_same(*outcomes)


@pytest.mark.parametrize("way", ["default", "handled"])
def test_terminate_reaches_the_program(way: str) -> None:
    """`kill PID` of the command that was started."""
    outcomes = []
    for bare in True, False:
        process = start_waiting(way, bare=bare)
        process.terminate()
        outcomes.append(finish(process))
    assert_same(*outcomes)


# After the last line


@each_user
@pytest.mark.parametrize("way", ["atexit", "thread"])
def test_what_runs_late_runs_and_is_traced(way: str, user: str) -> None:
    need_faults(user)
    done = trace("at_exit.py", way, user=user)
    assert done.stdout.endswith("last line\nlate\n")
    assert (done.status, done.stderr) == (0, "")
    assert_pages(done.function("touch_late")["self"], json.loads(done.stdout.splitlines()[0])["pages"])


@each_user
def test_daemon_threads_that_still_run(user: str) -> None:
    for _ in range(5):
        bare, traced, _ = both(TARGETS / "at_exit.py", "daemon", user=user)
        assert_same(bare, traced)


# Processes


@each_user
@pytest.mark.parametrize("way", ["once", "often", "subprocess", "threads"])
def test_forks(way: str, user: str) -> None:
    bare = run([sys.executable, TARGETS / "forking.py", way], user=user)
    traced = trace("forking.py", way, user=user)
    assert_same(bare, traced)
    need_faults(user)
    assert_pages(traced.function("before")["self"], traced.truth["pages"])
    # One signal may stand for up to 16 faults, and the first of them began before; of threads each has its own.
    slack = 16 * max(1, 8 * (way == "threads"))
    assert_pages(traced.function("after")["self"], traced.truth["pages"], slack=slack)
    assert traced.report["end"] == {"kind": "exit", "value": 0}
    assert traced.function("copied")["self"] <= traced.truth["pages"] * PAGE // 100, "a copy is no rise"


@each_user
def test_forks_midway(user: str) -> None:
    """Child and parent go on in the loop that they were in; what they touch from there on is each one's own."""
    bare = run([sys.executable, TARGETS / "forking.py", "midway"], user=user)
    assert bare.stdout.count("child ended with 15\n") == 2
    traced = trace("forking.py", "midway", user=user)
    assert (traced.status, traced.stdout) == (bare.status, bare.stdout)  # stderr warns with the pid, from 3.12 on
    need_faults(user)
    pages = traced.truth["pages"]
    parent, *children = traced.report["processes"]
    expected = {parent["pid"]: 2 * pages} | {child["pid"]: pages // 2 for child in children}
    assert len(expected) == 3
    for pid, touched in expected.items():
        rows = report(traced.path, "--pid", str(pid), user=user)["by_function"]
        # A fault of the other half stands for up to 16, where the period had grown before the fork.
        found = sum(row["self"] for row in rows if row["function"] == "touch_and_fork")
        assert_pages(found, touched, slack=64, what=pid)


def test_a_traced_program_inside_a_traced_program() -> None:
    folder = new_folder(any_user())
    inner = pymemtrace("run", "-q", "-o", folder / "inner.pmt", TARGETS / "endings.py", "exit_3")
    code = f"import subprocess; print(subprocess.run({inner!r}, capture_output=True).returncode)"
    done = cli("run", "-q", "-o", folder / "outer.pmt", "-c", code)
    assert (done.status, done.stdout, done.stderr) == (0, "3\n", "")
    assert report(folder / "inner.pmt")["end"] == {"kind": "exit", "value": 3}
    assert report(folder / "outer.pmt")["end"] == {"kind": "exit", "value": 0}


def test_nobody_stays_behind() -> None:
    """Soon after `run` has returned no process has the trace open."""
    path = new_folder(any_user()) / "x.pmt"
    assert cli("run", "-q", "-o", path, TARGETS / "hello.py").status == 0
    deadline = time.monotonic() + 2
    while holders(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holders(path) == []


# Files


@each_user
def test_default_name(user: str) -> None:
    """pymemtrace-NAME.PID.pmt in the current folder, readable by its owner alone; nothing else, nothing temporary."""
    folder, temporary = new_folder(user), new_folder(user)
    shared = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    done = cli("run", TARGETS / "hello.py", user=user, cwd=folder, env=environment(TMPDIR=str(temporary)))
    pid = done.stdout.split()[-1]
    assert done.status == 0, done.stderr
    [path] = folder.iterdir()
    assert re.fullmatch(rf"pymemtrace-hello(\.py)?\.{pid}\.pmt", path.name)
    assert path.name in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(temporary.iterdir()) == []
    left = set(os.listdir("/dev/shm")) - shared if shared else set()
    assert not [name for name in left if "pymemtrace" in name or "pmt" in name]


@pytest.mark.parametrize(("arguments", "name"), [(["-m", "json.tool", "/dev/null"], "json.tool"), (["-c", "1"], "")])
def test_default_name_of_other_forms(arguments: list[str], name: str) -> None:
    folder = new_folder(any_user())
    cli("run", "-q", *arguments, cwd=folder)
    [path] = folder.iterdir()
    assert re.fullmatch(r"pymemtrace-.+\.\d+\.pmt", path.name)
    assert name in path.name


def test_an_existing_file_is_kept_without_force() -> None:
    folder = new_folder(any_user())
    path = folder / "x.pmt"
    path.write_bytes(b"precious")
    done = cli("run", "-q", "-o", path, TARGETS / "hello.py")
    assert_one_line(done)
    assert str(path) in done.stderr
    assert path.read_bytes() == b"precious"
    assert cli("run", "-q", "-f", "-o", path, TARGETS / "hello.py").status == 0
    assert report(path)["end"] == {"kind": "exit", "value": 0}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_such_folder() -> None:
    folder = new_folder(any_user())
    assert_one_line(cli("run", "-o", folder / "missing" / "x.pmt", TARGETS / "hello.py"))
    assert list(folder.iterdir()) == []


def test_the_output_is_a_folder() -> None:
    folder = new_folder(any_user())
    assert_one_line(cli("run", "-f", "-o", folder, TARGETS / "hello.py"))
    assert folder.is_dir()


@pytest.mark.skipif(not unprivileged(), reason="cannot become unprivileged")
def test_unwritable_folder() -> None:
    folder = new_folder("unprivileged")
    folder.chmod(0o555)
    for options in (["-o", folder / "x.pmt"], []):
        done = cli("run", *options, TARGETS / "hello.py", user="unprivileged", cwd=folder)
        assert done.status == 0 and done.stdout.startswith("hello from")
        notice, own = done.stderr.splitlines()
        assert own == "to stderr"
        assert "nothing is recorded" in notice and "Permission denied" in notice and "-o" in notice
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["missing.py"], ["-m", "missing_module"]], ids=["script", "module"])
def test_no_such_program(arguments: list[str]) -> None:
    folder = new_folder(any_user())
    done = cli("run", "-q", "-o", folder / "x.pmt", *arguments, cwd=folder)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "missing" in done.stderr
    if arguments == ["missing.py"]:
        assert done.status == 2
    else:
        assert done.status in (1, 2)  # Python itself says 1


def test_nothing_to_run() -> None:
    done = cli("run")
    assert done.status == 2
    assert "Traceback" not in done.stderr
    assert done.stderr
