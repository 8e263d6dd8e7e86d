"""Drive the real command line on the programs of tests/targets, as a privileged and as an unprivileged user.

Every process runs in a session of its own, with a time limit after which all its descendants are killed.
"Unprivileged" is uid 65534 where that user can reach the interpreter, pymemtrace and the targets, else this user
without any capability. Without root there is only this user.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import difflib
import errno
import functools
import itertools
import json
import os
import platform
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

TARGETS = Path(__file__).parents[1] / "targets"
PAGE = resource.getpagesize()
TIMEOUT = 60
NOBODY = 65534

PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 23, 24, 28
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECBIT_NOROOT, SECBIT_NOROOT_LOCKED = 1, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}.get(platform.machine(), -1)

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()


# Processes


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended: `status` is negative for a fatal signal."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def truth(self) -> Any:
        """The JSON object in the last line a target printed."""
        return json.loads(self.stdout.splitlines()[-1])


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    user: str = "root",
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    own_session: bool = True,
    refuse_perf: int = 0,
    limits: dict[int, int] | None = None,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a command to its end. refuse_perf: the errno that perf_event_open then fails with; limits: RLIMIT_*."""
    start = time.monotonic()
    with popen(
        command,
        user=user,
        cwd=cwd,
        env=env,
        own_session=own_session,
        refuse_perf=refuse_perf,
        limits=limits,
        stdin=subprocess.PIPE,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            stdout, stderr = process.communicate()
            pytest.fail(f"no end after {timeout} s: {command}\n{text(stdout)[-2000:]}\n{text(stderr)[-2000:]}")
    return Outcome(process.returncode, text(stdout), text(stderr), time.monotonic() - start)


def popen(
    command: Sequence[str | os.PathLike[str]],
    *,
    user: str = "root",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    own_session: bool = True,
    refuse_perf: int = 0,
    limits: dict[int, int] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command as a user, with pipes for its stdout and stderr."""
    identity: dict[str, Any] = {}
    if user == "unprivileged" and unprivileged() == "uid65534":
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.Popen(
        [os.fspath(part) for part in command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd or folder(user),
        env=environment() if env is None else env,
        start_new_session=own_session,
        preexec_fn=_restrict(user, refuse_perf, limits or {}),
        **identity,
    )


def popen_ready(command: Sequence[str | os.PathLike[str]], cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a command as any user and wait for the line "ready" on its stdout."""
    process = popen(command, user=any_user(), cwd=cwd)
    answer(process, b"ready")
    return process


def holders(path: Path) -> list[int]:
    """The processes that have a file open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) == str(path) for link in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def kill_tree(pid: int) -> None:
    """Kill a process and its descendants, the deepest first."""
    for child in children(pid):
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """The pids of a process's children, of all its threads."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return path.read_text().split()


def environment(**changes: str) -> dict[str, str]:
    """The environment of every command: ours without the switches of Python and of reports."""
    kept = {k: v for k, v in os.environ.items() if k == "PYTHONPATH" or not k.startswith(("PYTHON", "PYMEMTRACE"))}
    for name in "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COVERAGE_PROCESS_START":
        kept.pop(name, None)
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"} | changes


# Users


@functools.cache
def unprivileged() -> str:
    """Which way to be unprivileged works here: "self", "uid65534" or "nocaps"; "" if none does."""
    if os.geteuid() != 0:
        return "self"
    probe = [sys.executable, "-c", "import json, pymemtrace, sys; open(sys.argv[1])", str(TARGETS / "hello.py")]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        identity: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        done = subprocess.run(probe, cwd="/", capture_output=True, timeout=TIMEOUT, **identity)
        if done.returncode == 0:
            return "uid65534"
    show = [sys.executable, "-c", "print(*(line for line in open('/proc/self/status') if line.startswith('CapEff')))"]
    with contextlib.suppress(subprocess.SubprocessError):
        shown = subprocess.run(show, capture_output=True, timeout=TIMEOUT, preexec_fn=_drop_capabilities)
        if int(shown.stdout.split()[1], 16) == 0:
            return "nocaps"
    return ""


def users() -> list[Any]:
    """The values of the parameter `user`, for `pytest.mark.parametrize`."""
    way = unprivileged()
    lowered = pytest.param(
        "unprivileged", id=way or "unprivileged", marks=[] if way else pytest.mark.skip("cannot become unprivileged")
    )
    return [lowered] if way == "self" else [pytest.param("root", id="root"), lowered]


def any_user() -> str:
    """The user for tests that need only one."""
    return "root" if os.geteuid() == 0 else "unprivileged"


def _restrict(user: str, refuse_perf: int, limits: dict[int, int]) -> Callable[[], None]:
    drop = user == "unprivileged" and unprivileged() == "nocaps"
    program = _refusal_of_perf(refuse_perf) if refuse_perf else None

    def in_child() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, value))
        if drop:
            _drop_capabilities()
        if program:
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
            _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))

    return in_child


def _drop_capabilities() -> None:
    """Stay root without its power: from the next exec on no capability is left, and none comes back."""
    _prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0) == 1:
            _prctl(PR_CAPBSET_DROP, capability)


def _prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl {option}")


def _refusal_of_perf(number: int) -> ctypes.Structure:
    """A seccomp filter under which perf_event_open fails with this errno and nothing else does."""
    load_number = struct.pack("HBBI", 0x20, 0, 0, 0)
    skip_unless_perf = struct.pack("HBBI", 0x15, 0, 1, PERF_EVENT_OPEN)
    fail = struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ERRNO | number)
    allow = struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW)
    program = _Filter(4, load_number + skip_unless_perf + fail + allow)
    return program


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


# Folders


@functools.cache
def _root_folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="pymemtrace-tests-"))
    path.chmod(0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def folder(user: str) -> Path:
    """This user's scratch folder, the working directory of its commands."""
    path = _root_folder() / user
    if not path.exists():
        own(path, user)
    return path


def new_folder(user: str) -> Path:
    """An empty folder of this user's."""
    return own(_root_folder() / f"{user}-{next(_serial)}", user)


def own(path: Path, user: str) -> Path:
    path.mkdir()
    if user == "unprivileged" and unprivileged() == "uid65534":
        os.chown(path, NOBODY, NOBODY)
    return path


# pymemtrace


@dataclasses.dataclass(frozen=True)
class Traced(Outcome):
    """A traced run and its report."""

    path: Path
    report: dict[str, Any]

    def function(self, name: str, file: str | None = None) -> dict[str, int]:
        """The sums of self, total, faults and how they were found over the rows of a function."""
        return _sums(row for row in self.report["by_function"] if row["function"] == name and _is(row, file))

    def line(self, number: int, file: str) -> dict[str, int]:
        """The same for a line."""
        return _sums(row for row in self.report["by_line"] if row["line"] == number and _is(row, file))


def _is(row: dict[str, Any], file: str | None) -> bool:
    return file is None or (row["file"] is not None and Path(row["file"]).name == file)


def _sums(rows: Iterator[dict[str, Any]]) -> dict[str, int]:
    sums = {"self": 0, "total": 0, "faults": 0, "exact": 0, "fill": 0, "by_time": 0}
    for row in rows:
        for key in sums:
            sums[key] += row[key]
    return sums


def pymemtrace(*arguments: str | os.PathLike[str], flags: Sequence[str] = ()) -> list[str]:
    """The command line `python FLAGS -m pymemtrace ARGUMENTS`."""
    return [sys.executable, *flags, "-m", "pymemtrace", *(os.fspath(part) for part in arguments)]


def cli(*arguments: str | os.PathLike[str], user: str | None = None, **how: Any) -> Outcome:
    """Run one pymemtrace command."""
    return run(pymemtrace(*arguments), user=user or any_user(), **how)


def trace(target: str, *arguments: str, user: str = "root", options: tuple[str, ...] = (), **how: Any) -> Traced:
    """Trace a program of tests/targets quietly and read its report."""
    path = new_folder(user) / "x.pmt"
    command = pymemtrace("run", "-q", "-f", "-o", path, *options, TARGETS / target, *arguments)
    done = run(command, user=user, **how)
    if not path.exists():
        pytest.fail(f"no trace of {target} {arguments}: status {done.status}\n{done.stdout}\n{done.stderr}")
    return Traced(**vars(done), path=path, report=report(path, user=user))


@functools.cache
def cached_trace(target: str, *arguments: str, user: str = "root", options: tuple[str, ...] = ()) -> Traced:
    """The same, run once a session: for tests that only look at the result."""
    return trace(target, *arguments, user=user, options=options)


def report(path: Path, *options: str, user: str | None = None) -> dict[str, Any]:
    """`report --json` of a trace; the test fails if it does not succeed."""
    return _json(cli("report", path, "--json", "--touched", *options, user=user))


def _json(done: Outcome) -> dict[str, Any]:
    if done.status != 0:
        pytest.fail(f"status {done.status}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def both(
    *arguments: str | os.PathLike[str], flags: Sequence[str] = (), user: str | None = None, **how: Any
) -> tuple[Outcome, Outcome, Path]:
    """Run `python FLAGS ARGUMENTS` bare and traced; also returns the trace's path."""
    user = user or any_user()
    path = new_folder(user) / "x.pmt"
    bare = run([sys.executable, *flags, *arguments], user=user, **how)
    command = pymemtrace("run", "-q", "-f", "-o", path, *arguments, flags=flags)
    return bare, run(command, user=user, **how), path


def assert_same(bare: Outcome, traced: Outcome) -> None:
    """Output, byte for byte, and exit status are those of the bare program."""
    for name in "stderr", "stdout":
        expected, found = getattr(bare, name), getattr(traced, name)
        assert found == expected, f"{name}:\n{_differences(expected, found)}"
    assert traced.status == bare.status, f"status {traced.status}, bare {bare.status}"


def _differences(expected: str, found: str) -> str:
    lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "bare", "traced", n=0, lineterm="")
    return "\n".join(line[:2000] for line in itertools.islice(lines, 40))


def assert_one_line(done: Outcome, status: int = 2) -> None:
    """The command failed with this status and one clear line on stderr, and said nothing else."""
    said = f"status {done.status}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr, said
    assert done.stdout == "", said
    assert len(done.stderr.splitlines()) == 1, said
    assert len(done.stderr) > 10, said
    assert done.status == status, said


def in_a_world_of_its_own(script: str, traced: list[str]) -> Outcome:
    """Run a command in mounts of its own that `script` has prepared; skips where this is not allowed."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can change the mounts, with unshare")
    done = run(["unshare", "-m", "sh", "-c", f'{script} || exit 99; exec "$@"', "sh", *traced])
    if done.status == 99:
        pytest.skip(f"the mounts cannot be changed here: {done.stderr}")
    return done


def answer(process: subprocess.Popen[bytes], expected: bytes, timeout: float = TIMEOUT) -> None:
    """Wait until a program says this line; the test fails if it says another, or nothing."""
    assert process.stdout
    readable, _, _ = select.select([process.stdout], [], [], timeout)
    line = process.stdout.readline() if readable else b"nothing"
    if line != expected + b"\n":
        kill_tree(process.pid)
        pytest.fail(f"said {line!r} instead of {expected!r}: {text(process.communicate()[1])}")


def assert_pages(measured: int, pages: int, *, slack: int = 0, what: Any = "") -> None:
    """`measured` bytes are this many pages, within 1 % and `slack` pages."""
    error = measured / PAGE - pages
    assert abs(error) <= pages / 100 + slack, f"{measured / PAGE:.1f} pages, not {pages} ({error:+.1f}) {what}"


def line_of(target: str, marker: str) -> int:
    """The number of the line of a target that ends with a comment `# touched: MARKER`."""
    lines = (TARGETS / target).read_text().splitlines()
    [number] = [n for n, line in enumerate(lines, 1) if line.endswith(f"# touched: {marker}")]
    return number


# What the kernel allows


@functools.cache
def refusal(user: str) -> str | None:
    """Why this user gets no page-fault signals here (found without pymemtrace), or None."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release < (6, 1):
        return f"Linux {platform.release()} is older than 6.1"
    answer = run([sys.executable, TARGETS / "perf_probe.py"], user=user).stdout.strip()
    return None if answer == "ok" else f"perf_event_open fails with {answer or 'an unknown error'}"


def need_faults(user: str) -> None:
    """Skip where the kernel refuses the page-fault engine."""
    if reason := refusal(user):
        pytest.skip(reason)


@functools.cache
def connector_refusal(user: str) -> str | None:
    """Why the kernel's process connector does not serve this user here (found without pymemtrace), or None."""
    answer = run([sys.executable, TARGETS / "connector_probe.py"], user=user).stdout.strip()
    return None if answer == "ok" else f"the process connector: {answer or 'an unknown error'}"


def need_connector(user: str) -> None:
    """Skip where children are only found by looking."""
    if reason := connector_refusal(user):
        pytest.skip(reason)


def error_names(*names: str) -> list[Any]:
    return [pytest.param(getattr(errno, name), id=name) for name in names]
