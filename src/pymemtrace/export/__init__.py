"""Traces in the formats of other tools: one module a format, all of them named in formats.py.

A format's module has `write(request, out)`; it is imported when that format is asked for. What several formats need is
in stacks.py (who holds what, by stack and thread), tables.py (the trace as tables) and proto.py (protocol buffers).
"""
