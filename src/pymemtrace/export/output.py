"""Where an export goes: a file that appears when it is whole, or standard output."""

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from io import RawIOBase
from typing import TYPE_CHECKING, BinaryIO

from pymemtrace.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_BUFFER = 1 << 18
STDOUT = "standard output"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutputError(UsageError):
    """The export cannot be written: one line that names where to, and why not."""


class Output(RawIOBase):
    """A binary stream whose errors are OutputError, but for a pipe that its reader has closed."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.count = 0  # bytes written

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of `data`; a stream without a buffer may take it in parts."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                rest = rest[self._stream.write(rest) or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failed(self._name, error) from error
        self.count += size
        return size

    def flush(self) -> None:
        if self._stream.closed:
            return
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failed(self._name, error) from error


def target(
    path: str | None, overwrite: bool, source: str, binary: bool = False, name: str = ""
) -> contextlib.AbstractContextManager[Output]:
    """Standard output for None and `-`, else `file`. What is called `name` may be binary."""
    return standard_output(binary, name) if path in (None, "-") else file(path, overwrite, source)


@contextlib.contextmanager
def standard_output(binary: bool, name: str) -> Iterator[Output]:
    """Standard output; a terminal takes no binary formats."""
    if binary and sys.stdout.isatty():
        raise UsageError(f"{name} is binary and not for a terminal; name a file with -o, or pipe it into a program")
    sys.stdout.flush()
    out = Output(sys.stdout.buffer, STDOUT)
    try:
        yield out
        out.flush()
    except OutputError:
        _forget(sys.stdout.fileno())
        raise


def _forget(fd: int) -> None:
    """Let what is still buffered find a place to go to: the interpreter flushes at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


@contextlib.contextmanager
def file(path: str, overwrite: bool, source: str) -> Iterator[Output]:
    """A file that is there when all of it is written, and not at all if that fails. A device or a pipe is written to.

    Raises OutputError: it is there and not to be overwritten, it is the trace `source`, it cannot be made or written.
    """
    if path.endswith(os.sep):  # which realpath drops
        raise OutputError(f"{path}: is a directory; name a file in it")
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:
        raise _failed(path, error) from error
    if mode is not None:
        _check(path, mode, overwrite, source)
    if mode is not None and not stat.S_ISREG(mode):
        with _opened(path, target) as out:
            yield out
        return
    with _beside(path, target, mode, overwrite) as out:
        yield out


def _check(path: str, mode: int, overwrite: bool, source: str) -> None:
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a directory; name a file in it")
    if not stat.S_ISREG(mode):
        return
    if _same(path, source):
        raise OutputError(f"{path}: is the trace itself; name another file with -o")
    if not overwrite:
        raise _exists(path)


def _same(path: str, source: str) -> bool:
    try:
        return os.path.samefile(path, source)
    except OSError:  # there is no such trace, which its reader says better
        return False


def _exists(path: str) -> OutputError:
    return OutputError(f"{path}: exists already; overwrite it with -f, or name another file with -o")


@contextlib.contextmanager
def _opened(path: str, target: str) -> Iterator[Output]:
    """A device or pipe."""
    try:
        stream = open(target, "wb", buffering=_BUFFER)  # noqa: SIM115
    except OSError as error:
        raise _failed(path, error) from error
    try:
        out = Output(stream, path)
        yield out
        out.flush()
    finally:
        _close(stream)


@contextlib.contextmanager
def _beside(path: str, target: str, mode: int | None, overwrite: bool) -> Iterator[Output]:
    """A new name in the target's folder, which becomes the target."""
    folder, name = os.path.split(target)
    # Known before it is made, so that no signal finds a file that nobody knows.
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with contextlib.ExitStack() as stack:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stream = os.fdopen(fd, "wb", buffering=_BUFFER)
            stack.callback(_close, stream)
            out = Output(stream, path)
            yield out
            out.flush()
        os.chmod(temporary, _new_mode() if mode is None else stat.S_IMODE(mode))
        if not overwrite and os.path.lexists(target):
            raise _exists(path)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, UsageError):
            raise _failed(path, error) from error
        raise


def _close(stream: BinaryIO) -> None:
    """Close what was flushed, or has failed: then the rest cannot be written and need not."""
    with contextlib.suppress(OSError):
        stream.close()


def _new_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _failed(name: str, error: Exception) -> OutputError:
    why = getattr(error, "strerror", None) or " ".join(str(error).split())
    remedy = "send it elsewhere" if name == STDOUT else "name another file with -o"
    if getattr(error, "errno", None) in _FULL:
        remedy = f"free some space, or {remedy}"
    return OutputError(f"{name}: cannot be written: {why}; {remedy}")
