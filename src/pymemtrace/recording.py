"""A trace that this process makes of itself, from the start of its recorder to the end of its file.

What is imported here is in the program's memory before its trace starts: little, and nothing heavy.
"""

import os
import sys

from pymemtrace import _capture, _inside
from pymemtrace.errors import ArgumentError, TracePathError, TraceWarning, UsageError
from pymemtrace.process import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from pymemtrace.process.apart import ApartRecorder
    from pymemtrace.tracefile import TraceFile

_LEAST_SIZE = 64 << 10  # of a limited trace, in bytes

_real_native_id: object = None  # _thread.get_native_id while ours stands in for it
_our_native_id: object = None
_ticks_apart = False
_serial = 0  # of this process's last trace without a name of its own


class Options:
    """What was asked for. Raises TypeError or ArgumentError if it makes no sense."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        exact: bool,
        overwrite: bool,
        max_size: int | None,
        quiet: bool,
        follow: bool,
        events: bool = False,
        releases: str | None = None,
    ) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path must be a str or a path object, not {type(path).__name__}")
        if max_size is not None and (isinstance(max_size, bool) or not isinstance(max_size, int)):
            raise TypeError(f"max_size must be a number of bytes or None, not {type(max_size).__name__}")
        if max_size is not None and not _LEAST_SIZE <= max_size < 1 << 63:
            raise ArgumentError(f"max_size must be at least {_LEAST_SIZE} bytes, not {max_size}")
        if releases not in (None, "exact"):
            raise ArgumentError(f"releases must be 'exact' or None, not {releases!r}")
        self.path = None if path is None else os.fsdecode(path)
        if self.path == "":
            raise ArgumentError("path must not be empty")
        if self.path is not None and "\0" in self.path:
            raise ArgumentError("path must not contain a null character")
        self.exact = bool(exact)
        self.overwrite = bool(overwrite)
        self.max_size = max_size
        self.quiet = bool(quiet)
        self.follow = bool(follow)
        self.events = bool(events)
        self.releases = releases is not None


class Recording:
    """A trace of this process: what `with pymemtrace.trace() as t` yields.

    path: the trace's file, as it was given or by default; None if the process is traced by `pymemtrace run` already,
        whose trace then goes on and no other is made: `engine` is that one's, and `engine_reason` says so.
    engine: "faults" if page faults are trapped, "timer" if growth goes to what runs at ticks, "none" if memory is only
        sampled or nothing is recorded at all.
    engine_reason: why the engine is not "faults"; "" if it is.
    running: whether it still records.
    problem: what is wrong with the file, known when the trace has ended; None if it is complete.
    pid: the process that started it.
    """

    def __init__(self, options: Options) -> None:
        self.path = options.path
        self.engine = "none"
        self.engine_reason = ""
        self.running = False
        self.problem: str | None = None
        self.pid = os.getpid()
        self._options = options
        self._file = ""  # absolute: the program may change its folder
        self._address = ""  # of the recorder
        present = _capture.engine()
        if present is not None:
            self.path = None
            self.engine = present
            self.engine_reason = "this process is being traced already, by pymemtrace run: that trace goes on"
        else:
            self._begin()

    def __repr__(self) -> str:
        state = "running" if self.running else "over"
        return f"<pymemtrace.Recording {self.path!r}, engine {self.engine}, {state}>"

    def read(self, pid: int | None = None) -> "TraceFile":
        """The trace as objects; while it still runs, what has been written so far. `pid`: of one process only.

        Raises UsageError if nothing was recorded, else what pymemtrace.TraceFile raises.
        """
        if not self._file:
            raise UsageError(f"there is no trace to read: {self.engine_reason}")
        from pymemtrace.tracefile import TraceFile

        return TraceFile(self._file, pid)

    def _begin(self) -> None:
        try:
            fd = self._create()
        except TracePathError as error:
            forbidden = error.errno in output.FORBIDDEN and self._options.path is None  # a folder that nobody named
            if error.errno not in output.TROUBLE and not forbidden:
                raise
            self._fail(str(error))
            return
        try:
            self._start(fd)
        except OSError as error:
            os.unlink(self._file)
            self._file = ""
            self._fail(f"the recorder cannot be started: {error.strerror or error}")

    def _create(self) -> int:
        """The file; a default name that is taken is followed by the next."""
        global _serial
        given = self.path
        while True:
            if given is None:
                _serial += 1
            path = given if given is not None else output.default_path(program_name(), self.pid, _serial)
            try:
                fd = output.create(path, self._options.overwrite)
                self.path, self._file = path, os.path.abspath(path)
                return fd
            except FileExistsError as error:
                if given is not None:
                    message = f"{path} exists: overwrite it with overwrite=True, or name another file"
                    raise TracePathError(error.errno or 0, message, path) from None
            except OSError as error:
                message = f"cannot write {path}: {error.strerror}; name another file with path="
                raise TracePathError(error.errno or 0, message, path) from None

    def _start(self, fd: int) -> None:
        """Start the recorder and tracing, which comes last: what runs after it is in the trace."""
        from pymemtrace.process.apart import ApartRecorder

        recorder = ApartRecorder(fd, self._options.max_size)
        try:
            _describe(recorder)
            names = _thread_names()
            _stand_in_for_native_id()
            _capture.guard_trap()  # for good, since a last signal may come late
            self._address = recorder.address
            self._lead()
            answer = self._trace(True, names)
        except BaseException:
            self._lead_no_more()
            _restore_native_id()
            raise
        finally:
            recorder.release()
        self.running = True
        self.engine, reason = answer
        if self.engine == "timer":
            _keep_ticks_apart()
        if reason is not None:
            _capture.release_trap()
            self._fail(f"page faults cannot be traced: {reason}", reason)

    def _trace(self, confirm: bool, names: dict[int, str] | None) -> tuple[str, str | None]:
        wanted = self._options
        exact, events, releases = wanted.exact, wanted.events, wanted.releases
        return _capture.start(self._address, exact, confirm, 0, _meta(), "best", names, events, releases)

    def _lead(self) -> None:
        if self._options.follow:
            words = {"exact": self._options.exact, "releases": self._options.releases}
            _inside.lead(self._address, [word for word, wanted in words.items() if wanted])

    def _lead_no_more(self) -> None:
        if self._options.follow:
            _inside.lead_no_more()

    def follow(self) -> None:
        """In a fork child: go on in a session of the child's own, in the same file."""
        if not self.running or not self._options.follow:
            return
        try:
            self._trace(False, None)
        except OSError:  # the recorder has gone: the child is on its own
            self._lead_no_more()
            return
        threading = sys.modules.get("threading")
        _capture.name_thread(encodable(threading.current_thread().name) if threading else "MainThread")

    def end(self) -> None:
        """Stop tracing and wait for the file. In a fork child: end the child's own part of the trace, if it has one."""
        if not self.running:
            return
        self.running = False
        self.problem = _capture.leave()
        self._lead_no_more()
        _restore_native_id()
        if self.problem is not None and os.getpid() == self.pid:
            self._warn(f"the trace {self.path} is incomplete: {self.problem}")

    def abandon(self) -> None:
        """The process is about to end: the recorder sees to the rest."""
        if self.running:
            self.running = False
            _capture.stop()

    @property
    def file(self) -> str:
        """The file's absolute name; "": nothing is recorded, or not by this process's own doing."""
        return self._file

    def _fail(self, message: str, reason: str | None = None) -> None:
        self.engine_reason = message if reason is None else reason
        self._warn(message)

    def _warn(self, message: str) -> None:
        if not self._options.quiet:
            warn(message)


def warn(message: str) -> None:
    """Tell the program, at its own line, what does not work."""
    import warnings

    try:
        warnings.warn(f"pymemtrace: {message}", TraceWarning, stacklevel=_depth_of_caller())
    except Warning:
        pass  # the program asked for exceptions instead of warnings; this one must not stop it


def _depth_of_caller() -> int:
    """How far above warnings.warn's caller the user's code is: the `stacklevel` to name its line."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("pymemtrace."):
        frame = frame.f_back
        level += 1
    return level


def program_name() -> str:
    """For the file's name; a notebook's and an interactive interpreter's too."""
    script = (getattr(sys, "argv", None) or [""])[0]
    name = os.path.basename(script)
    if name == "__main__.py":
        name = os.path.basename(os.path.dirname(os.path.abspath(script)))
    known: dict[str, str] = {"": "python", "-c": "code", "-m": "module"}
    return known.get(name) or str(name).removesuffix(".py")


def _describe(recorder: "ApartRecorder") -> None:
    from pymemtrace.process.recorder import facts

    try:
        known = facts([word for word in getattr(sys, "argv", []) if isinstance(word, str)])
    except OSError:  # the current folder has been removed
        return
    for key, value in known.items():
        recorder.meta(key, value)


def encodable(text: str) -> str:
    """Without lone surrogates, which no trace holds."""
    return text.encode("utf-8", "replace").decode()


def _meta() -> dict[str, str]:
    """What the trace says about this process besides."""
    return {"sys_path": encodable("\0".join(entry for entry in sys.path if isinstance(entry, str)))}


def _thread_names() -> dict[int, str]:
    """The names of the threads that run already, by native id."""
    threading = sys.modules.get("threading")
    if threading is None:
        import _thread

        return {_thread.get_native_id(): "MainThread"}
    threads = [(thread.native_id, thread.name) for thread in threading.enumerate()]
    return {number: encodable(str(name)) for number, name in threads if number}


def _stand_in_for_native_id() -> None:
    """Each Thread asks for its native id once, in its own thread, when it starts: where its name is learnt."""
    global _real_native_id, _our_native_id
    import _thread

    _our_native_id = _our_native_id or _capture.native_id_stand_in()
    _real_native_id = _thread.get_native_id
    for module in (_thread, sys.modules.get("threading")):
        if module is not None:
            module.get_native_id = _our_native_id  # type: ignore[attr-defined]


def _restore_native_id() -> None:
    import _thread

    for module in (_thread, sys.modules.get("threading")):
        if module is not None and module.get_native_id is _our_native_id:
            module.get_native_id = _real_native_id  # type: ignore[attr-defined]


def _keep_ticks_apart() -> None:
    """The program may take the timer's signal or block it: neither must let a tick get at it. For good, as the trap."""
    global _ticks_apart
    import _signal  # type: ignore[import-not-found]

    if not _ticks_apart:
        for name in ("signal", "pthread_sigmask"):
            setattr(_signal, name, _capture.stand_in(getattr(_signal, name)))
        _ticks_apart = True
