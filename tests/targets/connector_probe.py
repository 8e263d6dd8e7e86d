"""Print "ok" if the kernel's process connector tells this user of a child, else why it does not."""

import errno
import os
import socket
import struct

CONNECTOR, PROCESSES, LISTEN, DONE = 11, 1, 1, 3
FORK, EXIT = 0x1, 0x80000000


def main() -> None:
    try:
        connector = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, CONNECTOR)
        connector.bind((0, PROCESSES))
        message = struct.pack("=IIIIHHI", PROCESSES, PROCESSES, 0, 0, 4, 0, LISTEN)
        connector.send(struct.pack("=IHHII", 16 + len(message), DONE, 0, 0, 0) + message)
        print("ok" if hears(connector) else "silence")
    except OSError as error:
        print(errno.errorcode[error.errno or 0])


def hears(connector: socket.socket) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    connector.settimeout(0.5)
    try:
        while True:
            told = connector.recv(4096)[36:]
            (what,) = struct.unpack_from("=I", told)
            (pid,) = struct.unpack_from("=i", told, 28 if what == FORK else 20)
            if what == EXIT and pid == child:
                return True
    except TimeoutError:
        return False


main()
