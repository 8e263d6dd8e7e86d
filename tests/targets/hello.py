"""Touch a little memory, say hello."""

import os
import sys


def touch_pages():
    return bytearray(b"x" * (4 << 20))


kept = touch_pages()
print("hello from", os.getpid())
print("to stderr", file=sys.stderr)
