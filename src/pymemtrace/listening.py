"""A program that lets `pymemtrace attach` and `detach` switch tracing on and off: pymemtrace.listen().

No thread waits for them: they send a signal that nobody else uses, and Python runs its handler between two
instructions of the main thread. What they want stands in a file (process/rendezvous.py).
"""

import atexit
import errno
import os
import signal

from pymemtrace import _capture, api
from pymemtrace.errors import PymemtraceError, TracePathError, UsageError
from pymemtrace.process import rendezvous
from pymemtrace.recording import Options, Recording, program_name

_folder = ""  # where this process listens; "": it does not
_pid = 0
_attached: Recording | None = None


def listen() -> None:
    """Let `pymemtrace attach PID` and `pymemtrace detach PID` trace this program, at any time and as often as needed.

    Costs nothing until then. To be called in the main thread; calling it again does nothing. Only the same user and
    root can attach. Fork children do not listen, they may call it themselves.

    Raises UsageError in another thread, and PymemtraceError where it is impossible.
    """
    global _folder, _pid
    if _folder and _pid == os.getpid():
        return
    try:
        folder = rendezvous.own_folder()
        rendezvous.clear(folder)
        number = _capture.free_signal()
        cookie = int.from_bytes(os.urandom(6)) * 2
        signal.signal(number, _on_summons)
        _capture.listen(number, cookie)
        _pid = os.getpid()
        rendezvous.put(
            f"{folder}/{_pid}.listen",
            {
                "signal": str(number),
                "cookie": str(cookie),
                "started": rendezvous.started(_pid),
                "name": program_name(),
            },
        )
    except ValueError:
        raise UsageError("listen() must be called in the main thread") from None
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise PymemtraceError(
            f"cannot listen for attach: {error.strerror}{place}; set XDG_RUNTIME_DIR to a folder of your own"
        ) from None
    _folder = folder
    atexit.register(_go_deaf)


def _go_deaf() -> None:
    if _pid == os.getpid():
        for kind in ("listen", "command", "answer"):
            rendezvous.remove(f"{_folder}/{_pid}.{kind}")


def _on_summons(_number: int, _frame: object) -> None:
    _capture.answered()
    if _pid != os.getpid():
        return
    path = f"{_folder}/{_pid}.command"
    command = rendezvous.get(path, os.geteuid())
    if command is None or not rendezvous.remove(path):
        return
    try:
        answer = _obey(command)
    except PymemtraceError as error:
        answer = {"error": str(error)}
    try:
        rendezvous.put(f"{_folder}/{_pid}.answer", {"serial": command.get("serial", ""), **answer})
    except OSError:
        pass  # attach says that there was no answer


def _obey(command: dict[str, str]) -> dict[str, str]:
    if api.is_changing():
        return {"error": "it is just starting or stopping a trace of its own: try again"}
    verb = command.get("verb")
    return _attach(command) if verb == "attach" else _snapshot(command) if verb == "snapshot" else _detach()


def _attach(command: dict[str, str]) -> dict[str, str]:
    global _attached
    present = api.running()
    if present is not None and present.running:
        return {"error": f"it is being traced already, into {present.path}"}
    if _capture.engine() is not None:
        return {"error": "it is being traced already, by pymemtrace run"}
    options = Options(
        command.get("path"),
        "exact" in command,
        "overwrite" in command,
        None,
        True,
        "alone" not in command,
        releases="exact" if "releases" in command else None,
    )
    try:
        recording = api.enter(options)
    except TracePathError as error:
        return {"error": _path_problem(error)}
    if not recording.running:
        api.leave(recording)
        return {"error": recording.engine_reason}
    _attached = recording
    return {"path": recording.path or "", "engine": recording.engine, "reason": recording.engine_reason}


def _snapshot(command: dict[str, str]) -> dict[str, str]:
    if not api.snapshot(command.get("name", "")):
        return {"error": "it is not being traced"}
    return {}


def _path_problem(error: TracePathError) -> str:
    """In the words of the command line: the options are `attach`'s, and it is this process that writes."""
    if error.errno == errno.EEXIST:
        return f"{error.filename} exists: overwrite it with -f, or name another file with -o"
    return f"it cannot write {error.filename}: {os.strerror(error.errno or 0)}; name another file with -o"


def _detach() -> dict[str, str]:
    global _attached
    recording, _attached = _attached, None
    if recording is None or not recording.running:
        return {"error": "nothing is attached to it"}
    api.leave(recording)
    answer = {"path": recording.path or "", "running": str(int(recording.running))}
    if recording.problem is not None:
        answer["problem"] = recording.problem
    return answer
