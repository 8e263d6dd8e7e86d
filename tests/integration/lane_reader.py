"""A recorder for the tests alone, from core/format/records.h and lanes.h: what hooks put into the lanes of a program.

It listens, drains rings and lanes of every process that greets it, and keeps all in memory. Kinds are named as in
`pymemtrace log`.
"""

from __future__ import annotations

import array
import dataclasses
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

RINGS, RING_WORDS, LANE_WORDS, PAGE = 1024, 4096, 1 << 16, 4096
RINGS_AT, WORDS_AT, RING_SIZE = PAGE, PAGE + RINGS * 128, 128
_IN_FILE = ("call", "return", "yield", "resume", "throw", "unwind", "c_call", "c_return", "c_raise", "line", "rss")
KINDS = dict(enumerate((*_IN_FILE, "code", "exception", "fresh"), 1))
MORE = {1: "time", 2: "lost", 3: "stack", 4: "note", 5: "frames"}


@dataclasses.dataclass
class Event:
    kind: str
    value: Any  # the name of a function or type; a line; a number
    ticks: int
    at: int = 0  # of its first word in the lane


class Shared:
    """A mapped memfd with rings of `words` words."""

    def __init__(self, fd: int, words: int) -> None:
        self.map = mmap.mmap(fd, 0)
        os.close(fd)
        self.words = words

    def get(self, at: int, size: str = "Q") -> int:
        return struct.unpack_from(size, self.map, at)[0]

    def put(self, at: int, value: int, size: str = "Q") -> None:
        struct.pack_into(size, self.map, at, value)

    def take(self, slot: int) -> list[int]:
        ring = RINGS_AT + slot * RING_SIZE
        head, tail = self.get(ring), self.get(ring + 64)
        base = WORDS_AT + slot * self.words * 8
        words = array.array("Q")
        while tail < head:
            at, n = tail % self.words, min(head - tail, self.words - tail % self.words)
            words.frombytes(self.map[base + at * 8 : base + (at + n) * 8])
            tail += n
        self.put(ring + 64, tail)
        return words.tolist()


class Process:
    """events: by slot, ("time" and "code" resolved away); names: of ids, as (function, file, first line)."""

    def __init__(self, pid: int, shared: Shared) -> None:
        self.pid = pid
        self.shared = shared
        self.lanes: Shared | None = None
        self.meta: dict[str, str] = {}
        self.names: dict[int, tuple[str, str, int]] = {}
        self.raw: dict[int, list[int]] = {}
        self.faults: list[tuple[int, int, int]] = []  # slot, lane head, rss
        self.fault_times: list[int] = []  # ns
        self.tids: dict[int, int] = {}

    def drain(self) -> None:
        slots = self.shared.get(20, "I")
        for slot in range(slots):
            if self.lanes:
                self.raw.setdefault(slot, []).extend(self.lanes.take(slot))
            self.definitions(slot, self.shared.take(slot))
        self.shared.put(16, self.shared.get(16, "I") + 1 & 0xFFFFFFFF, "I")

    def definitions(self, slot: int, words: list[int]) -> None:
        at = 0
        while at < len(words):
            first = words[at]
            kind, flags, count, arg = first & 0xFF, first >> 8 & 0xFF, first >> 16 & 0xFFFF, first >> 32
            record = words[at : at + count]
            if kind == 2:
                self.tids[slot] = arg
            elif kind == 5:
                file, name = record[2] >> 32, record[2] & 0xFFFFFFFF
                text = array.array("Q", record[3:]).tobytes()
                decode = lambda b: b.decode("utf-8", "surrogatepass")  # noqa: E731
                self.names[arg] = (decode(text[file : file + name]), decode(text[:file]), record[1])
            elif kind == 4 and flags & 0x80:
                self.faults.append((slot, record[4], record[5]))
                self.fault_times.append(record[1])
            at += max(count, 1)

    def name(self, number: int) -> str | None:
        return self.names[number][0] if number else None

    def events(self, slot: int = 0) -> list[Event]:
        assert self.lanes
        words, at, ticks = self.raw.get(slot, []), 0, self.lanes.get(8)
        events = []
        while at < len(words):
            word, first = words[at], at
            at += 1
            if word == 0:
                continue
            kind, payload = word & 15, word >> 4 & 0xFFFFFFF
            ticks += word >> 32
            if kind == 15:
                what, count = MORE[payload & 0xFF], payload >> 8
                more = words[at : at + count]
                at += count
                ticks = more[0] if what in ("time", "lost") else ticks
                events.append(Event(what, self.longer(what, more), ticks, first))
            else:
                value = payload if kind in (10, 11, 14) else self.name(payload)
                events.append(Event(KINDS[kind], value, ticks, first))
        return events

    def longer(self, what: str, more: list[int]) -> Any:
        if what == "note":
            text = array.array("Q", more[2:]).tobytes()[: more[1]].decode()
            return (more[0] & 0xFFFFFFFF, more[0] >> 32, text)
        return [self.name(n) for n in more] if what in ("stack", "frames") else more[-1]


class Recorder:
    """Use: `with Recorder() as recorder: recorder.run("calls", ["-c", code])`; then `recorder.processes`."""

    def __init__(self) -> None:
        self.address = f"pmt-test-{os.getpid()}-{os.urandom(8).hex()}"
        self.processes: list[Process] = []
        self.stall_after_greeting = False  # for two seconds from the lanes' coming nothing is drained
        self._stalled_until = 0.0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(b"\0" + self.address.encode())
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._open: dict[socket.socket, Process | None] = {}
        self._kept: list[int] = []
        self._over = False
        self._thread = threading.Thread(target=self._loop)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        for process in self.processes:
            process.drain()
        self._listener.close()
        for fd in self._kept:
            os.close(fd)

    def run(
        self, options: str, program: list[str], python: str = sys.executable, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        import pymemtrace

        boot = Path(pymemtrace.__file__).with_name("_boot.py")
        kind = {"-c": "code", "-m": "module"}.get(program[0], "script")
        words = program[1:] if kind != "script" else program
        command = [python, str(boot), self.address, options, kind, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)

    @property
    def events(self) -> list[Event]:
        return self.processes[0].events()

    def _loop(self) -> None:
        while not self._over:
            self._accept()
            for connection in list(self._open):
                self._receive(connection)
            for process in self.processes:
                if time.monotonic() >= self._stalled_until:
                    process.drain()
            time.sleep(0.002)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self._open[connection] = None

    def _receive(self, connection: socket.socket) -> None:
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(connection, 1 << 17, 8)
            except BlockingIOError:
                return
            except OSError:
                message, fds = b"", []
            if not message:
                del self._open[connection]
                connection.close()
                return
            self._take(connection, message, list(fds))

    def _take(self, connection: socket.socket, message: bytes, fds: list[int]) -> None:
        kind = message[:1]
        if kind == b"H":
            process = Process(struct.unpack_from("I", message, 8)[0], Shared(fds.pop(), RING_WORDS))
            self.processes.append(process)
            self._open[connection] = process
        elif kind == b"L":
            pid = struct.unpack_from("I", message, 4)[0]
            process = next(p for p in reversed(self.processes) if p.pid == pid)
            self._open[connection] = process
            if fds:
                process.lanes = Shared(fds.pop(), LANE_WORDS)
                self._stalled_until = time.monotonic() + 2 if self.stall_after_greeting else 0.0
        elif kind == b"K":
            key, _, value = message[1:].decode("utf-8", "surrogateescape").partition("\0")
            owner = self._open[connection]
            if owner:
                owner.meta[key] = value
        elif kind in (b"R", b"B"):
            connection.send(b"\0")
        for fd in fds:
            self._kept.append(fd)  # perf events end with their last descriptor
