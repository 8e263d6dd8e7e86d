"""Tests of the standard library that look at the very facility: they come out otherwise while events are recorded.

From 3.12 on they come out so beside any tool of sys.monitoring with the same events, if all it does is nothing.
"""

from __future__ import annotations

import sys

SUBTEST = "(a subtest failed)"  # the only name of a case that fails in a subtest

QUICKENED = "looks for instructions that the interpreter has specialised: it specialises none where there are hooks"
SWITCHING_ON = "is told of the end of the C call that switches its own events on, because that call was told of to us"
STOP_ITERATION = "waits for the StopIteration that ends a loop, of which CPython tells nobody at an instrumented line"

_DIS = ["binary_specialize", "call_specialize", "load_attr_specialize", "loop_quicken"]
_MONITORING = [
    "MonitoringCountTest.test_c_return_count",
    "SimulateProfileTest.test_frame_stack",
    "TestLoadSuperAttr.test_attr",
    "TestLoadSuperAttr.test_method_call",
    "TestLoadSuperAttr.test_method_call_error",
    "TestLoadSuperAttr.test_vs_other_type_call",
    "TestManyEvents.test_c_call",
    "TestManyEvents.test_simple",
    "TestManyEvents.test_try_except",
]


def asked_for(options: str) -> dict[str, str]:
    """The names of those cases with these options of `run`, and why."""
    c_calls, lines, version = "--no-c-calls" not in options, "--lines" in options, sys.version_info[:2]
    dis, monitoring = list(_DIS), {}
    if version >= (3, 12):
        dis.append("super_instructions")
    if version == (3, 12) and c_calls:
        dis.append("show_caches")
    if c_calls:
        monitoring |= dict.fromkeys(_MONITORING, SWITCHING_ON)
        monitoring["ExceptionMonitoringTest.test_no_unwind_for_shim_frame"] = QUICKENED
    if lines:
        monitoring["ExceptionMonitoringTest.test_implicit_stop_iteration"] = STOP_ITERATION
    known = {
        f"test.test_dis.{kind}.test_{name}": QUICKENED for kind in ("DisTests", "DisWithFileTests") for name in dis
    }
    known |= {f"test.test_monitoring.{name}": reason for name, reason in monitoring.items()}
    if version >= (3, 13) and c_calls:
        known["test.test_sys_setprofile.TestEdgeCases.test_method_with_c_function"] = SWITCHING_ON
    return known
