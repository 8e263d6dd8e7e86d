"""Makes `from oracle import encode, pmt, synth` work from every test."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["stress/beside"]  # run by the tests of the standard library, not beside them

# Started under nohup, in the background of a script or by a runner that ignores them, every program here would ignore
# these signals too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
