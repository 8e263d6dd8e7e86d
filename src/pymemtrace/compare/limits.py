"""Whether a trace stays within limits: of its own numbers, and of those of a baseline.

RSS is the first process's, never summed over processes, whose shared pages would count twice. Through an exec in place
it stays the same process. Owners are those at the peak of RSS, summed over the processes of the trace, each page once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pymemtrace.compare import owners, runs
from pymemtrace.errors import UsageError
from pymemtrace.report import eventrows, facts, rows
from pymemtrace.report.units import size
from pymemtrace.tracefile import TraceFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymemtrace.compare.owners import Key, Names, Share
    from pymemtrace.report.model import FunctionRow, ProcessRow

_SUGGESTED_FROM = 5000  # names; more take too long to compare


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes; None: no limit. owners: what an owner, by name, may have; total: with everything called."""

    peak: int | None = None
    growth: int | None = None
    owners: tuple[tuple[str, int], ...] = ()
    total: bool = False


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much more than in a baseline is allowed: a share (0.05) of it, or `floor` bytes if that is more.

    top: how many of the largest functions are compared.
    """

    share: float = 0.05
    floor: int = 1 << 20
    top: int = 10

    def limit(self, baseline: int) -> int:
        """The highest value allowed, bytes."""
        return baseline + max(int(max(baseline, 0) * self.share), self.floor)


@dataclass(frozen=True, slots=True)
class Finding:
    """One value and its limit, bytes.

    kind: "peak", "growth" or "owner"; name: the owner's; baseline: the highest of the baselines, None: the limit was
    given.
    """

    kind: str
    name: str | None
    value: int
    limit: int
    limit_name: str  # the option that it comes from
    baseline: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked. warnings: what a reader must know, whatever the result."""

    trace: str
    processes: int
    findings: list[Finding]
    warnings: list[str]

    @property
    def ok(self) -> bool:
        """Whether all limits are kept."""
        return all(finding.passed for finding in self.findings)


class Measured:
    """A trace's values. Raises as TraceFile, UsageError where they are not known."""

    def __init__(self, path: str) -> None:
        self.trace = TraceFile(path, None, "peak")
        runs.require_recorded(self.trace)

    @property
    def peak(self) -> int:
        """RSS at most."""
        return max(row.rss.peak or 0 for row in self._images())

    @property
    def growth(self) -> int:
        """RSS at the end less RSS at the start."""
        start, end = self.trace.rss.start, self._images()[-1].rss.end
        if start is None or end is None:
            which = "start" if start is None else "end"
            raise UsageError(f"{self.trace.path}: RSS at the {which} is not in this trace: its growth is not known")
        return end - start

    def _images(self) -> "list[ProcessRow]":
        """The first process, then what took its place by an exec."""
        processes, result = self.trace.processes, self.trace.result
        last = facts.last_image(result, facts.root(result))
        number = next(at for at, process in enumerate(result["processes"]) if process is last)
        return [row for row in processes[: number + 1] if row.pid == processes[0].pid]

    def functions(self, total: bool) -> "dict[Key, Share]":
        """What each function has at the peak."""
        return owners.shares(self.trace, "function", total)


def check(measured: Measured, limits: Limits, baselines: Sequence[Measured], tolerance: Tolerance) -> Verdict:
    """Check a trace against limits, and against the highest of the baselines."""
    trace = measured.trace
    traces = [trace, *(baseline.trace for baseline in baselines)]
    about_owners = bool(limits.owners or (baselines and tolerance.top))
    findings, warnings = [], [text for each in traces for text in _missing(each, about_owners)]
    if limits.peak is not None:
        findings.append(Finding("peak", None, measured.peak, limits.peak, "--max-peak"))
    if limits.growth is not None:
        findings.append(Finding("growth", None, measured.growth, limits.growth, "--max-growth"))
    if limits.owners:
        found, unknown = _owner_findings(trace, limits)
        findings += found
        warnings += unknown
    if baselines:
        found = _against(measured, baselines, tolerance, limits.total)
        findings += found
        warnings += [text for baseline in traces[1:] for text in _differences(trace, baseline)]
        warnings += _coarse(traces, found)
    return Verdict(trace.path, len(trace.processes), findings, warnings)


def _missing(trace: TraceFile, about_owners: bool) -> list[str]:
    texts = runs.missing(trace) if about_owners else runs.missing_rss(trace)
    return [f"{trace.path}: {text}" for text in texts]


# ---- owners by name ----


def _owner_findings(trace: TraceFile, limits: Limits) -> tuple[list[Finding], list[str]]:
    if trace.engine.name == "none":
        why = trace.engine.reason or "no reason was recorded"
        raise UsageError(f"{trace.path}: --max-owner cannot be checked: no engine gave memory to owners ({why})")
    names = owners.Names(trace)
    findings, warnings = [], []
    for name, limit in limits.owners:
        value = _named(trace, names, name, limits.total)
        if value is None:
            warnings.append(
                f"{trace.path}: {name} owns nothing in this trace: is it misspelt, or did it touch no memory?"
                f"{_suggestion(trace, names, name)}"
            )
        else:
            findings.append(Finding("owner", name, value, limit, "--max-owner"))
    return findings, warnings


def _named(trace: TraceFile, names: "Names", name: str, total: bool) -> int | None:
    """Bytes of the function, module or file of this name, in this order; None: it does not occur."""
    for matches in _kinds(names, name):
        # Rows of the whole run: who had memory before and none at the peak does occur.
        if not any(matches(file, function) for file, function in _everyone(trace)):
            continue
        if total:
            frames = trace.result["frames"]
            native = sum(r.self_bytes for r in trace.by_function if _is_row_native(r) and matches(r.file, r.function))
            sums = owners.totals(trace, _one_owner(frames, matches))
            return native + sums.get((), 0)
        return sum(r.self_bytes for r in trace.by_function if matches(r.file, r.function))
    return None


def _is_row_native(row: "FunctionRow") -> bool:
    return owners.is_native(row.file, row.function)


def _one_owner(
    frames: Sequence[tuple[str, int, str, int]], matches: "Callable[[str, str], bool]"
) -> "Callable[[int], Key | None]":
    """For `owners.totals`: all frames that match are one."""

    def name(number: int) -> "Key | None":
        if number < 0:
            return None
        file, _line, function, _first = frames[number]
        return () if matches(file or facts.UNKNOWN, function or facts.UNKNOWN) else None

    return name


def _kinds(names: "Names", name: str) -> "list[Callable[[str, str], bool]]":
    """What a name may mean."""
    return [
        lambda file, function: function_name(names, file, function) == name,
        lambda file, function: names.module(file, function) == name,
        lambda file, _function: eventrows.is_file(file, name),
    ]


def function_name(names: "Names", file: str, function: str) -> str:
    """module:function; of native code its name alone, which has the library."""
    return function if owners.is_native(file, function) else f"{names.module(file)}:{function}"


def _everyone(trace: TraceFile) -> list[tuple[str, str]]:
    """File and name of each function, also of those without memory at the peak."""
    native = [(row.file, row.function) for row in trace.by_function if _is_row_native(row)]
    return native + [(row.file, row.function) for row in rows.function_rows(trace.result, [])]


def _suggestion(trace: TraceFile, names: "Names", name: str) -> str:
    """A name that may have been meant."""
    known = [function_name(names, file, function) for file, function in _everyone(trace)[:_SUGGESTED_FROM]]
    modules = [row.module for row in trace.by_module[:_SUGGESTED_FROM]]
    function = name.rpartition(":")[2]
    same = [n for n in known if n.endswith(f":{function}")]
    close = same or get_close_matches(name, known if ":" in name else modules, 1)
    return f" It has {close[0]}." if close else ""


# ---- the baseline ----


def _against(measured: Measured, baselines: Sequence[Measured], tolerance: Tolerance, total: bool) -> list[Finding]:
    values: list[tuple[str, str | None, int, int]] = [
        ("peak", None, measured.peak, max(baseline.peak for baseline in baselines)),
        ("growth", None, measured.growth, max(baseline.growth for baseline in baselines)),
    ]
    if tolerance.top and all(m.trace.engine.name != "none" for m in (measured, *baselines)):
        mine, theirs = measured.functions(total), [baseline.functions(total) for baseline in baselines]
        names = owners.Names(measured.trace)
        for key in sorted(mine, key=lambda key: (-mine[key].bytes, key))[: tolerance.top]:
            owner = mine[key].owner
            before = max(shares[key].bytes if key in shares else 0 for shares in theirs)
            values.append(("owner", function_name(names, owner.file, owner.name), mine[key].bytes, before))
    return [
        Finding(kind, name, value, tolerance.limit(before), "--baseline", before)
        for kind, name, value, before in values
    ]


def _differences(trace: TraceFile, baseline: TraceFile) -> list[str]:
    texts = []
    mine, theirs = trace.engine.name, baseline.engine.name
    if mine != theirs:
        texts.append(f"{trace.path}: engine {mine}, the baseline's is {theirs}: owners may differ by that alone")
    if trace.python != baseline.python:
        texts.append(f"{trace.path}: Python {trace.python}, the baseline's is {baseline.python}")
    return texts


def _coarse(traces: Sequence[TraceFile], findings: Sequence[Finding]) -> list[str]:
    """That owners above the baseline may be so by chance."""
    if all(finding.passed or finding.kind != "owner" for finding in findings):
        return []
    periods = [trace.engine.period for trace in traces]
    timer = [trace.path for trace in traces if trace.engine.name == facts.TIMER]
    if timer:
        return [f"{timer[0]}: of the timer engine, so owners differ between runs by chance: --owners 0 leaves them out"]
    if max(periods) <= 1:
        return []
    return [
        f"{traces[periods.index(max(periods))].path}: recorded down to one fault in {max(periods)}, so owners differ "
        "between runs by chance: trace with `run --exact`, or give several runs as --baseline"
    ]


# ---- in words ----


def value_text(finding: Finding) -> str:
    """What was found: "peak 12.3 MiB"."""
    return f"{finding.name or finding.kind} {size(finding.value)}"


def reason(finding: Finding) -> str:
    """Why a limit is not kept, in one line."""
    what = {"peak": "RSS at most", "growth": "RSS at the end less RSS at the start"}.get(finding.kind)
    what = what or f"{finding.name} holds at the peak"
    over = size(finding.value - finding.limit)
    if finding.baseline is None:
        return f"{what}: {size(finding.value)}, {over} more than {finding.limit_name} {size(finding.limit)}"
    return (
        f"{what}: {size(finding.value)}, {over} more than allowed: baseline {size(finding.baseline)}, "
        f"limit {size(finding.limit)}"
    )
