"""How often a growing trace is read again."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pymemtrace.errors import TraceFileError, UsageError
from pymemtrace.live import feed


def first(found: feed.Feed) -> feed.Feed:
    """Wait for its first view, or the end of all."""
    end = time.monotonic() + 10
    while found.take() is None and found.problem is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    found.close()
    return found


def test_what_takes_long_is_done_seldom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(_path: str, _pid: int | None) -> SimpleNamespace:
        begin = time.thread_time()
        while time.thread_time() < begin + 0.1:
            pass
        return SimpleNamespace(trace=SimpleNamespace(processes=[1]))

    monkeypatch.setattr(feed, "read", read)
    found = first(feed.Feed(os.fspath(tmp_path / "x.pmt"), None))
    time.sleep(0.05)
    assert 0.1 <= found.cost < 0.2
    assert found.cost / found.interval <= 0.1


def test_it_waits_for_the_first_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter(
        [
            TraceFileError("x.pmt: empty"),
            SimpleNamespace(trace=SimpleNamespace(processes=[])),
            SimpleNamespace(trace=SimpleNamespace(processes=[1])),
        ]
    )

    def read(_path: str, _pid: int | None) -> SimpleNamespace:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(feed, "read", read)
    path = tmp_path / "x.pmt"
    path.touch()
    assert first(feed.Feed(os.fspath(path), None)).problem is None


@pytest.mark.parametrize("error", [UsageError("no such process"), TraceFileError("it is gone"), ZeroDivisionError("x")])
def test_what_cannot_go_on_says_so(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read(_path: str, _pid: int | None) -> None:
        raise error

    monkeypatch.setattr(feed, "read", read)
    assert str(error) in str(first(feed.Feed(os.fspath(tmp_path / "x.pmt"), None)).problem)
