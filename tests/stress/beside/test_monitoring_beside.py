"""The standard library's test_monitoring, for a run in which a tool may have events already.

Its tests begin by asserting that no tool has any. Here that does not count pymemtrace's, whose number none of the tests
uses, and a test that fails leaves nothing to the next one. Run bare it is the same tests.
"""

import sys

from test import test_monitoring as tests
from test.test_monitoring import *  # noqa: F403

monitoring = sys.monitoring
OURS = [tool for tool in range(6) if monitoring.get_tool(tool) == "pymemtrace"]
MASK = sum(1 << tool for tool in OURS)
tests.TEST_TOOL2, tests.TEST_TOOL3 = 4, 5

_get_events, _all_events, _set_up = monitoring.get_events, monitoring._all_events, tests.MonitoringTestBase.setUp


def _others_events():
    return {event: tools & ~MASK for event, tools in _all_events().items() if tools & ~MASK}


def _free_all():
    for tool in range(6):
        if tool not in OURS and monitoring.get_tool(tool) is not None:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)


def _set_up_and_clean(self):
    self.addCleanup(_free_all)
    _set_up(self)


monitoring.get_events = lambda tool: 0 if tool in OURS else _get_events(tool)
monitoring._all_events = _others_events
tests.MonitoringTestBase.setUp = _set_up_and_clean
