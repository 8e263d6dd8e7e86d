"""Reports on a terminal: colours, bars and the curve; and none of them in a pipe."""

from __future__ import annotations

import json
import re

import pytest

from integration.harness import any_user, cached_trace, cli, need_faults, pymemtrace
from integration.terminal import plain, shown
from pymemtrace.report.console import PIPE_WIDTH

BLOCKS = re.compile("[▁-█▉-▏]")
pytestmark = pytest.mark.skipif(any_user() != "root", reason="one user is enough, and the folder is root's")


def words(text: str) -> list[str]:
    """All but the lines of tables, in an order that does not depend on where names are folded."""
    return sorted("".join(text.replace("─", "").split()))


def path() -> str:
    need_faults(any_user())
    return str(cached_trace("held.py").path)


@pytest.mark.parametrize("verb", ["report", "tree"])
def test_bars_and_colours(verb: str) -> None:
    command = pymemtrace(verb, path())
    text = shown(command)
    assert BLOCKS.search(text)
    assert "\x1b[36m" in text
    assert "\x1b[36m" not in shown(command, NO_COLOR="1")
    assert BLOCKS.search(shown(command, columns=80))
    assert not BLOCKS.search(shown(command, columns=79))
    piped = cli(verb, path()).stdout
    assert "\x1b" not in piped
    assert not BLOCKS.search(piped)
    wide = shown(command, columns=PIPE_WIDTH)
    assert words(BLOCKS.sub("", plain(wide))) == words(piped)


def test_the_curve() -> None:
    found = json.loads(cli("timeline", path(), "--json", "--points", "4").stdout)
    highest = max(point["rss"] for point in found["points"])
    text = shown(pymemtrace("timeline", path(), "--by", "function"))
    marked = re.search(r"peak (\d+\.\d) MiB, 0\.\d+ s", plain(text))
    assert marked
    assert float(marked[1]) == pytest.approx(highest / (1 << 20), rel=0.01)
    assert BLOCKS.search(text)
    assert re.search(r"█ 1 +12\d\.\d MiB +\d+\.\d %.* touch ", plain(text))
    assert re.search(r"\n +0 └┬─+┬", plain(text))
    assert "at peak" in text
    assert re.search(r"RSS [\d.]+ MiB: [\d,]+ KiB = before start", plain(text))
    letters = plain(shown(pymemtrace("timeline", path(), "--by", "function"), NO_COLOR="1"))
    assert not BLOCKS.search(letters)
    assert "11" in letters
    assert all(len(line) <= 70 for line in plain(shown(pymemtrace("timeline", path()), columns=70)).splitlines()[1:18])


def test_the_table_where_it_is_asked_for_and_in_a_pipe() -> None:
    table = plain(shown(pymemtrace("timeline", path(), "--table"), columns=60))
    piped = cli("timeline", path()).stdout
    assert table.split() == piped.split()
    assert "RSS = before + owned" in piped
    assert re.search(r"\nRSS [\d.]+ MiB: [\d,]+ KiB = before start", piped)
    assert "\x1b" not in piped


def test_paths_are_shortened_but_for_full_paths() -> None:
    short = cli("timeline", path()).stdout
    assert re.search(r"^\[1\] \S+ (?!/)\S*held.py:\d+$", short, re.M)
    assert re.search(r"^\[1\] \S+ /.*held.py:\d+$", cli("timeline", path(), "--full-paths").stdout, re.M)
