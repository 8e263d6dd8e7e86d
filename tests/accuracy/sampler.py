"""sampler.py LAUNCHER: prints the highest RSS in bytes that the launcher's child ever had, read every millisecond."""

import os
import sys
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def child_of(launcher: str) -> str:
    """Its first one; "" once the launcher has gone without any."""
    path = Path(f"/proc/{launcher}/task/{launcher}/children")
    while True:
        try:
            found = path.read_text().split()
        except OSError:
            return ""
        if found:
            return found[0]
        time.sleep(0.001)


def highest_of(pid: str) -> int:
    """Until it has gone; its memory goes before its entry in /proc does."""
    highest = 0
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as statm:
            while pages := int(statm.read(100).split()[1]):
                highest = max(highest, pages * PAGE)
                statm.seek(0)
                time.sleep(0.001)
    except (OSError, IndexError):
        pass
    return highest


if __name__ == "__main__":
    print(highest_of(child_of(sys.argv[1])))
