"""What a traced process does for itself at its start.

Used by _boot.py in the program, by _follow/sitecustomize.py in the Python processes that it starts, and in fork
children: loaded by its path, not through the package; it imports only what the interpreter has loaded anyway. A program
that traces itself (recording.py) uses it for its children.
"""

import sys
from posix import O_CLOEXEC, O_RDONLY, close, getcwd, open, read, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

FOLLOW = "PYMEMTRACE_FOLLOW"  # in the environment of children: ADDRESS OPTIONS


def _rss_pages() -> int:
    """This process's resident pages; 0: unknown."""
    try:
        file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    except OSError:
        return 0
    pages = int(read(file, 256).split()[1])
    close(file)
    return pages


_rss_before = _rss_pages()  # what is loaded from here on is the tracer's
_folder = __file__.rpartition("/")[0]


def load_capture() -> "Any":
    """The capture extension, without importing the package around it."""
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib import _load as load  # type: ignore[attr-defined]
    from _frozen_importlib_external import ExtensionFileLoader
    from _imp import extension_suffixes

    for suffix in extension_suffixes():
        path = f"{_folder}/_capture{suffix}"
        try:
            stat(path)
        except OSError:
            continue
        name = "pymemtrace._capture"
        return load(ModuleSpec(name, ExtensionFileLoader(name, path), origin=path))
    raise ImportError(f"pymemtrace: {_folder} holds no _capture for this interpreter")


def absolute(path: str) -> str:
    """As the interpreter does it: the current folder in front, nothing normalised."""
    return path if path.startswith("/") else f"{getcwd()}/{path}"


def _meta() -> dict[str, str]:
    paths = "\0".join(path for path in sys.path if isinstance(path, str))
    try:
        paths.encode()
    except UnicodeEncodeError:
        return {}
    return {"sys_path": paths}


def _name_threads(capture: "Any") -> None:
    """Each Thread asks for its native id once, in its own thread, when it starts: where its name is learnt."""
    import _thread

    stand_in = capture.native_id_stand_in()
    threading: ModuleType | None = sys.modules.get("threading")
    for module in (_thread, threading):
        if module is not None:
            module.get_native_id = stand_in  # type: ignore[attr-defined]


def wanted_engine(options: list[str]) -> str:
    """The engine that the options ask for."""
    return next((option for option in options if option in ("faults", "timer", "none")), "best")


def _unescaped(pattern: str) -> str:
    """A pattern as it was before cli/run.py put it into the option words."""
    return pattern.replace("%20", " ").replace("%2C", ",").replace("%25", "%")


def wanted_events(options: list[str]) -> "tuple[Any, ...] | None":
    """The arguments of _capture.hooks_on that the options ask for; None: no events."""
    if "calls" not in options and "lines" not in options:
        return None
    include = [_unescaped(option[8:]) for option in options if option.startswith("include=")]
    exclude = [_unescaped(option[8:]) for option in options if option.startswith("exclude=")]
    switches = ("lines" in options, "no-c-calls" not in options, "rss-every" in options, "drop" in options)
    own = f"{_folder}/"
    if "rss-check" in options:  # a word of the tests: hooks_on says what it does
        return (*switches, include, exclude, own, 5)
    return (*switches, include, exclude, own)


def _keep_ticks_apart(capture: "Any") -> None:
    """The program may take the timer's signal or block it: neither must let a tick get at it."""
    import _signal  # type: ignore[import-not-found]

    for name in ("signal", "pthread_sigmask"):
        setattr(_signal, name, capture.stand_in(getattr(_signal, name)))


def start(capture: "Any", address: str, options: list[str], *, confirm: bool) -> tuple[str, str | None]:
    """Trace this process, and its children unless the options say "alone".

    The engine that runs, and None or why it is not that of page faults. Raises OSError if the recorder does not
    answer; `confirm` waits for that.
    """
    import atexit

    # All of ours comes before the start: what it brings in is the tracer's, not a line of the program's.
    capture.guard_trap()
    _name_threads(capture)
    atexit.register(capture.stop)
    if "alone" not in options:
        _follow(capture, address, options)
    elif wanted_events(options) is not None:
        _leave_children_alone(capture)
    try:
        engine, reason = _start_session(capture, address, options, _rss_before, confirm=confirm)
    except OSError:
        capture.release_trap()
        lead_no_more()
        raise
    capture.name_thread("MainThread")
    if engine != "faults":
        capture.release_trap()
    if engine == "timer":
        _keep_ticks_apart(capture)
    return engine, reason


def _start_session(
    capture: "Any", address: str, options: list[str], rss_before: int, *, confirm: bool
) -> tuple[str, str | None]:
    exact, releases, unseen = (word in options for word in ("exact", "releases", "unseen"))
    engine, events = wanted_engine(options), wanted_events(options) is not None
    answer: tuple[str, str | None] = capture.start(
        address, exact, confirm, rss_before, _meta(), engine, None, events, releases, unseen
    )
    return answer


def _follow(capture: "Any", address: str, options: list[str]) -> None:
    """Let fork children go on under sessions of their own, and Python children find the recorder."""
    import os

    events = wanted_events(options)

    def go_on() -> None:
        try:
            _start_session(capture, address, options, 0, confirm=False)
        except OSError:
            capture.hooks_off()
            return  # the recorder has gone: the child is on its own
        threading: Any = sys.modules.get("threading")
        thread = threading._active.get(threading.get_ident()) if threading else None
        capture.name_thread(thread.name if thread else "MainThread")
        if events is not None:
            capture.hooks_on(*events)

    os.register_at_fork(after_in_child=go_on)
    lead(address, options)


def lead(address: str, options: list[str]) -> None:
    """Let the Python children of this process find the recorder.

    Behind the back of os.environ, which the program may look at; what it starts inherits the C library's environment.
    """
    import os

    paths = os.environ.get("PYTHONPATH")
    folder = f"{_folder}/_follow"
    os.putenv("PYTHONPATH", f"{folder}:{paths}" if paths else folder)
    os.putenv(FOLLOW, f"{address} {','.join(options)}")


def _leave_children_alone(capture: "Any") -> None:
    """Fork children inherit the interpreter's hooks."""
    import os

    os.register_at_fork(after_in_child=capture.hooks_off)


def lead_no_more() -> None:
    """Take back what lead() told the C library's environment."""
    import os

    os.unsetenv(FOLLOW)
    paths = os.environ.get("PYTHONPATH")
    if paths is None:
        os.unsetenv("PYTHONPATH")
    else:
        os.putenv("PYTHONPATH", paths)


def hide_environment(folder: str) -> None:
    """Take what lead() added out of os.environ, of a process that was started with it."""
    import os
    import posix

    for names in (os.environ._data, posix.environ):  # type: ignore[attr-defined]
        names.pop(FOLLOW.encode(), None)
        paths = [path for path in names.pop(b"PYTHONPATH", b"").split(b":") if path != os.fsencode(folder)]
        if paths and paths != [b""]:
            names[b"PYTHONPATH"] = b":".join(paths)
