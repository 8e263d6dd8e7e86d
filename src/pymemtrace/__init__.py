"""pymemtrace: which lines of a Python program made the operating system hand out its memory.

Importing the package costs next to nothing, because `pymemtrace run` imports it before the program can start. What it
offers is loaded when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace._capture import rss, rss_peak
    from pymemtrace.api import snapshot, start, stop, trace
    from pymemtrace.listening import listen
    from pymemtrace.recording import Recording
    from pymemtrace.sections import Profile, Trace, mark
    from pymemtrace.tracefile import TraceFile

__all__ = [
    "Profile",
    "Recording",
    "Trace",
    "TraceFile",
    "__version__",
    "listen",
    "mark",
    "rss",
    "rss_peak",
    "snapshot",
    "start",
    "stop",
    "trace",
]

__version__ = "0.1.0"

_HOMES = {
    "Profile": "pymemtrace.sections",
    "Recording": "pymemtrace.recording",
    "Trace": "pymemtrace.sections",
    "TraceFile": "pymemtrace.tracefile",
    "listen": "pymemtrace.listening",
    "mark": "pymemtrace.sections",
    "rss": "pymemtrace._capture",
    "rss_peak": "pymemtrace._capture",
    "snapshot": "pymemtrace.api",
    "start": "pymemtrace.api",
    "stop": "pymemtrace.api",
    "trace": "pymemtrace.api",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(_HOMES[name])
    for other in _HOMES:
        if _HOMES[other] == _HOMES[name]:
            globals()[other] = getattr(home, other)  # asked for once: rss() and mark() are meant to be called often
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
