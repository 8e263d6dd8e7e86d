"""Where `pymemtrace attach` and a program that listens meet: small files in a folder that is the user's alone.

PID.listen, of a program that listens: `signal`, `cookie`, `started` (of the process, in the kernel's ticks), `name`.
PID.command, of attach and detach: `serial`, `verb` and the verb's options; taken away by the program.
PID.answer, of the program: the command's `serial`, and `error` or what was done.
Imported by programs: it takes nothing that the interpreter has not loaded.
"""

import os
import stat

_SIZE_MAX = 1 << 16


def _candidates(uid: int) -> list[str]:
    """Folders where a user's programs may listen, as they choose them."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    folders = [f"{given}/pymemtrace"] if given.startswith("/") and uid == os.geteuid() else []
    return list(dict.fromkeys([*folders, f"/run/user/{uid}/pymemtrace", f"/tmp/pymemtrace-{uid}"]))


def _is_private(folder: str, uid: int) -> bool:
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077


def own_folder() -> str:
    """This user's folder, made if need be. Raises OSError if there can be none."""
    uid = os.geteuid()
    error: OSError | None = None
    for folder in _candidates(uid):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        except OSError as failure:
            error = failure
            continue
        if _is_private(folder, uid):
            return folder
        error = PermissionError(1, "somebody else can write there", folder)
    assert error is not None
    raise error


def existing_folders(uid: int) -> list[str]:
    """The folders of a user that are there and are the user's alone."""
    return [folder for folder in _candidates(uid) if _is_private(folder, uid)]


def clear(folder: str) -> None:
    """Remove what processes that are gone left there."""
    for name in os.listdir(folder):
        number = name.partition(".")[0]
        if number.isdecimal() and not os.path.exists(f"/proc/{number}"):
            remove(f"{folder}/{name}")


def put(path: str, facts: dict[str, str], owner: int | None = None) -> None:
    """Write a file at once, for its owner alone (by default the caller)."""
    text = b"".join(f"{key}={value}".encode("utf-8", "surrogateescape") + b"\0" for key, value in facts.items())
    draft = f"{path}.{os.getpid()}"
    remove(draft)  # of a process that was killed
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text)
        if owner is not None and owner != os.geteuid():
            os.fchown(fd, owner, -1)
    finally:
        os.close(fd)
    os.rename(draft, path)


def get(path: str, *owners: int) -> dict[str, str] | None:
    """The facts of a file that belongs to one of the owners; None: there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners:
            return None
        text = os.read(fd, _SIZE_MAX)
    finally:
        os.close(fd)
    pairs = (field.decode("utf-8", "surrogateescape").partition("=") for field in text.split(b"\0") if field)
    return {key: value for key, _, value in pairs}


def remove(path: str) -> bool:
    """Take a file away; False: it was not there."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def started(pid: int) -> str:
    """When a process started, in the kernel's ticks: with the pid it names the process. OSError: it is gone."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[19].decode()
