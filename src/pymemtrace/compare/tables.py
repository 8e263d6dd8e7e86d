"""What `pymemtrace diff` prints."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from pymemtrace.compare.diff import Comparison, Part, Row
from pymemtrace.compare.runs import Asked, Run
from pymemtrace.report import header
from pymemtrace.report.calls import signed
from pymemtrace.report.console import rows_table
from pymemtrace.report.text import Shortener, clean, label, location
from pymemtrace.report.units import count, duration, kib, size

# What happened to an owner, in the order of the titles.
_WORDS = ("new", "gone", "grew", "shrank")
_STYLES = {"new": "red", "grew": "red", "gone": "green", "shrank": "green"}
_PARTS = {"before_start": "before start", "left_out": "left out"}
_NOTE_LIMIT = 1000
_TIMES = {"peak": "when RSS was highest", "end": "at the end"}


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """top: rows a table, 0 for all; min_change: bytes below which changes are not shown; full_paths: do not shorten."""

    top: int = 15
    min_change: int = 0
    full_paths: bool = False


def report(found: Comparison, asked: Asked, options: DiffOptions) -> list[RenderableType]:
    """Everything that `pymemtrace diff` prints, in order."""
    parts: list[RenderableType] = [*_side("base", found.base), *_side("new", found.new), *_shown(asked)]
    parts += [Text(label(note, _NOTE_LIMIT), style="yellow") for note in found.notes]
    if not found.repeated:
        parts.append(
            Text(
                "one run a side: what differs by chance is not known; give several (--base ... --new ...)", style="dim"
            )
        )
    parts += _books(found, asked)
    for kind, rows in found.rows.items():
        parts += _owners(found, kind, rows, asked, options)
    return [*parts, Text(""), _closing(found, asked)]


# ---- the head ----


def _side(name: str, runs: Sequence[Run]) -> list[Text]:
    """A side's files with what was measured; what all of them share once."""
    lines = [Text.assemble((f"{name:<4}", "bold"), "  ", _file_text(runs[0]))]
    lines += [Text(f"      {_file_text(run)}") for run in runs[1:]]
    commands = dict.fromkeys(header.command_text(run.command) for run in runs)
    facts = dict.fromkeys(_facts_text(run) for run in runs)
    return lines + [Text(f"      {text}") for text in (*commands, *facts)]


def _file_text(run: Run) -> str:
    peak, end = header.peak_text(run.rss), "unknown" if run.rss.end is None else size(run.rss.end)
    return f"{label(run.path)}: peak {peak}, end {end}, ran {duration(round(run.duration_s * 1e9))}"


def _facts_text(run: Run) -> str:
    period = f", down to one in {run.engine.period}" if run.engine.period > 1 else ""
    return label(f"{run.python or 'Python unknown'}, engine {run.engine.name}{period}")


def _shown(asked: Asked) -> list[Text]:
    if asked.at is None:
        what = "touched: memory handed out, also what was given back later"
    elif isinstance(asked.at, str):
        what = f"resident {_TIMES.get(asked.at, f'when the snapshot {asked.at!r} was taken')}"
    else:
        what = f"resident after {asked.at:g} s"
    what += ", with everything called" if asked.total else ""
    return [Text.assemble(("shown", "bold"), " ", clean(what))]


# ---- the books ----


def _books(found: Comparison, asked: Asked) -> list[RenderableType]:
    whole = _whole(asked)
    names = ["base", "new", "change"] + (["spread"] if found.repeated else []) + [f"part of {whole}"]
    table = rows_table(names, len(names) - 1)
    for part in (*found.parts, found.whole):
        name = whole if part is found.whole else _PARTS.get(part.name, part.name)
        cells = [kib(part.base), kib(part.new), _signed_kib(part.change)]
        cells += [kib(part.bytes.spread)] if found.repeated else []
        noise = part.bytes.within_noise and part.change != 0
        table.add_row(*cells, Text(f"{name}, within noise" if noise else name), style=_part_style(part, found, noise))
    return [Text(""), Text(f"What {whole} consists of", style="bold underline"), Text(""), table]


def _part_style(part: Part, found: Comparison, noise: bool) -> str:
    style = "bold" if part is found.whole else ""
    return f"{style} dim" if noise else style


def _whole(asked: Asked) -> str:
    return "touched" if asked.at is None else "RSS"


def _signed_kib(change: int) -> str:
    return f"+{kib(change)}" if change > 0 else kib(change)


# ---- the owners ----


def _owners(found: Comparison, kind: str, rows: list[Row], asked: Asked, options: DiffOptions) -> list[RenderableType]:
    changed = [row for row in rows if row.bytes.change]
    large = [row for row in changed if abs(row.bytes.change) >= options.min_change]
    shown = large[: options.top] if options.top else large
    title = [Text(""), Text(_title(kind, asked), style="bold underline"), Text(_extent(rows), style="dim"), Text("")]
    if not shown:
        return [*title[:-1], *_rest(rows, shown, asked, found)]
    place = {"line": ["function", "file:line"], "function": ["function", "file:first line"]}.get(kind)
    named = place or ([kind, "file"] if kind == "module" else [kind])
    numbers = ["change", "base", "new"] + (["spread"] if found.repeated else [])
    table = rows_table([*numbers, "", *named], len(numbers))
    table.columns[len(numbers)].no_wrap = True
    for row in shown:
        b = row.bytes
        cells = [signed(b.change), size(b.base.median), size(b.new.median)]
        cells += [size(b.spread)] if found.repeated else []
        word = Text("noise", style="dim") if b.within_noise else Text(b.status, style=_STYLES[b.status])
        names = [Text(label(row.owner.name))]
        names += [] if kind == "thread" else [Text(_place(found, row, options))]
        table.add_row(*cells, word, *names, style="dim" if b.within_noise else "")
    return [*title, table, *_rest(rows, shown, asked, found)]


def _title(kind: str, asked: Asked) -> str:
    return f"{'Touched' if asked.at is None else 'Resident'} by {kind}: what changed"


def _extent(rows: list[Row]) -> str:
    """How many owners did what."""
    words = Counter("noise" if r.bytes.within_noise and r.bytes.change else r.bytes.status for r in rows)
    texts = [f"{words[word]:,} {word}" for word in _WORDS if words[word]]
    texts += [f"{words['noise']:,} within the noise"] if words["noise"] else []
    return ", ".join([*texts, f"{words['same']:,} unchanged"])


def _rest(rows: list[Row], shown: list[Row], asked: Asked, found: Comparison) -> list[Text]:
    """What the table leaves out, and what all rows add up to."""
    left = [row.bytes.change for row in rows if row.bytes.change][len(shown) :]
    texts = []
    if left:
        rest = "" if asked.total else f": {_signed_kib(sum(left))} in all"
        texts.append(f"{count(len(left), 'more change')}{rest} (-n 0 --min-change 0 shows all)")
    if not asked.total and not found.repeated:
        texts.append(f"all changes add up to {_signed_kib(sum(row.bytes.change for row in rows))}")
    return [Text(text, style="dim") for text in texts]


def _place(found: Comparison, row: Row, options: DiffOptions) -> str:
    """Where the owner is; of a line that moved, both numbers."""
    new = any(row.bytes.new.runs)
    run = (found.new if new else found.base)[0]
    shorten = Shortener([]) if options.full_paths else run.shorten
    was, line = row.base_owner, row.owner.line
    place = location(label(shorten(row.owner.file)), line)
    moved = row.owner.kind == "line" and was is not None and was.line not in (None, line)
    return f"{place} (was {was.line})" if moved and was else place


# ---- the end ----


def _closing(found: Comparison, asked: Asked) -> Text:
    """The difference of RSS and its parts, in whole KiB so that it can be added up by hand."""
    parts = [f"{_PARTS.get(p.name, p.name)} {_signed_kib(p.change)}" for p in found.parts]
    whole = found.whole
    noise = " (within the noise)" if found.repeated and whole.bytes.within_noise else ""
    line = f"{_whole(asked)} {size(whole.base)} -> {size(whole.new)}{noise}: {_signed_kib(whole.change)}"
    return Text(f"{line} = {', '.join(parts)}", style="bold")
