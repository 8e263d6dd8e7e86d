"""Let the kernel fill fresh memory, where the program takes no fault of its own: system_calls.py KIND"""

import json
import mmap
import os
import socket
import sys
import tempfile
import threading

PAGE = mmap.PAGESIZE
SIZE = 30 << 20
CHUNK = 65536


def file_read(path):
    with open(path, "rb") as file:
        return file.read()  # touched: file_read


def file_readinto(path):
    buffer = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with open(path, "rb", buffering=0) as file:
        file.readinto(buffer)  # touched: file_readinto
    return buffer


def socket_recv_into(_path):
    receiver, sender = socket.socketpair()
    thread = threading.Thread(target=send, args=(sender,))
    thread.start()
    buffer = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = memoryview(buffer)
    got = 0
    while got < SIZE:
        got += receiver.recv_into(view[got:])  # touched: socket_recv_into
    thread.join()
    return buffer


def os_urandom(_path):
    return os.urandom(SIZE)  # touched: os_urandom


def send(sender):
    chunk = b"x" * CHUNK
    for _ in range(SIZE // CHUNK):
        sender.sendall(chunk)
    sender.close()


def write_file(path):
    with open(path, "wb") as file:
        for _ in range(SIZE // CHUNK):
            file.write(b"x" * CHUNK)


def afterwards():
    """Faults that follow: where a rise that nothing signalled shows up."""
    memory = mmap.mmap(-1, 16 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, len(memory), PAGE):
        memory[offset] = 1
    return memory


def main():
    kind = globals()[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        write_file(path)
        kept = kind(path), afterwards()
    print(json.dumps({"pages": SIZE // PAGE}))
    del kept


main()
