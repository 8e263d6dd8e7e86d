"""Reads the growing trace again and again, in a thread, and never for more than a tenth of a CPU."""

import os
import threading
import time

from pymemtrace.errors import PymemtraceError, UsageError
from pymemtrace.live.view import View, read

_LEAST = 0.5  # seconds from one reading to the next
_SHARE = 0.09  # of a CPU, for reading and drawing
_FIRST = 0.1  # seconds, while there is nothing to read yet


class Feed:
    """Its newest view, and a descriptor that is readable when there is one that nobody has taken."""

    def __init__(self, path: str, pid: int | None) -> None:
        """pid: of one process only."""
        self.path = path
        self.interval = _LEAST  # seconds
        self.cost = 0.0  # seconds of CPU that the last reading took
        self.drawing = 0.0  # and the last drawing, told by the screen
        self.problem: str | None = None  # why there will be no more views
        self._pid = pid
        self._view: View | None = None
        self.ready, self._tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake = threading.Event()
        self._paused = self._closed = False
        threading.Thread(target=self._work, name="feed", daemon=True).start()

    def take(self) -> View | None:
        """The newest view, if one has come since."""
        try:
            os.read(self.ready, 64)
        except BlockingIOError:
            pass
        view, self._view = self._view, None
        return view

    def pause(self, paused: bool) -> None:
        """Read no more until told to."""
        self._paused = paused
        self._wake.set()

    def close(self) -> None:
        """No more views. A reading that runs is not waited for."""
        self._closed = True
        self._wake.set()

    def _work(self) -> None:
        while not self._closed and self.problem is None:
            if not self._paused:
                self._look()
            self._wake.wait(self.interval)
            self._wake.clear()

    def _look(self) -> None:
        before = time.thread_time()
        try:
            view = read(self.path, self._pid)
            if not view.trace.processes:
                self.interval = _FIRST  # the first block is still to come
                return
            self._view = view
        except UsageError as error:
            self.problem = str(error)
        except PymemtraceError as error:
            # Nothing is written yet, or it has been removed.
            self.interval = _FIRST
            if not os.path.exists(self.path):
                self.problem = str(error)
            else:
                return
        except Exception as error:  # a fault of ours must be seen, and not on the screen
            self.problem = f"the trace cannot be shown: {type(error).__name__}: {error}"
        self.cost = time.thread_time() - before
        self.interval = max(_LEAST, (self.cost + self.drawing) / _SHARE)
        try:
            os.write(self._tell, b"v")
        except BlockingIOError:
            pass
