"""Facts about a trace that the summary and the reports share: command, engine, how it ended, what tracing cost.

Plain functions on the analysis result (see _analysis.pyi), without heavy imports.
"""

from pymemtrace.report.units import count, duration, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pymemtrace._analysis import Process, Result

# The engine that looks at RSS at ticks, and its reason when nothing refused the better one.
TIMER = "timer"
ASKED_FOR = "asked for"
# Of each process, alive at once: PMT_RINGS of the engine.
THREADS_MAX = 1024
# Stands for a file or function whose definition the trace does not have.
UNKNOWN = "[unknown]"
# What a native stack in code that belongs to no known library is called.
NATIVE_UNKNOWN = "<native code>"
SNAPSHOT_KINDS = {1: "start", 2: "fell", 3: "asked", 4: "end"}
_END_SIGNAL = 1
_END_UNKNOWN = 2
_END_EXEC = 3
# A fork child of the program has before the program's words: ... _boot.py ADDRESS OPTIONS KIND (process/program.py).
_BOOT = "/pymemtrace/_boot.py"
_BOOT_WORDS = 3
_KIND_FLAGS = {"module": ["-m"], "code": ["-c"]}


def split_meta(value: str) -> list[str]:
    """A META value that is a list: its parts, joined with NUL bytes in the file."""
    return value.split("\0") if value else []


def root(result: "Result", pid: int | None = None) -> "Process | None":
    """The first process (with this pid); None in a trace that was cut before it was written."""
    return next((process for process in result["processes"] if pid in (None, process["pid"])), None)


def command(result: "Result") -> list[str]:
    """The traced program and its arguments, as the user gave them."""
    return split_meta(result["meta"].get("command", ""))


def process_command(result: "Result", process: "Process") -> list[str]:
    """A process's command line; that of `pymemtrace run`'s program is as the user gave it, without our words."""
    argv = split_meta(process["meta"].get("argv", ""))
    if not argv and "engine" in process["meta"]:  # the first, or a fork child too short-lived to be asked
        return command(result)
    for at, word in enumerate(argv[:-_BOOT_WORDS]):
        if word.endswith(_BOOT):
            kind, *program = argv[at + _BOOT_WORDS :]
            return [*_KIND_FLAGS.get(kind, []), *program]
    return argv


def folders(result: "Result") -> list[str]:
    """The run's working directory and every process's sys.path, absolute, without repeats, in order."""
    cwd = result["meta"].get("cwd", "")
    found = [cwd] if cwd else []
    for process in result["processes"]:
        for entry in split_meta(process["meta"].get("sys_path", "")):
            # An empty or relative entry of sys.path means: below the working directory.
            found.append(entry if entry.startswith("/") else f"{cwd}/{entry}".rstrip("/"))
    return list(dict.fromkeys(folder for folder in found if folder))


def problem(result: "Result") -> str | None:
    """Why the program ran unrecorded; None where it was recorded."""
    return None if result["processes"] else result["meta"].get("problem") or None


def images(result: "Result", process: "Process | None") -> "list[Process]":
    """The process, and what it replaced itself by with exec, one after the other."""
    found: list[Process] = []
    for later in result["processes"]:
        last = found[-1] if found else None
        if (
            last is None
            and later is process
            or last
            and last["end"]
            and last["end"][0] == _END_EXEC
            and later["pid"] == last["pid"]
        ):
            found.append(later)
    return found


def last_image(result: "Result", process: "Process | None") -> "Process | None":
    """The process, or what stands for its pid in the end where it replaced itself by an exec."""
    return images(result, process)[-1] if process else None


def end_of(result: "Result", process: "Process | None") -> tuple[str, int | None]:
    """How a process ended: "exit" (status, None if unknown), "signal" (number), "running" or "truncated" (None)."""
    process = last_image(result, process)
    if process is None and problem(result):
        return "exit", None  # it ran, and nobody looked
    if process is None or process["end"] is None:
        return ("running" if result["complete"] else "truncated"), None
    kind, value, _time = process["end"]
    if kind == _END_SIGNAL:
        return "signal", value
    return "exit", (None if kind in (_END_UNKNOWN, _END_EXEC) else value)


def end_text(kind: str, value: int | None) -> str:
    """`end_of` in words."""
    if kind == "signal":
        return f"killed by {_signal_name(value)}"
    if kind == "running":
        return "still running when recording ended"
    if kind == "truncated":
        return "not known: the trace was cut off"
    return "exit status unknown" if value is None else f"exit status {value}"


def _signal_name(number: int | None) -> str:
    import signal

    try:
        return f"{signal.Signals(number or 0).name} ({number})"
    except ValueError:
        return f"signal {number}"


def engine_of(result: "Result") -> tuple[str, str | None, int, int]:
    """Engine of the root process: name, why a better one was refused (None: it is the best), widest period, changes."""
    process = root(result)
    if process is None:
        return "none", problem(result) or "the trace ends before the engine was recorded", 0, 0
    period = max(each["period"] for each in result["processes"])
    changes = sum(each["period_changes"] for each in result["processes"])
    name = process["meta"].get("engine", "")
    if not name:
        return "none", "the trace ends before the engine was recorded", period, changes
    return name, process["meta"].get("engine_reason") or None, period, changes


def engine_text(name: str, reason: str | None, period: int, changes: int) -> str:
    """The engine in words: what it traps and how densely, and why it is not a better one."""
    if name == "none":
        return f"none: {reason or 'no reason was recorded'}"
    if name == TIMER:
        why = reason if reason in (None, ASKED_FOR) else f"page faults cannot be traced: {reason}"
        return f"timer (growth between ticks of a few ms, approximate){f'; {why}' if why else ''}"
    if period <= 1:
        density = "every fault"
    else:
        density = f"down to one fault in {period}, {count(changes, 'change')} of the period"
    return f"{name} ({density})" + (f"; {reason}" if reason else "")


def event_word(result: "Result") -> str:
    """What the records of the root process's engine are."""
    return "tick" if engine_of(result)[0] == TIMER else "fault"


def events(result: "Result") -> int:
    """How many times the program was interrupted: faults recorded, or ticks with and without a rise."""
    process = root(result)
    ticks = process["counters"].get("ticks", 0) if process else 0
    return max(ticks, result["signals"])


def overhead_ns(result: "Result") -> int | None:
    """Time that tracing cost, ns: faults or ticks times the average cost of one, plus waits. None: not measured."""
    process = root(result)
    if process is None or not process["counters"].get("fault_cost_ns"):  # 0: killed before it could say
        return None
    waited = sum(each["counters"].get("wait_ns", 0) for each in result["processes"])
    return events(result) * process["counters"]["fault_cost_ns"] + waited


def losses(result: "Result") -> str | None:
    """What is missing, in words; None when nothing is."""
    if not result["lost"]:
        return None
    word = event_word(result)
    slotless = sum(each["counters"].get("lost_slotless", 0) for each in result["processes"])
    late = result["lost"] - slotless
    rise = "what rose" if word == "tick" else "what they touched"
    label = "" if word == "tick" else ", labelled by time"
    where = f"; {rise} is in later {word}s{label}"
    texts = [f"{count(late, word)} came faster than the recorder could read them"] if late > 0 else []
    texts += [slotless_text(slotless, word)] if slotless else []
    return "; ".join(texts) + where


def slotless_text(lost: int, word: str) -> str:
    """What is missing because there were more threads than can be recorded."""
    return f"{count(lost, word)} of threads beyond the {THREADS_MAX:,} that are recorded at a time"


def left_out(result: "Result") -> str | None:
    """Where the details end in a file that could not or must not grow, and what is not in it; None if nothing is."""
    if result["left_out"] is None:
        return None
    time_ns, faults, size_bytes, _error, events = result["left_out"]
    later = f" and {count(events, 'event')}" if events else ""
    return (
        f"details end after {duration(time_ns)} of {duration(result['duration_ns'])}: {left_out_reason(result)}; "
        f"{count(faults, 'later fault')} ({size(size_bytes)}){later} are only counted"
    )


def left_out_reason(result: "Result") -> str:
    """Why the file does not grow: a limit, or an error of the system."""
    import os

    error = result["left_out"][3] if result["left_out"] else 0
    if not error:
        return "the file reached its --max-size"
    text = os.strerror(error) if error < 1 << 31 else f"error {error}"
    return f"the file could not be written ({text})"


def why_empty(result: "Result") -> str | None:
    """Why there is nothing to list, and what to do about it; None when there are rows."""
    if result["lines"] or result["native"]:
        return None
    if problem(result):
        return f"Nothing was recorded: {problem(result)}"
    name, reason, _period, _changes = engine_of(result)
    if name == "none" and reason == "asked for":
        return "No memory was attributed, as `--engine none` asks: RSS over time is all that was recorded."
    if name == "none":
        return (
            f"No memory was attributed: no engine could run ({reason or 'no reason was recorded'}). Page faults can "
            "be trapped from Linux 6.1 on, where the sysctl kernel.perf_event_paranoid is 2 or lower (or with "
            "CAP_PERFMON) and the container's seccomp profile allows perf_event_open."
        )
    if end_of(result, root(result))[0] == "truncated":
        return f"No {event_word(result)}s were recorded before the trace was cut off."
    if result["left_out"]:
        return "No faults were recorded before the details end."
    if name == TIMER:
        ran = duration(result["duration_ns"])
        return f"No growth was seen at a tick in {ran}: the program ran too short or touched no new memory."
    return f"No faults were recorded in {duration(result['duration_ns'])}: the program touched no new memory."


def releases_until(meta: dict[str, str]) -> tuple[int | None, str] | None:
    """Until when all of a process's releases are recorded, ns (None: from the start not, or not all), and why.

    None: all are, or they were not asked for. A shrinking mremap is a release too, and is seen as moves are.
    """
    if "releases_reason" not in meta:
        return None
    whats = [what for what in ("releases", "moves") if meta.get(f"{what}_reason")]
    untils = [meta.get(f"{what}_until", "") for what in whats]
    reasons = dict.fromkeys(meta[f"{what}_reason"] for what in whats)
    until = min(int(text) for text in untils) if whats and all(text.isdecimal() for text in untils) else None
    return (until, "; ".join(reasons)) if whats else None


def native_name(path: str, symbol: str | None) -> str:
    """The function column of native code: "<libfoo.so: symbol>", "<libfoo.so>"."""
    if not path:
        return NATIVE_UNKNOWN
    library = path.rpartition("/")[2] or path
    return f"<{library}: {symbol}>" if symbol else f"<{library}>"
