"""The program of `pymemtrace live -- PROGRAM`: under `pymemtrace run` in a child, its output kept from the screen."""

import os
import signal
import sys
import tempfile
import time
from types import FrameType
from typing import BinaryIO

from pymemtrace.errors import UsageError

_LOOK_AGAIN = 0.05


class Program:
    """It runs from here on. words: of `pymemtrace run`. log: the file that is to have its output; None: a temporary
    one, which is shown when the screen has gone."""

    def __init__(self, words: list[str], log: str | None, force: bool) -> None:
        """Raises UsageError if the log cannot be written."""
        self._log = _open(log, force)
        self._shows = log is None
        self._shown = 0  # bytes
        self._status: int | None = None  # as waitpid has it
        gate, told = os.pipe2(os.O_CLOEXEC)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(gate)
            self._run(words, told)
        os.close(told)
        with open(gate, "rb") as answer:
            number, _, path = answer.read().partition(b" ")
        # Empty: there is no trace, and standard error says why.
        self.path = os.path.abspath(os.fsdecode(path)) if path else None
        self.traced = int(number or 0)

    def _run(self, words: list[str], told: int) -> None:
        """In the child: be `pymemtrace run`, whose keys are not the screen's."""
        status = 2
        try:
            if os.isatty(0):
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self._log.fileno(), 1)
            if os.isatty(2):
                os.dup2(self._log.fileno(), 2)

            def started(path: str, pid: int) -> None:
                os.write(told, b"%d %s" % (pid, os.fsencode(path)))
                os.close(told)

            from pymemtrace.cli import guarded, run

            status = guarded(lambda: run.main(words, started))
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)

    def has_ended(self) -> bool:
        """Whether it has, and its summary is written."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def follow(self) -> int:
        """Wait for its end and show its output meanwhile; signals are passed on. Its status, negative for a signal."""
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the program too
        try:
            while not self.has_ended():
                self._copy()
                time.sleep(_LOOK_AGAIN)
            self._copy()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        assert self._status is not None
        return os.waitstatus_to_exitcode(self._status)

    def send(self, number: int) -> None:
        """A signal for it."""
        if not self.has_ended():
            os.kill(self.pid, number)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.send(number)

    def _copy(self) -> None:
        if not self._shows:
            return
        sys.stdout.flush()
        with open(self._log.fileno(), "rb", closefd=False) as log, open(1, "wb", 0, closefd=False) as out:
            # The program writes at its own place of the same description: read at ours.
            while piece := os.pread(log.fileno(), 1 << 16, self._shown):
                try:
                    self._shown += out.write(piece)
                except OSError:  # the terminal has gone; the program's end is waited for all the same
                    self._shows = False
                    return


def _open(log: str | None, force: bool) -> BinaryIO:
    if log is None:
        return tempfile.TemporaryFile(buffering=0)
    try:
        return open(log, "wb" if force else "xb", buffering=0)
    except FileExistsError:
        raise UsageError(f"live: {log} exists: overwrite it with -f, or name another file with --log") from None
    except OSError as error:
        raise UsageError(f"live: cannot write {log}: {error.strerror}; name another file with --log") from None
