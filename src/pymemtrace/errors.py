"""The errors users see: one line each, which says what is wrong and what to do about it.

The command line prints `pymemtrace: MESSAGE` and ends with `exit_status`; programs catch `PymemtraceError`.
"""


class PymemtraceError(Exception):
    """Base of everything pymemtrace raises on purpose."""

    exit_status = 2


class TraceFileError(PymemtraceError):
    """The file cannot be read as a trace. The message begins with the file's name."""


class UsageError(PymemtraceError):
    """What was asked for cannot be done: options that contradict each other, a process the trace does not have."""


class ArgumentError(UsageError, ValueError):
    """An argument of a function has a value that it cannot have. The message begins with its name."""


class TracePathError(UsageError, OSError):
    """The file for a new trace cannot be made: `errno` and `filename` say why, the message also what to do."""

    def __init__(self, number: int, message: str, filename: str) -> None:
        super().__init__(number, message, filename)
        self._message = message

    def __str__(self) -> str:
        return self._message


class TraceWarning(RuntimeWarning):
    """A trace that could not be made, or not completely. The program goes on as if it had not been asked for."""
