"""A terminal of our own, to run commands on that behave otherwise in a pipe."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from integration.harness import environment, kill_tree, new_folder

_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")
_PATIENCE = 20


def plain(text: str) -> str:
    """Without the terminal's control sequences."""
    return _SEQUENCE.sub("", text)


class Terminal:
    """A pseudo-terminal with a command running on it as its session's leader; `text` is what it has written."""

    def __init__(
        self, command: Sequence[str | os.PathLike[str]], columns: int = 120, lines: int = 40, **variables: str
    ) -> None:
        folder = new_folder("root")
        self.folder: Path = folder
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        settings = environment(**({"TERM": "xterm-256color"} | variables))
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
            os.execve(os.fspath(command[0]), [os.fspath(word) for word in command], settings)
        self.settings = termios.tcgetattr(self._fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_error: object) -> None:
        kill_tree(self.pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def attributes(self) -> list[Any]:
        """The settings of the terminal: its flags."""
        return termios.tcgetattr(self._fd)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Until the plain text has the pattern behind `since`; the test fails if that takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while not (found := re.compile(pattern).search(plain(self.text), since)):
            assert self._read(deadline), f"no {pattern!r} in {plain(self.text)[-3000:]}"
        return found

    def end(self) -> int:
        """Read to the command's end: its status, negative for a signal."""
        deadline = time.monotonic() + _PATIENCE
        while self._read(deadline):
            pass
        assert time.monotonic() < deadline, f"it does not end: {plain(self.text)[-3000:]}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self, deadline: float) -> bool:
        """Some more text; False: there is none any more, or none in time."""
        ready, _, _ = select.select([self._fd], [], [], max(deadline - time.monotonic(), 0))
        try:
            data = os.read(self._fd, 1 << 16) if ready else b""
        except OSError:  # the other side is closed
            data = b""
        self.text = (self.text + self._decoder.decode(data, final=not data)).replace("\r\n", "\n")
        return bool(data)


def shown(command: Sequence[str | os.PathLike[str]], columns: int = 120, **variables: str) -> str:
    """What a command that succeeds writes on a terminal."""
    with Terminal(command, columns, **variables) as terminal:
        assert terminal.end() == 0, terminal.text
        return terminal.text
