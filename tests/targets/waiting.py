"""Say "ready" and wait for a signal: waiting.py default|handled|caught"""

import signal
import sys
import time

if sys.argv[1] == "handled":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(5))

try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    if sys.argv[1] != "caught":
        raise
    print("caught", flush=True)
    sys.exit(6)
