"""What tracing can do on this machine, for this user and interpreter: the facts behind `pymemtrace doctor`.

A check looks at one fact and never fails: what cannot be read is "unknown". An engine is tried in a child process.
"""

from pymemtrace.doctor.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
