"""`pymemtrace attach` and `detach`: tracing switched on and off in a program that listens."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.harness import (
    TARGETS,
    Outcome,
    any_user,
    assert_one_line,
    assert_same,
    cli,
    environment,
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
TARGET = TARGETS / "listening.py"


class Program:
    """The target, once it listens, with a runtime folder of its own."""

    def __init__(self, process: subprocess.Popen[bytes], user: str, folder: Path) -> None:
        self.process = process
        self.user = user
        self.folder = folder
        self.runtime = folder / "pymemtrace"
        self._said = b""
        word, pid = self.line().split()
        assert word == "ready"
        self.pid = int(pid)

    def line(self) -> str:
        assert self.process.stdout is not None
        while b"\n" not in self._said:
            readable, _, _ = select.select([self.process.stdout], [], [], 20)
            assert readable, "the program says nothing"
            piece = os.read(self.process.stdout.fileno(), 4096)
            assert piece, "the program has ended"
            self._said += piece
        line, _, self._said = self._said.partition(b"\n")
        return text(line)

    def cli(self, *arguments: str) -> Outcome:
        return cli(*arguments, user=self.user, cwd=self.folder, env=environment(XDG_RUNTIME_DIR=str(self.folder)))

    def files(self) -> list[str]:
        return sorted(os.listdir(self.runtime))


@contextlib.contextmanager
def listening(way: str, *arguments: str, user: str = "", options: list[str] | None = None) -> Iterator[Program]:
    """The target as `python TARGET WAY` or, with options, as `pymemtrace run OPTIONS TARGET WAY`."""
    user = user or any_user()
    folder = new_folder(user)
    python = [sys.executable] if options is None else pymemtrace("run", *options)
    env = environment(XDG_RUNTIME_DIR=str(folder))
    with popen([*python, TARGET, way, *arguments], user=user, cwd=folder, env=env) as process:
        try:
            yield Program(process, user, folder)
        finally:
            kill_tree(process.pid)


@each_user
@pytest.mark.parametrize("way", ["sleep", "join", "read", "poll", "spin"])
def test_attach_and_detach(way: str, user: str) -> None:
    need_faults(user)
    with listening(way, user=user) as program:
        assert program.files() == [f"{program.pid}.listen"]
        for name in "one.pmt", "two.pmt":  # as often as needed
            done = program.cli("attach", str(program.pid), "-o", name)
            assert done.status == 0, done.stderr
            assert done.stdout.splitlines() == [
                f"tracing process {program.pid} into {name}",
                f"next: pymemtrace detach {program.pid}",
            ]
            time.sleep(0.3)
            done = program.cli("detach", str(program.pid))
            assert done.stdout.splitlines() == [
                f"process {program.pid} is no longer traced: {name} is complete",
                f"next: pymemtrace report {name}",
            ]
            found = report(program.folder / name, user=user)
            assert found["end"]["kind"] == "running"
            assert {row["function"] for row in found["by_function"] if row["self"] > 1 << 19} == {"inside"}
            assert {row["name"] for row in found["by_thread"] if row["bytes"] > 1 << 19} == {"worker"}
        assert program.process.poll() is None, "the program has ended of it"


def test_children_of_a_program_that_is_attached_to() -> None:
    need_faults(any_user())
    with listening("start") as program:
        for options, followed in ([], True), (["--no-follow"], False):
            done = program.cli("attach", str(program.pid), "--duration", "1", "-f", "-o", "x.pmt", *options)
            assert done.status == 0, done.stderr
            found = report(program.folder / "x.pmt", user=program.user)
            traced = {row["pid"]: row["touched"] for row in found["processes"] if row["traced"]}
            large = [pid for pid, touched in traced.items() if touched > 1 << 23 and pid != program.pid]
            assert bool(large) == followed
            assert followed or list(traced) == [program.pid]


def test_duration_and_default_name() -> None:
    with listening("sleep") as program:
        first = program.cli("attach", str(program.pid), "--duration", "0.5")
        second = program.cli("attach", str(program.pid), "--duration", "0.2s")
        assert first.status == second.status == 0, first.stderr + second.stderr
        assert 0.5 < first.seconds < 10
        names = [re.findall(r"into (\S+)", done.stdout)[0] for done in (first, second)]
        assert names == [f"pymemtrace-listening.{program.pid}.pmt", f"pymemtrace-listening.{program.pid}-2.pmt"]
        for name in names:
            assert report(program.folder / name, user=program.user)["end"]["kind"] == "running"


def test_the_end_of_a_program_that_is_attached_to() -> None:
    with listening("sleep") as program:
        with popen(
            pymemtrace("attach", str(program.pid), "--duration", "60", "-o", "x.pmt"),
            user=program.user,
            cwd=program.folder,
            env=environment(XDG_RUNTIME_DIR=str(program.folder)),
        ) as attach:
            assert attach.stdout is not None
            assert text(attach.stdout.readline()).startswith("tracing")
            deadline = time.monotonic() + 20
            while program.process.poll() is None and time.monotonic() < deadline:
                os.kill(program.pid, signal.SIGINT)  # a thread that faults may take it, and the main thread sleeps on
                time.sleep(0.1)
            stdout, stderr = attach.communicate(timeout=20)
        assert attach.returncode == 0, stderr
        assert text(stdout).splitlines()[-2:] == [f"process {program.pid} has ended", "next: pymemtrace report x.pmt"]
        assert program.files() == [], "it has left files behind"


def test_interrupting_attach_detaches() -> None:
    with listening("sleep") as program:
        command = pymemtrace("attach", str(program.pid), "--duration", "60", "-o", "x.pmt")
        env = environment(XDG_RUNTIME_DIR=str(program.folder))
        with popen(command, user=program.user, cwd=program.folder, env=env) as attach:
            assert attach.stdout is not None
            assert text(attach.stdout.readline()).startswith("tracing")
            time.sleep(0.3)
            attach.send_signal(signal.SIGINT)
            stdout, stderr = attach.communicate(timeout=20)
        assert attach.returncode == 0, stderr
        assert "no longer traced" in text(stdout)


@each_user
def test_run_paused(user: str) -> None:
    need_faults(user)
    with listening("sleep", "nothing", user=user, options=["-q", "--paused"]) as program:
        assert [path.suffix for path in program.folder.iterdir()] == [""], "a trace before anyone attached"
        done = program.cli("attach", str(program.pid), "--duration", "0.5", "-o", "x.pmt")
        assert done.status == 0, done.stderr
        assert "inside" in {row["function"] for row in report(program.folder / "x.pmt", user=user)["by_function"]}


def test_paused_contradicts_what_is_attachs_to_say() -> None:
    short = {"--output": ["-o", "x.pmt"], "--force": ["-f"]}
    for name in "--output", "--force", "--exact", "--no-follow", "--no-snapshots":
        option = short.get(name, [name])
        done = cli("run", "--paused", *option, TARGETS / "hello.py")
        assert_one_line(done)
        assert "--paused" in done.stderr
        assert name in done.stderr


def test_a_paused_program_is_as_it_was() -> None:
    user = any_user()
    bare = run([sys.executable, TARGETS / "main_facts.py", "x"], user=user)
    assert_same(bare, cli("run", "-q", "--paused", TARGETS / "main_facts.py", "x", user=user))


def test_a_program_that_does_not_listen() -> None:
    with listening("sleep", "nothing") as program:
        for verb in "attach", "detach":
            done = program.cli(verb, str(program.pid))
            assert_one_line(done)
            assert "pymemtrace.listen()" in done.stderr
            assert "run --paused" in done.stderr
        assert program.process.poll() is None


def test_no_such_process() -> None:
    done = cli("attach", "4194305")
    assert_one_line(done)
    assert "no process 4194305" in done.stderr


def test_nothing_to_detach() -> None:
    with listening("sleep") as program:
        done = program.cli("detach", str(program.pid))
        assert_one_line(done)
        assert "nothing is attached" in done.stderr


def test_attached_already() -> None:
    with listening("sleep") as program:
        assert program.cli("attach", str(program.pid), "-o", "x.pmt").status == 0
        done = program.cli("attach", str(program.pid), "-o", "y.pmt")
        assert_one_line(done)
        assert "x.pmt" in done.stderr
        assert program.cli("detach", str(program.pid)).status == 0


def test_traced_by_itself() -> None:
    with listening("own") as program:
        done = program.cli("attach", str(program.pid))
        while "try again" in done.stderr:  # its own trace is just starting
            done = program.cli("attach", str(program.pid))
        assert_one_line(done)
        assert "own.pmt" in done.stderr


def test_a_file_that_cannot_be_written() -> None:
    with listening("sleep") as program:
        (program.folder / "there.pmt").write_text("mine")
        for name in "there.pmt", "/nowhere/x.pmt":
            done = program.cli("attach", str(program.pid), "-o", name)
            assert_one_line(done)
            assert name in done.stderr
            assert "-o" in done.stderr and "path=" not in done.stderr, "the words of the command line"
        assert (program.folder / "there.pmt").read_text() == "mine"
        assert program.cli("attach", str(program.pid), "-o", "there.pmt", "-f").status == 0


def test_a_fork_child_does_not_listen() -> None:
    with listening("fork") as program:
        child = int(program.line().split()[1])
        done = program.cli("attach", str(child))
        assert_one_line(done)
        assert "does not listen" in done.stderr
        os.kill(child, signal.SIGKILL)


def test_after_an_exec_nobody_is_signalled() -> None:
    """The signal would end a program that does not expect it."""
    with listening("exec") as program:
        time.sleep(0.5)
        assert program.files() == [f"{program.pid}.listen"]
        done = program.cli("attach", str(program.pid))
        assert_one_line(done)
        assert "does not listen" in done.stderr
        assert program.process.poll() is None


def test_a_main_thread_that_does_not_come_back() -> None:
    with listening("native") as program:
        done = program.cli("attach", str(program.pid), "-o", "x.pmt")
        assert_one_line(done)
        assert "has not answered" in done.stderr
        assert program.files() == [f"{program.pid}.listen"], "a command that may be obeyed later"
        assert program.process.poll() is None


def test_a_folder_that_others_can_write() -> None:
    """Somebody else's command is not obeyed, nor their announcement believed."""
    with listening("sleep") as program:
        program.runtime.chmod(0o777)
        done = program.cli("attach", str(program.pid))
        assert_one_line(done)
        assert "does not listen" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_root_may_attach_to_anyones_program() -> None:
    """The program writes the trace, so it must be where its user may write."""
    folder, elsewhere = new_folder("unprivileged"), new_folder("root")
    env = environment()
    env.pop("XDG_RUNTIME_DIR", None)  # it would be another one for each
    with popen([sys.executable, TARGET, "sleep"], user="unprivileged", cwd=folder, env=env) as process:
        try:
            program = Program(process, "unprivileged", folder)
            user = Path(f"/proc/{program.pid}").stat().st_uid
            if user == os.geteuid():
                pytest.skip("unprivileged here is the same user")
            attach = pymemtrace("attach", str(program.pid), "--duration", "0.3")
            done = run([*attach, "-o", folder / "x.pmt"], cwd=elsewhere, env=env)
            assert done.status == 0, done.stderr
            assert report(folder / "x.pmt")["end"]["kind"] == "running"
            assert (folder / "x.pmt").stat().st_uid == user
            refused = run(attach, cwd=elsewhere, env=env)
            assert_one_line(refused)
            assert "it cannot write" in refused.stderr
        finally:
            kill_tree(process.pid)
    for name in f"{program.pid}.listen", "":  # the program had no time to clean up
        with contextlib.suppress(OSError):
            path = Path(f"/tmp/pymemtrace-{user}", name)
            path.unlink() if name else path.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_of_another_user() -> None:
    with listening("sleep", user="root") as program:
        done = run(pymemtrace("attach", str(program.pid)), user="unprivileged", cwd=new_folder("unprivileged"))
        if done.status != 0 and "another user" not in done.stderr:
            pytest.skip("unprivileged here is the same user")
        assert_one_line(done)
        assert "another user" in done.stderr
