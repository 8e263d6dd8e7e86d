"""The recorder process: started before the program, told how it ended, waited for.

For the sake of start-up time it takes sockets from the C module below `socket`,
whose own import costs 6 ms.
"""

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import fcntl
import os
import sys

CONTROL, OUTPUT, LISTENER = 0, 1, 2  # the recorder's descriptors, core/recorder/recorder.h
META, END, GOING_ON = b"K", b"X", b"G"  # messages, core/format/records.h
EXIT, SIGNAL = 0, 1


class Left:
    """What a recorder left: why the file is not complete, or None; processes that it goes on recording."""

    def __init__(self, problem: str | None, processes: int) -> None:
        self.problem = problem
        self.processes = processes


def facts(command: list[str]) -> dict[str, str]:
    """What a reader of the trace wants to know about the run: docs/format.md section 8."""
    from pymemtrace import __version__

    system = os.uname()
    return {
        "command": "\0".join(command),
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "kernel": f"{system.sysname} {system.release}",
        "pymemtrace": __version__,
        "cwd": os.getcwd(),
        "user": str(os.geteuid()),
    }


class Recorder:
    """A running recorder that writes to `output`, a descriptor of an empty file (taken: closed here).

    limit: the bytes that the file may have at most, 0: no limit. Raises OSError if it cannot be started.
    """

    def __init__(self, output: int, limit: int = 0) -> None:
        try:
            self._start(output, [str(limit)] if limit else [])
        finally:
            os.close(output)

    def _start(self, output: int, arguments: list[str]) -> None:
        self.address = f"pymemtrace-{os.getpid()}-{os.urandom(16).hex()}"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(b"\0" + self.address.encode())
        listener.listen(64)
        program = os.path.join(os.path.dirname(os.path.dirname(__file__)), "pymemtrace-recorder")
        moved: list[int] = []
        try:
            actions = []
            for place, fd in enumerate((theirs.fileno(), output, listener.fileno())):
                if fd <= LISTENER:  # a standard stream was closed: a dup2 must not hit what is still to be copied
                    fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LISTENER + 1)
                    moved.append(fd)
                actions.append((os.POSIX_SPAWN_DUP2, fd, place))
            self.pid = os.posix_spawn(program, [program, *arguments], {}, file_actions=actions)
        finally:
            theirs.close()
            listener.close()
            for fd in moved:
                os.close(fd)
        self._control = ours

    def meta(self, key: str, value: str) -> None:
        """A fact for the trace's header."""
        self._send(META + key.encode() + b"\0" + value.encode("utf-8", "surrogateescape"))

    def finish(self, kind: int, value: int) -> Left:
        """Tell how the program ended (EXIT and status, SIGNAL and number) and wait for the file.

        A recorder whose program left processes behind goes on without being waited for.
        """
        self._send(END + bytes([kind]) + b"\0\0" + value.to_bytes(4, "little"))
        try:
            os.kill(self.pid, signal.SIGCONT)  # a stopped one would never end
        except OSError:
            pass
        try:
            last = self._control.recv(256)
        except OSError:
            last = b""
        if last[:1] == GOING_ON:
            return Left(None, int.from_bytes(last[4:8], "little"))
        _, status = os.waitpid(self.pid, 0)
        return Left(None if status == 0 else last.decode() or "the recorder was killed", 0)

    def _send(self, message: bytes) -> None:
        try:
            self._control.send(message, socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it has died; finish() says so
