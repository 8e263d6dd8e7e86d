"""A program that listens, seen from the process that attaches to it or detaches from it."""

import os
import time

from pymemtrace import _capture
from pymemtrace.errors import UsageError
from pymemtrace.process import rendezvous

_GENTLE = 0.3  # seconds; then the program's main thread is taken out of the system call in which it waits
_CALL_AGAIN = 0.1  # seconds, from then on: it must be back in the call to be taken out of it
_PATIENCE = 10.0  # seconds for an answer
_LOOK_AGAIN = 0.005
_REMOTE_EXEC = (3, 14)


class Listener:
    """The process `pid`, which listens. Raises UsageError, with what it would take, if it does not."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._uid = owner_of(pid)
        if os.geteuid() not in (0, self._uid):
            raise UsageError(f"process {pid} belongs to another user: only that user and root can attach to it")
        for folder in rendezvous.existing_folders(self._uid):
            facts = rendezvous.get(f"{folder}/{pid}.listen", self._uid)
            if facts is not None and _is_it(pid, facts):
                break
        else:
            raise UsageError(_what_it_takes(pid))
        self._base = f"{folder}/{pid}"
        self._signal, self._cookie = int(facts["signal"]), int(facts["cookie"])
        self.name = facts.get("name", "python")

    def ask(self, verb: str, **options: str) -> dict[str, str]:
        """Have a command obeyed; returns the program's answer. Raises UsageError if it refuses or does not answer."""
        serial = os.urandom(8).hex()
        command, answer = f"{self._base}.command", f"{self._base}.answer"
        rendezvous.put(command, {"serial": serial, "verb": verb, **options}, owner=self._uid)
        begin = time.monotonic()
        next_call = _GENTLE
        self._summon(False)
        while (facts := rendezvous.get(answer, self._uid)) is None or facts.get("serial") != serial:
            waited = time.monotonic() - begin
            if not os.path.exists(f"/proc/{self.pid}"):
                raise UsageError(f"process {self.pid} has ended")
            if waited > next_call:
                self._summon(next_call == _GENTLE)
                next_call = waited + _CALL_AGAIN
            if waited > _PATIENCE and rendezvous.remove(command):
                raise UsageError(
                    f"process {self.pid} has not answered for {_PATIENCE:.0f} s, and nothing was done: its main thread "
                    "is in a call that does not come back to Python; try again later"
                )
            time.sleep(_LOOK_AGAIN)
        rendezvous.remove(answer)
        if "error" in facts:
            raise UsageError(f"process {self.pid}: {facts['error']}")
        return facts

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        try:
            return _state(self.pid) == "Z"
        except OSError:
            return True

    def _summon(self, insist: bool) -> None:
        try:
            _capture.summon(self.pid, self._signal, self._cookie, insist)
        except OSError as error:
            rendezvous.remove(f"{self._base}.command")
            raise UsageError(f"process {self.pid} cannot be called: {error.strerror}") from None


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _state(pid: int) -> str:
    return _status(pid)["State"][:1]


def owner_of(pid: int) -> int:
    """The user of a process. Raises UsageError if there is none."""
    try:
        return int(_status(pid)["Uid"].split()[1])
    except OSError:
        raise UsageError(f"there is no process {pid}") from None


def _is_it(pid: int, facts: dict[str, str]) -> bool:
    """It is the process that listened, and its handler is still there: without it the signal would end the process."""
    try:
        number = int(facts["signal"])
        caught = int(_status(pid)["SigCgt"], 16) >> (number - 1) & 1
        return facts["started"] == rendezvous.started(pid) and bool(caught) and "cookie" in facts
    except (OSError, KeyError, ValueError):
        return False


def _what_it_takes(pid: int) -> str:
    text = (
        f"process {pid} does not listen: call pymemtrace.listen() in the program, or start it with "
        "`pymemtrace run --paused`"
    )
    version = _python_version(pid)
    if version is not None and version >= _REMOTE_EXEC:
        text += "; Python 3.14 and later can be told from outside: sys.remote_exec with a script that calls it"
    return text


def _python_version(pid: int) -> tuple[int, int] | None:
    """Of a CPython process, from the name of its program or library; None: unknown."""
    import re

    try:
        with open(f"/proc/{pid}/maps") as maps:
            found = re.search(r"/(?:lib)?python(3)\.(\d+)", maps.read())
    except OSError:
        return None
    return (int(found[1]), int(found[2])) if found else None
