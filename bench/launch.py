"""Runs one command to its end, as this user or without privileges, and measures it from outside.

fork, exec and wait4 directly: the clock then covers the command and nothing of `subprocess`.
"""

import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

TIMEOUT_S = 300

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 23, 24, 28
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_NOROOT_LOCKED = 0b11  # SECBIT_NOROOT and its lock: uid 0 gains nothing by exec
_libc = ctypes.CDLL(None, use_errno=True)


class LaunchError(Exception):
    """A command that must succeed did not, or could not be started."""


@dataclass(frozen=True)
class Identity:
    """As whom commands run. uid None: as this user, without capabilities if `drop` says so."""

    text: str
    uid: int | None = None
    drop: bool = False

    def become(self) -> None:
        """Take this identity on; it is complete after the next exec."""
        if self.uid is not None:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        if self.drop:
            _drop_capabilities()


@dataclass(frozen=True)
class Run:
    """What one command took. `cpu_s` includes the children it waited for."""

    wall_s: float
    cpu_s: float
    max_rss: int  # bytes, of its largest process; never below that of the process which started it
    status: int  # negative: the fatal signal
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Launcher:
    """Starts commands with the same identity, environment and working directory."""

    identity: Identity
    folder: str

    def run(self, argv: list[str], watch: Callable[[int], None] | None = None) -> Run:
        """Run to the end; `watch` is called with the pid at once and may take as long as the command runs."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            pid = os.fork()
            if pid == 0:
                self._exec(argv, out.fileno(), err.fileno())
            with _time_limit(pid, argv):
                if watch is not None:
                    watch(pid)
                _, status, usage = os.wait4(pid, 0)
            wall = time.perf_counter() - start
            return Run(
                wall_s=wall,
                cpu_s=usage.ru_utime + usage.ru_stime,
                max_rss=usage.ru_maxrss * 1024,
                status=os.waitstatus_to_exitcode(status),
                stdout=_text(out.fileno()),
                stderr=_text(err.fileno()),
            )

    def check(self, argv: list[str], watch: Callable[[int], None] | None = None) -> Run:
        """Run a command that must succeed."""
        run = self.run(argv, watch)
        if run.status != 0:
            tail = "\n".join(run.stderr.splitlines()[-5:])
            raise LaunchError(f"status {run.status}: {' '.join(argv)}\n{tail}".rstrip())
        return run

    def _exec(self, argv: list[str], out: int, err: int) -> None:
        """In the child: never returns."""
        try:
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
            os.setpgid(0, 0)
            os.chdir(self.folder)
            self.identity.become()
            os.execve(argv[0], argv, environment())
        except BaseException as exc:
            os.write(2, f"{argv[0]}: {exc}\n".encode())
        finally:
            os._exit(127)


def environment() -> dict[str, str]:
    """Ours, with the order of sets and dictionaries of text fixed and without Python's debugging switches."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON") or key == "PYTHONPATH"}
    return {**kept, "PYTHONHASHSEED": "0"}


def choose_identity(user: str | None, probe: list[str]) -> Identity:
    """Who `--user` means. `probe` is a command that works only if that user can reach everything that is measured."""
    uid = os.geteuid()
    if user in (None, "self", str(uid)) or (user == "root" and uid == 0):
        return Identity("root" if uid == 0 else f"uid {uid}, unprivileged")
    if uid != 0:
        raise LaunchError(f"--user {user}: only root can measure as another user")
    if user is None or not user.isdigit():
        raise LaunchError(f"--user {user}: not a number, nor root or self")
    other = Identity(f"uid {user}, unprivileged", uid=int(user))
    if Launcher(other, "/").run(probe).status == 0:
        return other
    lowered = Identity(
        f"uid 0 without any capability (uid {user} cannot reach the interpreter or the programs)", drop=True
    )
    if effective_capabilities(lowered) != 0:
        raise LaunchError(f"--user {user}: that user cannot run {probe[0]}, and capabilities cannot be dropped here")
    return lowered


def effective_capabilities(identity: Identity) -> int:
    """The capabilities that a command run with this identity has."""
    run = Launcher(identity, "/").run(["/bin/sh", "-c", "cat /proc/$$/status"])
    found = [line.split()[1] for line in run.stdout.splitlines() if line.startswith("CapEff:")]
    return int(found[0], 16) if found else -1


def _drop_capabilities() -> None:
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0) == 1:
            _prctl(_PR_CAPBSET_DROP, capability)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _prctl(_PR_SET_SECUREBITS, _NOROOT_LOCKED)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl {option}")


@contextmanager
def _time_limit(pid: int, argv: list[str]) -> Iterator[None]:
    """Kill the command's process group when it takes too long."""

    def expired(_signal: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(TIMEOUT_S)
    try:
        yield
    except BaseException as exc:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        if isinstance(exc, TimeoutError):
            raise LaunchError(f"no end after {TIMEOUT_S} s: {' '.join(argv)}") from None
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _text(fd: int) -> str:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode("utf-8", "replace")
