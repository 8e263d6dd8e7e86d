"""Copy stdin to stdout and, in upper case, to stderr."""

import sys

data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data)
sys.stderr.buffer.write(data.upper())
