"""pymemtrace: which lines of a Python program made the operating system hand out its memory.

Importing the package costs next to nothing, because `pymemtrace run` imports it before the program can start. `Trace`
(read a trace back) is loaded when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace.trace import Trace

__all__ = ["Trace", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Trace":
        from pymemtrace.trace import Trace

        return Trace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
