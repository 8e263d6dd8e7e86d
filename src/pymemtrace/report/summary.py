"""What `pymemtrace run` prints when the program has ended. The user waits for it, so it loads only the C analysis."""

import sys

from pymemtrace.errors import PymemtraceError
from pymemtrace.report import facts, load
from pymemtrace.report.text import Shortener, clean, label, location, quote_argument
from pymemtrace.report.units import count, duration, optional_size, share, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from pymemtrace._analysis import Result

_OWNERS = 5
_NAME_LIMIT = 60
_PREFIX = "pymemtrace: "
_INDENT = " " * len(_PREFIX)


def print_summary(path: str, file: "TextIO | None" = None) -> None:
    """Print the run in a few lines: peak RSS, the lines that held most then, the tracer's cost, the next command.

    file: where to (default: the present sys.stderr).
    Never raises because of the trace: what is wrong with it is printed, for the program's exit status must get through.
    """
    out = sys.stderr if file is None else file
    try:
        lines = _lines(load.analyze(path, at=("peak",)), path)
    except PymemtraceError as exc:
        lines = [clean(str(exc))]
    text = "".join(f"{_INDENT if at else _PREFIX}{line}\n" for at, line in enumerate(lines))
    # A terminal that cannot show a letter of a name must not cost the whole summary.
    encoding = getattr(out, "encoding", None) or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    out.flush()


def _lines(result: "Result", path: str) -> list[str]:
    process = facts.root(result)
    name, reason, period, changes = facts.engine_of(result)
    peak = optional_size((process["rss_peak"] or None) if process else None)
    ran = duration(result["duration_ns"])
    total = result["touched_total"]
    lines = [f"peak RSS {peak}, touched {size(total)} in {ran}; {facts.end_text(*_end(result))}"]
    why = facts.why_empty(result)
    if why:
        lines.append(clean(why))
    else:
        lines += _owner_lines(result)
    lines.append(_tracer_line(result))
    lost = facts.losses(result)
    if lost:
        lines.append(f"lost: {lost}")
    left_out = facts.left_out(result)
    if left_out:
        lines.append(left_out)
    if name != "none":
        lines.append(f"engine: {clean(facts.engine_text(name, reason, period, changes))}")
    lines.append(f"details: pymemtrace report {_file_word(path)}")
    return lines


def _end(result: "Result") -> tuple[str, int | None]:
    return facts.end_of(result, facts.root(result))


def _file_word(path: str) -> str:
    # "./-x.pmt": a name with a dash must not be taken for an option.
    return quote_argument(f"./{path}" if path.startswith("-") else path)


def _owner_lines(result: "Result") -> list[str]:
    shorten = Shortener(facts.folders(result))
    held = result["held"]  # None: what follows is what was touched
    whole = sum(books[0] or 0 for books in held) if held else result["touched_total"]
    return [
        f"{size(owned):>12}  {share(owned, whole):>7}  "
        f"{label(function, _NAME_LIMIT)}  {location(label(shorten(file)), line)}".rstrip()
        for owned, function, file, line in top_owners(result, _OWNERS)
    ]


def top_owners(result: "Result", number: int) -> list[tuple[int, str, str, int | None]]:
    """The rows by line with the most self bytes: (bytes, function, file, line). Native code is one row a library."""
    owners: list[tuple[int, str, str, int | None]] = []
    # The lines come sorted: the first few are enough.
    for frame, owned, *_ in result["lines"][:number]:
        file, line, function, _first = result["frames"][frame]
        owners.append((owned, function or facts.UNKNOWN, file or facts.UNKNOWN, line or None))
    native: dict[str, int] = {}
    for path, _offset, owned, *_ in result["native"]:
        native[path] = native.get(path, 0) + owned
    for path, owned in native.items():
        owners.append((owned, facts.native_name(path, None), path or facts.UNKNOWN, None))
    owners = [owner for owner in owners if owner[0] > 0]
    owners.sort(key=lambda owner: (-owner[0], owner[2], owner[3] or 0, owner[1]))
    return owners[:number]


def _tracer_line(result: "Result") -> str:
    parts = [f"{size(result['touched_tracer'])} of its own pages"]
    cost = facts.overhead_ns(result)
    if cost is not None:
        parts.append(f"about {duration(cost)} for {count(facts.events(result), facts.event_word(result))}")
    return "tracer: " + ", ".join(parts)
