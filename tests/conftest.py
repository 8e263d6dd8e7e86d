"""Makes `from oracle import pmt, synth` work from every test."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Started under nohup or a runner that ignores it, every program here would ignore SIGHUP too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
