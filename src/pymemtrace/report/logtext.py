"""The rows of the event log as text, CSV or JSON, and the choice of rows. The C part does the work row by row; it is
told here, once a name, how each is written."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

from pymemtrace.errors import UsageError
from pymemtrace.report import facts
from pymemtrace.report.text import label

if TYPE_CHECKING:
    from pymemtrace._analysis import Log

PLAIN, CSV, JSON = 0, 1, 2
CSV_HEADER = b"t,pid,tid,depth,kind,function,file,line,rss,change,touched,text\n"
PLAIN_HEADER = b"      time s      tid     RSS KiB  change KiB  kind      function  file:line\n"
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows are wanted. Times in seconds since the start of the trace, min_change in bytes (0: every row)."""

    pid: int | None = None
    min_change: int = 0
    thread: str | None = None  # a tid or a thread's name
    function: str | None = None  # part of the qualified name, or a pattern with *, ? or []
    since: float | None = None
    until: float | None = None
    kinds: int = 0  # a bit for each of results.KINDS, 0: all


def choose(log: "Log", choice: Choice) -> None:
    """Tell the log which rows are wanted. Raises UsageError if there is no such thread."""
    log.select(
        pid=choice.pid,
        since=_nanoseconds(choice.since or 0.0),
        until=None if choice.until is None else _nanoseconds(choice.until),
        min_change=choice.min_change,
        names=None if choice.function is None else _names(log.texts, choice.function),
        threads=None if choice.thread is None else _threads(log.threads, choice.thread),
        kinds=choice.kinds,
    )


def _nanoseconds(seconds: float) -> int:
    return min(max(round(seconds * 1e9), 0), (1 << 64) - 1)


def _names(texts: list[str], pattern: str) -> bytes:
    if any(sign in pattern for sign in "*?["):
        return bytes(fnmatchcase(text, pattern) for text in texts)
    return bytes(pattern in text for text in texts)


def _threads(threads: list[tuple[int, int, str]], wanted: str) -> bytes:
    mask = bytes(wanted in (str(tid), name) for _pid, tid, name in threads)
    if not any(mask):
        known = ", ".join(label(f"{tid} ({name})" if name else str(tid), 40) for _pid, tid, name in threads[:10])
        raise UsageError(f"no thread {wanted!r} in this trace; it has {known or 'none'}")
    return mask


def write(log: "Log", style: int, shorten: Callable[[str], str], out: BinaryIO) -> None:
    """Write all rows of the log that were chosen."""
    names, files = _words(log.texts, style, shorten)
    log.spell(names, files)
    for chunk in _chunks(log, style):
        out.write(chunk)
    out.flush()


def _chunks(log: "Log", style: int) -> Iterator[bytes]:
    while (chunk := log.format(style, _CHUNK)) is not None:
        yield chunk


def _words(texts: list[str], style: int, shorten: Callable[[str], str]) -> tuple[list[bytes], list[bytes]]:
    if style == JSON:
        words = [json.dumps(text).encode() for text in texts]
        return words, words
    if style == CSV:
        words = [_csv_word(text) for text in texts]
        return words, words
    names = [(label(text) or facts.UNKNOWN).encode("utf-8", "backslashreplace") for text in texts]
    return names, [label(shorten(text)).encode("utf-8", "backslashreplace") for text in texts]


def _csv_word(text: str) -> bytes:
    if any(sign in text for sign in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode("utf-8", "backslashreplace")
