"""Print "ok" if the kernel lets this user watch its own page faults with signals, else the name of the error."""

import ctypes
import errno
import os
import platform
import struct

PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}[platform.machine()]
DISABLED, EXCLUDE_KERNEL, EXCLUDE_HV, REMOVE_ON_EXEC, SIGTRAP = 1 << 0, 1 << 5, 1 << 6, 1 << 36, 1 << 37


def main() -> None:
    software, page_faults, period = 1, 2, 1
    flags = DISABLED | EXCLUDE_KERNEL | EXCLUDE_HV | REMOVE_ON_EXEC | SIGTRAP
    attributes = struct.pack("=IIQQQQQ", software, 136, page_faults, period, 0, 0, flags).ljust(136, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(PERF_EVENT_OPEN, ctypes.c_char_p(attributes), 0, -1, -1, 0)
    if descriptor < 0:
        print(errno.errorcode[ctypes.get_errno()])
    else:
        os.close(descriptor)
        print("ok")


main()
