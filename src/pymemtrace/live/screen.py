"""The lines of the screen, from a view and what the keys have chosen."""

from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from pymemtrace.live.view import GROWTH_S, Row, View, resident
from pymemtrace.report import curve, facts, header, timeline_curve
from pymemtrace.report.calls import signed
from pymemtrace.report.console import BAR_WIDTH, Bars
from pymemtrace.report.curve import Canvas, Curve
from pymemtrace.report.text import Shortener, clean, label, location
from pymemtrace.report.units import duration, share, size

SORTS = ("resident", "growth", "touched")
KINDS = ("line", "function", "module")
_SLOW = 2.0  # seconds from reading to reading of which the screen says why
_CURVE_LINES = (6, 16)  # the least that a curve has, and the most
_CURVE_FROM, _WHO_FROM = 15, 24  # lines of a terminal with room for the curve, and for all else
_FRAME = 10  # lines besides the curve and the owners
_BAR = "bar"
_MORE = {"share": 7, _BAR: BAR_WIDTH, "growth": 12, "touched": 10}  # columns beside that of what is resident: widths
_WIDE = 80  # columns of a terminal with room for all of them and a name; else there is that by which rows are sorted


@dataclass
class Choice:
    """What the keys have chosen."""

    sort: str = SORTS[0]
    by: str = KINDS[0]
    paused: bool = False


@dataclass(frozen=True)
class Reading:
    """How the trace is read: seconds from one time to the next, and of CPU that it takes."""

    interval: float
    cost: float
    trace_bytes: int


class Screen:
    """What draws. full_paths: file names are not shortened."""

    def __init__(self, console: Console, full_paths: bool) -> None:
        self._console = console
        self._full_paths = full_paths

    def lines(self, view: View | None, choice: Choice, reading: Reading) -> list[str]:
        """As many as the terminal has, each as wide as it at most, with colours."""
        width, height = self._console.size
        if view is None:
            texts = [Text("waiting for the first block of the trace ..."), Text("q quit", style="dim")]
        else:
            texts = self._texts(view, choice, reading, width, height)
        return [self._written(text, width) for text in texts[:height]]

    def _texts(self, view: View, choice: Choice, reading: Reading, width: int, height: int) -> list[Text]:
        space = max(height - _FRAME, 0)
        tall = min(max(space // 2, _CURVE_LINES[0]), _CURVE_LINES[1])
        texts = self._head(view, choice)
        texts += self._curve(view, choice, width, tall) if height >= _CURVE_FROM else []
        below = [*(self._who(view, choice) if height >= _WHO_FROM else []), self._foot(choice, reading, width)]
        rows = max(height - len(texts) - len(below) - 1, 0)
        texts += self._owners(view, choice, rows, width)
        return [*texts, *[Text("")] * (height - len(texts) - len(below)), *below]

    def _head(self, view: View, choice: Choice) -> list[Text]:
        trace = view.trace
        found = next((p for p in trace.processes if trace.pid in (None, p.pid)), None)
        command = header.command_text(found.command if trace.pid is not None and found else trace.command)
        pid = f"process {found.pid}  " if found else ""
        state = ("PAUSED", "bold reverse") if choice.paused else ""
        title = Text.assemble(
            state, " " if choice.paused else "", f"{duration(view.times[-1])}  ", (f"{pid}{command}", "bold")
        )
        now = sum(resident(row.pid) or 0 for row, _rss in view.processes) if not choice.paused else 0
        shown = size(now or sum(rss for _row, rss in view.processes))
        words: list[str | tuple[str, str]] = ["RSS ", (shown, "bold")]
        if len(view.processes) > 1:
            words.append(f" in {len(view.processes):,} processes, what they share counted in each")
        usage, limit = view.cgroup
        if usage is not None:
            words.append(f"   container {size(usage)}")
            words.append(f" of {size(limit)} ({share(usage, limit)})" if limit else ", no limit")
        engine = facts.engine_text(*facts.engine_of(trace.result))
        return [title, Text.assemble(*words, (f"   engine {clean(engine)}", "dim"))]

    def _curve(self, view: View, choice: Choice, width: int, tall: int) -> list[Text]:
        found = view.history(choice.by)
        shown = timeline_curve.curve_of(found)
        ascii_only = self._console.options.ascii_only
        canvas = Canvas(
            width, max((tall - 3) // 2 * 2, curve.LEAST_HEIGHT), timeline_curve.colour_of(self._console), ascii_only
        )
        return curve.draw(Curve(shown.times, shown.values, shown.layers, 0.0, max(view.now_s, 0.1)), canvas)

    def _owners(self, view: View, choice: Choice, most: int, width: int) -> list[Text]:
        rows = sorted(view.rows(choice.by), key=lambda row: (-getattr(row, choice.sort), -row.resident, row.owner.text))
        rows = [row for row in rows if row.resident or row.growth or choice.sort == "touched"][:most]
        shown = [name for name in _MORE if width >= _WIDE or name == choice.sort]
        titles = {"growth": f"last {GROWTH_S} s", _BAR: ""}
        marked = {name: ">" * (name == choice.sort) + titles.get(name, name) for name in ("resident", *shown)}
        head = [f"{marked['resident']:>15}", *(f"{marked[name]:>{_MORE[name]}}" for name in shown), choice.by]
        whole = sum(rss for _row, rss in view.processes)
        keys = {owner: at for at, owner in enumerate(view.history(choice.by).who)}
        shorten = header.shortener(view.trace, self._full_paths)
        lines = [self._owner(row, whole, keys.get(row.owner), shown, shorten) for row in rows]
        return [Text("  ".join(head), style="bold"), *lines]

    def _owner(self, row: Row, whole: int, layer: int | None, shown: list[str], shorten: Shortener) -> Text:
        key = Text("    ")
        if layer is not None:
            key = timeline_curve.key(timeline_curve.layers(layer + 1)[-1], timeline_curve.blocks_of(self._console))
            key.pad_left(4 - len(key.plain))
        cells = {
            "share": Text(share(row.resident, whole)),
            _BAR: Bars(self._console.options.ascii_only).text(row.resident, whole),
            "growth": Text(signed(row.growth)),
            "touched": Text(size(row.touched)),
        }
        line = key.append(f"{size(row.resident):>11}  ")
        for name in shown:
            cells[name].pad_left(_MORE[name] - len(cells[name].plain))
            line.append(cells[name]).append("  ")
        place = location(label(shorten(row.owner.file)), row.owner.line) if row.owner.file else ""
        return Text.assemble(line, (label(row.owner.name), "bold"), "  ", place)

    def _who(self, view: View, choice: Choice) -> list[Text]:
        """Threads and processes, the largest first, as many as fit into a line."""
        threads = [f"{label(name)} {tid} {size(held)}" for tid, name, held in view.threads]
        processes = [f"{row.pid} {size(rss)} {header.command_text(row.command)}" for row, rss in view.processes]
        lines = [(f"{len(threads):,} thread{'s' * (len(threads) != 1)} with memory", threads)]
        if len(processes) > 1:
            lines.append((f"{len(processes):,} processes", processes))
        texts = [Text.assemble((f"{title}: ", "bold"), " · ".join(items)) for title, items in lines]
        return [self._base(view, choice), *texts, Text(clean(view.note), style="dim")]

    def _base(self, view: View, choice: Choice) -> Text:
        """What the layers hold that are no owner's."""
        found = view.history(choice.by)
        owners = len(found.who)
        values = timeline_curve.heights(found.points[-1], owners)
        blocks = timeline_curve.blocks_of(self._console)
        text = Text()
        for layer, name, value in zip(timeline_curve.layers(0), timeline_curve.BASE_NAMES, values, strict=False):
            text.append("   " if text else "").append(timeline_curve.key(layer, blocks)).append(
                f" {name} {size(value)}"
            )
        return text

    def _foot(self, choice: Choice, reading: Reading, width: int) -> Text:
        pause = "go on" if choice.paused else "pause"
        keys = f" q quit (the program goes on)  s sort: {choice.sort}  b by: {choice.by}  p {pause}"
        text = Text(keys, style="reverse")
        every = f"read every {reading.interval:.1f} s"
        if reading.interval >= _SLOW:
            every = f"the trace is large ({size(reading.trace_bytes)}, {reading.cost:.1f} s to read): {every}"
        room = width - len(keys) - len(every)
        return text.append(" " * room + every if room > 1 else " " * max(width - len(keys), 0))

    def _written(self, text: Text, width: int) -> str:
        text.truncate(width, overflow="ellipsis")
        with self._console.capture() as capture:
            self._console.print(text, end="", no_wrap=True, overflow="crop", soft_wrap=True)
        return capture.get()
