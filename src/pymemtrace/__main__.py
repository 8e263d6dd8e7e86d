"""`python -m pymemtrace` is the same as `pymemtrace`."""

import sys

from pymemtrace.cli import main

if __name__ == "__main__":
    sys.exit(main())
