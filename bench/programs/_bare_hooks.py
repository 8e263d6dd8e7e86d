"""Runs a program, untraced, with hooks of the interpreter: `_bare_hooks.py STEP LINES C_CALLS PROGRAM`, the second and
third 0 or 1. STEP is that of hooks_on, 1: they do nothing, 6: they read the clock and write 8 bytes, and RSS is read
every 20 us.

What no tracer that the interpreter tells of each event, and none that says when each was and what RSS was, can be
faster than.
"""

import os
import runpy
import sys

from pymemtrace import _capture

step, lines, c_calls = map(int, sys.argv[1:4])
program, *_ = sys.argv = sys.argv[4:]
sys.path.insert(0, os.path.dirname(program))
reason = _capture.hooks_on(lines, c_calls, False, False, [], [], "/none/", step)
if reason is not None:
    raise SystemExit(f"no hooks: {reason}")
runpy.run_path(program, run_name="__main__")
_capture.hooks_off()
