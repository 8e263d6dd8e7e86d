"""The file of a new trace: its name where none was given, and making it."""

import errno
import os

_NAME_LIMIT = 100
# The machine's trouble, not a wrong name: no reason not to run the program.
TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EIO)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def default_path(program: str, pid: int, serial: int = 1) -> str:
    """`pymemtrace-PROGRAM.PID.pmt` in the current folder; -2, -3 ... follow the pid of a process's later traces."""
    safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in program)[:_NAME_LIMIT]
    return f"pymemtrace-{safe}.{pid}{f'-{serial}' if serial > 1 else ''}.pmt"


def create(path: str, overwrite: bool) -> int:
    """A new file that is the user's alone; returns its descriptor. Raises OSError, FileExistsError if it is there."""
    if overwrite and os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "it is a pipe or a device", path)  # which no report could read
    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
    fd = os.open(path, flags, 0o600)
    if overwrite:
        os.fchmod(fd, 0o600)  # an older file keeps its mode otherwise
    return fd
