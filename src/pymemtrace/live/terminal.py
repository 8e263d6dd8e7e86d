"""The terminal while the screen has it: keys one by one, the alternate screen, signals as events; all given back."""

import os
import select
import signal
import sys
import termios
import tty
from types import FrameType

from pymemtrace.errors import UsageError

_ENTER = "\x1b[?1049h\x1b[?25l"  # the alternate screen, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"  # a picture at once, where the terminal can
_LINE_END = "\x1b[K"
_ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGWINCH)


def _require() -> None:
    """Raises UsageError where no screen can be shown."""
    if not sys.stdout.isatty():
        raise UsageError(
            "live: stdout is not a terminal: run it on one, or use `pymemtrace run` and `pymemtrace timeline`"
        )
    if os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        raise UsageError("live: this terminal cannot move its cursor (TERM is not set, or dumb): set TERM")


class Terminal:
    """A context manager, to be entered once. On the way out, whatever it is, the terminal is as it was."""

    def __init__(self) -> None:
        """Nothing is changed yet. Raises UsageError where no screen can be shown, or no keys are to be had."""
        _require()
        try:
            self._keys = os.dup(0) if os.isatty(0) else os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
            os.set_inheritable(self._keys, False)
            self._saved = termios.tcgetattr(self._keys)
        except (OSError, termios.error):
            raise UsageError("live: there is no terminal to read keys from: run it on one") from None
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, object] = {}
        self._fd_before = -1
        self._shown = False

    def __enter__(self) -> "Terminal":
        try:
            for number in _ASKED:
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, _nothing)
            self._fd_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
            self._show()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._hide()
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        for fd in (self._keys, self._read, self._write):
            os.close(fd)

    def wait(self, other: int, timeout: float) -> tuple[str, list[int]]:
        """Until a key, a signal or `other` is there: the keys ("" if none) and the signals. Without a terminal any
        more a SIGHUP is told of."""
        ready, _, _ = select.select([self._keys, self._read, other], [], [], max(timeout, 0))
        signals = list(os.read(self._read, 256)) if self._read in ready else []
        keys = ""
        if self._keys in ready:
            try:
                data = os.read(self._keys, 256)
            except OSError:
                data = b""
            keys = data.decode("ascii", "replace")
            signals += [] if data else [signal.SIGHUP]
        return keys, signals

    def draw(self, lines: list[str]) -> None:
        """Show these lines, which fit."""
        self._put(_BEGIN + f"{_LINE_END}\n".join(lines) + _LINE_END + _END)

    def suspend(self) -> None:
        """Stop as Ctrl-Z asks for, and come back when told to go on."""
        self._hide()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._show()

    def _show(self) -> None:
        self._shown = True
        tty.setcbreak(self._keys)
        self._put(_ENTER)

    def _hide(self) -> None:
        if not self._shown:
            return
        self._shown = False
        try:
            termios.tcsetattr(self._keys, termios.TCSAFLUSH, self._saved)
        except termios.error:
            pass  # it is gone
        try:
            self._put(_LEAVE)
        except OSError:
            pass

    def _put(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor tells of it."""
