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
