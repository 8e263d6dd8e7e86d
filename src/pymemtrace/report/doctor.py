"""The text and the JSON object of `pymemtrace doctor`."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.text import Text

from pymemtrace import __version__
from pymemtrace.doctor.check import Check
from pymemtrace.doctor.diagnosis import Diagnosis
from pymemtrace.doctor.engines import Engine
from pymemtrace.report.text import clean

SCHEMA = 1
_STYLES = {"ok": "green", "limited": "yellow", "bad": "bold red", "unknown": "dim"}
_MARK_WIDTH = max(map(len, _STYLES))


def report(found: Diagnosis) -> list[Text]:
    """Everything that `pymemtrace doctor` prints, in order."""
    machine = found.machine
    parts = [
        Text(
            f"pymemtrace {__version__} on {clean(machine.system)} {clean(machine.release)}, "
            f"{clean(machine.architecture)}, as user {machine.user}"
        )
    ]
    width = max(len(check.name) for checks in found.sections.values() for check in checks)
    for title, checks in found.sections.items():
        parts += [Text(""), Text(title.capitalize(), style="bold")]
        for check in checks:
            parts += _check_lines(check, width)
    parts += [Text(""), Text("Engines", style="bold")]
    for engine in found.engines:
        parts += _engine_lines(engine, width)
    return [*parts, Text(""), _closing(found)]


def json_object(found: Diagnosis) -> dict[str, Any]:
    """The object of `pymemtrace doctor --json`. Sizes are bytes; null: unlimited or not known."""
    machine = found.machine
    return {
        "schema": SCHEMA,
        "pymemtrace": __version__,
        "system": machine.system,
        "kernel": machine.release,
        "architecture": machine.architecture,
        "user": machine.user,
        "engine": found.engine,
        "engines": [asdict(engine) for engine in found.engines],
        "checks": [{"section": title, **asdict(check)} for title, checks in found.sections.items() for check in checks],
    }


def _check_lines(check: Check, width: int) -> Iterable[Text]:
    text = f"{check.value}; {check.note}" if check.note else check.value
    yield _line(check.verdict, _STYLES[check.verdict], check.name, width, text)
    if check.remedy:
        yield _line("", "", "", width, f"-> {check.remedy}")


def _engine_lines(engine: Engine, width: int) -> Iterable[Text]:
    """Its state, and what would unlock it as two columns: what to type, and what that does."""
    if engine.available:
        text = f"available: {engine.gives}" + (f"; {engine.note}" if engine.note else "")
        yield _line("ok", _STYLES["ok"], engine.name, width, text)
        return
    yield _line("bad", _STYLES["bad"], engine.name, width, f"refused: {engine.reason}")
    column = max((len(remedy.command) for remedy in engine.remedies), default=0)
    for remedy in engine.remedies:
        yield _line("", "", "", width, f"-> {remedy.command:<{column}}  {remedy.what}")


def _line(mark: str, style: str, name: str, width: int, text: str) -> Text:
    return Text.assemble((f"{mark:<{_MARK_WIDTH}}", style), "  ", (f"{name:<{width}}", "bold"), "  ", clean(text))


def _closing(found: Diagnosis) -> Text:
    if found.engine is None:
        return Text("pymemtrace run records RSS over time here, without the lines behind it", style="bold")
    return Text(f"pymemtrace run uses the engine {found.engine} here", style="bold")
