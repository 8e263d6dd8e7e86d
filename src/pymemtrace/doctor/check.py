"""The result of one check: what every provider of facts returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# ok: nothing stands in the way; limited: tracing works with less; bad: something cannot work; unknown: not readable.
Verdict = Literal["ok", "limited", "bad", "unknown"]
UNKNOWN = "unknown"
Raw = int | str | bool | None | list[str]


@dataclass(frozen=True)
class Check:
    """A fact in words. raw: the same for programs; sizes are bytes, None is not known."""

    name: str
    value: str
    note: str = ""
    verdict: Verdict = "ok"
    remedy: str = ""
    raw: Mapping[str, Raw] = field(default_factory=dict)


@dataclass(frozen=True)
class Remedy:
    """Something to type, or to write into a configuration, and what it does or where it counts."""

    command: str
    what: str


def unknown(name: str, raw: Mapping[str, Raw], note: str = "") -> Check:
    """The check of a fact that cannot be read."""
    return Check(name, UNKNOWN, note, "unknown", raw=raw)
