"""Shows the screen until a key, a signal or the end of the program takes it away."""

import os
import signal
import sys
import time
from collections.abc import Callable

from pymemtrace.live.feed import Feed
from pymemtrace.live.screen import KINDS, SORTS, Choice, Reading, Screen
from pymemtrace.live.terminal import Terminal
from pymemtrace.live.view import View
from pymemtrace.report.console import make_console

_TICK = 1.0  # seconds; RSS is shown anew that often, also where the trace is read more seldom
_LOOK = 0.25  # seconds from one look to the next whether the program has ended

QUIT, ENDED = "q", ""  # why the screen has gone; else the name of a signal


def show(terminal: Terminal, feed: Feed, ended: Callable[[], bool], full_paths: bool) -> str:
    """Returns why it has ended: QUIT, ENDED, or the name of a signal. ended: whether the program has."""
    screen = Screen(make_console(sys.stdout), full_paths)
    choice, view, drawn = Choice(), None, 0.0
    with terminal:
        while True:
            if drawn + _TICK <= time.monotonic() or drawn == 0.0:
                _draw(terminal, screen, feed, view, choice)
                drawn = time.monotonic()
            keys, signals = terminal.wait(feed.ready, min(drawn + _TICK - time.monotonic(), _LOOK))
            for number in signals:
                if number == signal.SIGTSTP:
                    terminal.suspend()
                elif number != signal.SIGWINCH:
                    return signal.Signals(number).name
            if "q" in keys:
                return QUIT
            _obey(keys, choice, feed)
            new = feed.take()
            if new is not None and not choice.paused:
                view = new
            if new is not None or keys or signals:
                drawn = 0.0
            if ended() or feed.problem is not None or (view is not None and _is_over(view)):
                return ENDED


def _obey(keys: str, choice: Choice, feed: Feed) -> None:
    for key in keys:
        if key == "s":
            choice.sort = SORTS[(SORTS.index(choice.sort) + 1) % len(SORTS)]
        elif key == "b":
            choice.by = KINDS[(KINDS.index(choice.by) + 1) % len(KINDS)]
        elif key == "p":
            choice.paused = not choice.paused
            feed.pause(choice.paused)


def _is_over(view: View) -> bool:
    """Whether the trace is, or that of the one process."""
    trace = view.trace
    mine = [row for row in trace.processes if row.pid == trace.pid]
    return trace.complete or bool(mine) and mine[-1].end_ns is not None


def _draw(terminal: Terminal, screen: Screen, feed: Feed, view: View | None, choice: Choice) -> None:
    before = time.thread_time()
    try:
        size = os.path.getsize(feed.path)
    except OSError:
        size = 0
    terminal.draw(screen.lines(view, choice, Reading(feed.interval, feed.cost, size)))
    feed.drawing = time.thread_time() - before
