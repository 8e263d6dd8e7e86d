"""The child in which `pymemtrace doctor` tries an engine: however it ends, there is an answer."""

import errno
import subprocess
import sys

import pytest

from pymemtrace.doctor.probe import Answer, probe, run_child


def child(code: str, timeout_s: float = 20) -> Answer:
    return run_child([sys.executable, "-I", "-c", code], timeout_s)


def test_an_answer() -> None:
    assert child("print('[0, \"\"]')") == Answer(0, "")
    assert child("print('[13, \"refused\"]')") == Answer(13, "refused")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGTRAP", "SIGKILL"])
def test_a_death(name: str) -> None:
    no_core = "import os, resource, signal; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"
    found = child(f"{no_core}; os.kill(os.getpid(), signal.{name})")
    assert (found.error, found.works) == (None, False)
    assert found.reason.startswith(f"the probe died of {name} (")


def test_no_end() -> None:
    found = child("import time; time.sleep(60)", timeout_s=0.3)
    assert found == Answer(None, "the probe did not end within 0.3 s")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('no such library')", "no such library"),
        ("print('hello')", "exit status 0"),
        ("print('[]')", "exit status 0"),
        ("print('{}')", "exit status 0"),
        ("pass", "exit status 0"),
        ("raise SystemExit(3)", "exit status 3"),
    ],
)
def test_no_answer(code: str, words: str) -> None:
    found = child(code)
    assert found.error is None
    assert found.reason.startswith("the probe failed: ")
    assert words in found.reason


def test_no_child() -> None:
    assert run_child(["/no/such/python"]) == Answer(None, "the probe cannot be started: No such file or directory")


def test_no_child_for_want_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert run_child(["python"]).error == errno.EMFILE


def test_this_process_stays_clean() -> None:
    probe("faults")
    assert "pymemtrace._capture" not in sys.modules
