"""Asking the recorder of a program under `pymemtrace run` for something, from another process of the same user.

Its address stands in the command line of the program, and in the environment of the Python processes that it started.
"""

import os
import re
import socket
import struct

_ADDRESS = re.compile(rb"(?:^|[\0 =])(pymemtrace-\d+-[0-9a-f]{32})(?=[\0 ])")
_LISTENING = "00010000"  # the flags of a socket that listens, in /proc/net/unix
_FLUSH = b"W"  # core/format/records.h
_NAME_MAX = 4096
_UNKNOWN = (1 << 64) - 1
_FIGURES = 7  # of the allocators: only the program itself could say
_PATIENCE = 5.0  # seconds


def address_of(pid: int) -> str | None:
    """Of the recorder of process `pid`; None: it is not under `pymemtrace run`, or another user's."""
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found = _ADDRESS.search(file.read())
        except OSError:
            continue
        if found:
            return found[1].decode()
    return None


def own_address(pid: int) -> str | None:
    """Of the recorder that process `pid` has started, a launcher or one that traces itself; None: there is none."""
    wanted = re.compile(rf"@(pymemtrace-{pid}-[0-9a-f]{{32}})$")
    try:
        with open(f"/proc/{pid}/net/unix") as sockets:
            lines = [line.split() for line in sockets]
    except (OSError, ValueError):
        return None
    found = (wanted.search(words[-1]) for words in lines if len(words) > 7 and words[3] == _LISTENING)
    return next((match[1] for match in found if match), None)


def parent(pid: int) -> int:
    """The parent of a process; 0: it has none, or is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def snapshot(address: str, pid: int, name: str) -> int:
    """Have a residency snapshot of `pid` taken: 0 or an errno. Raises OSError if the recorder does not answer."""
    message = struct.pack(f"<c3xI64s{_FIGURES}Q", b"S", pid, name.encode(), *[_UNKNOWN] * _FIGURES)
    return _ask(address, pid, message, 1)[0]


def trace_file(address: str, pid: int) -> str:
    """The name of the file that the recorder writes. Raises OSError if it does not answer."""
    return os.fsdecode(_ask(address, pid, _FLUSH, _NAME_MAX)[1:])


def _ask(address: str, pid: int, message: bytes, size: int) -> bytes:
    """The recorder's answer, of at most `size` bytes. Raises OSError if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(b"\0" + address.encode())
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] not in (0, os.geteuid(), os.stat(f"/proc/{pid}").st_uid):
            raise PermissionError(1, "somebody else's recorder")
        connection.send(message)
        answer = connection.recv(size)
    if not answer:
        raise ConnectionError("the recorder has ended")
    return answer
