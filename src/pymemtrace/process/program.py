"""The traced program: started as this process's child, with its streams, waited for, its end mirrored.

Signals come from the C module below `signal`, whose own import costs 3 ms of start-up.
"""

import _signal as signal  # type: ignore[import-not-found]
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FORWARD_AFTER = 0.1  # seconds
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def interpreter_flags() -> list[str]:
    """The options that make a new interpreter behave as this one does."""
    flags = sys.flags
    letters = {
        "d": flags.debug,
        "B": flags.dont_write_bytecode,
        "O": flags.optimize,
        "v": flags.verbose,
        "b": flags.bytes_warning,
        "q": flags.quiet,
    }
    options = [f"-{letter * count}" for letter, count in letters.items() if count]
    if flags.isolated:
        options.append("-I")
    else:
        options += ["-E"] * flags.ignore_environment + ["-s"] * flags.no_user_site
        options += ["-P"] * (flags.safe_path and not os.environ.get("PYTHONSAFEPATH"))
    if flags.no_site:
        options.append("-S")
    if not isinstance(sys.stdout, type(None)) and getattr(sys.stdout, "write_through", False):
        options.append("-u")
    options += [f"-W{warning}" for warning in sys.warnoptions]
    for name, value in sys._xoptions.items():
        options.append(f"-X{name}" if value is True else f"-X{name}={value}")
    return options


def leave_outer_trace() -> None:
    """A launcher that is itself traced must not hand on what _inside.py put into its C library's environment."""
    os.unsetenv("PYMEMTRACE_FOLLOW")
    if "PYTHONPATH" in os.environ:
        os.putenv("PYTHONPATH", os.environ["PYTHONPATH"])
    else:
        os.unsetenv("PYTHONPATH")


def _exec(argv: "list[bytes] | list[str]") -> "NoReturn":
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # this interpreter ignores them, and an exec would hand that on
    os.execv(argv[0], argv)


def become_program(words: list[str]) -> "NoReturn":
    """Replace this process by an interpreter like it that runs `words`, without us."""
    # A script's name may begin with a dash.
    dashes = ["--"] if words[0].startswith("-") and words[0] not in ("-m", "-c") else []
    _exec([sys.executable, *interpreter_flags(), *dashes, *words])


def _become(gate: int, failure: int) -> None:
    """In the child: wait for the command line, then become it. Nothing on the gate: it is cancelled."""
    try:
        with open(gate, "rb") as command:
            argv = command.read().split(b"\0")
        if argv == [b""]:
            os._exit(0)
        _exec(argv)
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)


class Program:
    """The program as a child. start() takes `kind` (script, module or code), `target` and its `arguments`."""

    def __init__(self) -> None:
        """The child exists from here on, with its pid, but waits for start().

        Not posix_spawn: glibc leaves the C library's own signals ignored in what it spawns.
        """
        leave_outer_trace()
        gate, self._gate = os.pipe()
        self._failure, failure = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            _become(gate, failure)
        os.close(gate)
        os.close(failure)

    def start(self, address: str, options: str, kind: str, target: str, arguments: list[str]) -> None:
        """Let it become the program. Raises OSError if the interpreter cannot be started."""
        boot = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_boot.py")
        argv = [sys.executable, *interpreter_flags(), boot, address, options, kind, target, *arguments]
        self._pass_signals_on()
        with open(self._gate, "wb") as gate:
            gate.write(b"\0".join(map(os.fsencode, argv)))
        with open(self._failure, "rb") as failure:
            error = failure.read()  # empty: the exec closed it
        if error:
            os.waitpid(self.pid, 0)
            raise OSError(int(error), os.strerror(int(error)), sys.executable)

    def cancel(self) -> None:
        """It is not to run after all."""
        os.close(self._gate)
        os.close(self._failure)
        os.waitpid(self.pid, 0)

    def _pass_signals_on(self) -> None:
        """The terminal's signals reach the program by themselves; others sent to us are meant for it."""
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._forward)

    def _forward(self, number: int, _frame: object) -> None:
        """Pass a signal on, unless it was sent to the whole group and the program is ending of it already."""
        deadline = time.monotonic() + FORWARD_AFTER
        try:
            while time.monotonic() < deadline:
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                    return
                time.sleep(FORWARD_AFTER / 20)
            os.kill(self.pid, number)
        except (ChildProcessError, ProcessLookupError):
            pass  # it has ended, and wait() has just taken its status

    def wait(self) -> tuple[int | None, int | None]:
        """(exit status, None) or (None, signal)."""
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return None, os.WTERMSIG(status)
        return os.WEXITSTATUS(status), None


def die_of(number: int) -> int:
    """End this process by the signal that ended the program, without a second core file; returns only if that fails."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    sys.stderr.flush()
    os.kill(os.getpid(), number)
    return 128 + number
