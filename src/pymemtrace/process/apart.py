"""The recorder of a program that traces itself: started from inside, unseen by the program, gone when the trace ends.

Nothing of it stays in the program: it is nobody's child, and the connections that start it are closed again.
"""

import _socket as socket
import os

from pymemtrace import _capture
from pymemtrace.process.recorder import META

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "pymemtrace-recorder")


class ApartRecorder:
    """A recorder that writes to `output`, a descriptor of an empty file (taken: closed here).

    limit: the bytes that the file may have at most; None: no limit.

    It ends when the processes that have greeted it end or stop their trace; until release() it waits for the first.
    Raises OSError if it cannot be started.
    """

    def __init__(self, output: int, limit: int | None = None) -> None:
        self.address = f"pymemtrace-{os.getpid()}-{os.urandom(16).hex()}"
        opened: list[socket.socket] = []
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened += ours, theirs
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            opened.append(listener)
            listener.bind(b"\0" + self.address.encode())
            listener.listen(64)
            argument = None if limit is None else str(limit)
            _capture.spawn(os.fsencode(_PROGRAM), argument, (theirs.fileno(), output, listener.fileno()))
            opened.remove(ours)
        finally:
            os.close(output)
            for connection in opened:
                connection.close()
        self._control = ours

    def meta(self, key: str, value: str) -> None:
        """A fact for the trace's header."""
        try:
            message = META + key.encode() + b"\0" + value.encode("utf-8", "surrogateescape")
            self._control.send(message, socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it has died; the end of the trace says so

    def release(self) -> None:
        """Everything has been said: from now on it lives for the traced processes alone."""
        self._control.close()
