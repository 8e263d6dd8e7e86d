"""Compares traces: `owners` says what the same owner is in another trace, `runs` what is kept of each, `diff` what
changed between two sides, `limits` whether a trace stays within limits. All as data; `tables` and `objects` show it.
"""
