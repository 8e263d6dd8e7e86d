"""Runs a program, untraced, with hooks that do nothing: `_empty_hooks.py LINES C_CALLS PROGRAM`, the first two 0 or 1.

What no tracer that the interpreter tells of each event can be faster than.
"""

import os
import runpy
import sys

from pymemtrace import _capture

_EMPTY = 1  # the step of hooks_on

lines, c_calls, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
sys.argv = sys.argv[3:]
sys.path.insert(0, os.path.dirname(program))
reason = _capture.hooks_on(lines, c_calls, False, False, [], [], "/none/", _EMPTY)
if reason is not None:
    raise SystemExit(f"no hooks: {reason}")
runpy.run_path(program, run_name="__main__")
_capture.hooks_off()
