"""`pymemtrace doctor` on this machine: as root, unprivileged, refused by a seccomp filter, under a debugger."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from integration.harness import (
    Outcome,
    any_user,
    cli,
    environment,
    error_names,
    need_faults,
    new_folder,
    pymemtrace,
    refusal,
    run,
    trace,
    users,
)

each_user = pytest.mark.parametrize("user", users())
NO_PENDING_SIGNALS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""
PROBE_TWICE = """
import json, os, resource, signal
from pymemtrace import _capture
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
before = os.listdir("/proc/self/fd")
answers = [_capture.probe(), _capture.probe()]
bytearray(8 << 20)
print(json.dumps([before, os.listdir("/proc/self/fd"), answers]), flush=True)
os.kill(os.getpid(), signal.SIGTRAP)
"""
BLOCK_SIGTRAP = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTRAP})
os.execv(sys.argv[1], sys.argv[1:])
"""


def found(done: Outcome) -> dict[str, Any]:
    assert (done.status, done.stderr) == (0, ""), done.stderr
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def diagnosis(user: str, **how: Any) -> dict[str, Any]:
    return found(cli("doctor", "--json", user=user, **how))


def engine(result: dict[str, Any], name: str) -> dict[str, Any]:
    [row] = [row for row in result["engines"] if row["name"] == name]
    assert isinstance(row, dict)
    return row


def check(result: dict[str, Any], name: str) -> dict[str, Any]:
    [row] = [row for row in result["checks"] if row["name"] == name]
    assert isinstance(row, dict)
    return row


def commands(row: dict[str, Any]) -> str:
    return "\n".join(remedy["command"] for remedy in row["remedies"])


def need_room_for_signals() -> None:
    """Skip where other programs of this user have filled the queue that timers need, too."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigQ")]
    used, limit = map(int, line.split()[1].split("/"))
    if used > limit // 2:
        pytest.skip(f"{used} of {limit} signals of this user are pending")


@each_user
def test_keys(user: str) -> None:
    result = diagnosis(user)
    assert result["schema"] == 1
    assert result["kernel"] == platform.release()
    assert result["engine"] == next((row["name"] for row in result["engines"] if row["available"]), None)
    for row in result["engines"]:
        assert row.keys() >= {"name", "gives", "available", "reason", "note", "remedies"}
    for row in result["checks"]:
        assert row.keys() == {"section", "name", "value", "note", "verdict", "remedy", "raw"}
        assert row["verdict"] in {"ok", "limited", "bad", "unknown"}
        assert row["value"]
    assert [row["verdict"] for row in result["checks"]].count("unknown") == 0, "all can be read here"


@each_user
def test_facts(user: str) -> None:
    result = diagnosis(user)
    assert check(result, "version")["raw"]["version"] == platform.python_version()
    assert check(result, "debugger")["value"] == "none"
    assert check(result, "seccomp")["raw"]["mode"] == 0
    effective = check(result, "capabilities")["raw"]["effective"]
    assert ("CAP_SYS_PTRACE" in effective) == (user == "root")
    assert result["user"] in (0, 65534, os.geteuid())
    memory = check(result, "memory limit")["raw"]
    assert memory["usage_bytes"] is None or memory["usage_bytes"] > 0


@each_user
def test_the_engine_is_the_one_that_a_run_gets(user: str) -> None:
    result = diagnosis(user)
    assert engine(result, "faults")["available"] == (refusal(user) is None)
    traced = trace("hello.py", user=user)
    assert (traced.report["engine"]["name"] == "faults") == (result["engine"] == "faults")


@each_user
@pytest.mark.parametrize("number", error_names("EPERM", "EACCES", "ENOSYS"))
def test_refused_by_a_filter(number: int, user: str) -> None:
    result = diagnosis(user, refuse_perf=number)
    assert check(result, "seccomp")["value"] == "filter"
    faults = engine(result, "faults")
    assert not faults["available"]
    assert result["engine"] != "faults"
    assert "perf_event_open" in faults["reason"]
    assert "--cap-add PERFMON" in commands(faults)
    assert "--security-opt seccomp=" in commands(faults)
    human = cli("doctor", user=user, refuse_perf=number)
    assert (human.status, human.stderr) == (0, "")
    assert "refused: " in human.stdout
    assert "-> docker run --cap-add PERFMON" in human.stdout


def test_a_blocked_sigtrap_is_noticed() -> None:
    need_faults(any_user())
    result = found(run([sys.executable, "-c", BLOCK_SIGTRAP, *pymemtrace("doctor", "--json")], user=any_user()))
    faults = engine(result, "faults")
    assert not faults["available"]
    assert "SIGTRAP" in faults["reason"]
    assert "pthread_sigmask" in commands(faults)


@each_user
def test_the_probe_leaves_nothing_behind(user: str) -> None:
    """No descriptor, and the signal is as fatal as before."""
    need_faults(user)
    done = run([sys.executable, "-c", PROBE_TWICE], user=user)
    assert done.status == -signal.SIGTRAP, done.stderr
    before, after, answers = json.loads(done.stdout)
    assert before == after
    assert [error for error, _reason in answers] == [0, 0]


def test_a_traced_program_is_not_probed() -> None:
    """The handler of the session is in place: a second one on top would chain to itself."""
    need_faults(any_user())
    code = "from pymemtrace import _capture; print(_capture.probe()); bytearray(1 << 20)"
    done = cli("run", "-q", "-f", "-o", new_folder(any_user()) / "x.pmt", "-c", code)
    assert (done.status, done.stderr) == (0, "")
    assert "being traced by pymemtrace" in done.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_under_a_debugger() -> None:
    log = new_folder(any_user()) / "log"
    strace = ["strace", "-f", "-qq", "-e", "trace=none", "-e", "signal=none", "-o", str(log)]
    result = found(run([*strace, *pymemtrace("doctor", "--json")], user=any_user()))
    assert check(result, "debugger")["verdict"] == "bad"
    assert check(result, "debugger")["raw"]["name"] == "strace"
    for row in result["engines"]:
        assert not row["available"]
        assert "debugger" in row["reason"]
    assert result["engine"] is None


def test_the_timer_is_tried() -> None:
    """A timer needs room in the queue of signals: without any, the try fails."""
    need_room_for_signals()
    timer = engine(diagnosis(any_user()), "timer")
    assert timer["available"], timer
    result = found(run([sys.executable, "-c", NO_PENDING_SIGNALS, *pymemtrace("doctor", "--json")], user=any_user()))
    assert "timer_create" in engine(result, "timer")["reason"]
    assert "ulimit -i" in commands(engine(result, "timer"))


@pytest.mark.parametrize(("name", "value"), [("PYTHONMALLOC", "malloc"), ("container", "\x1b[31m\ud800")])
def test_the_environment_is_shown_and_harmless(name: str, value: str) -> None:
    env = environment() | {name: value.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")}
    done = cli("doctor", env=env)
    assert done.status == 0
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert ("malloc over" if name == "PYTHONMALLOC" else "\\x1b[31m") in done.stdout


def test_text_is_aligned_and_plain() -> None:
    done = cli("doctor")
    assert (done.status, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    titles = [line for line in lines if line in {"Kernel", "Permissions", "Container", "Python", "Limits", "Engines"}]
    assert len(titles) == 6
    assert lines[0].startswith("pymemtrace ")
    assert "\x1b" not in done.stdout
    assert lines[-1].startswith("pymemtrace run ")


def test_it_writes_nothing() -> None:
    folder = new_folder(any_user())
    assert cli("doctor", cwd=folder).status == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["TRACE.pmt"], ["--js"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = cli("doctor", *arguments)
    assert (done.status, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_help() -> None:
    assert "pymemtrace doctor --json" in cli("doctor", "--help").stdout
    assert "doctor " in cli("--help").stdout
