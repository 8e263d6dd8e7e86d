"""A mapped file of 64 MiB, of which half is read: file_part.py private|shared"""

import ctypes
import mmap
import sys
import tempfile

from _truth import MIB, PAGE, held, show

SIZE = 64 * MIB
FLAGS = {"private": mmap.MAP_PRIVATE, "shared": mmap.MAP_SHARED}[sys.argv[1]]


class _Buffer(ctypes.Structure):
    """The head of a Py_buffer; the rest is room."""

    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("rest", ctypes.c_byte * 128)]


def address_of_read_only(memory):
    view = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), ctypes.byref(view), 0)
    address = view.buf
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return address


def mapped():
    with tempfile.NamedTemporaryFile(prefix="residency-") as file:
        for _ in range(SIZE // MIB):
            file.write(b"x" * MIB)
        file.flush()
        return mmap.mmap(file.fileno(), SIZE, FLAGS, mmap.PROT_READ), file.name


def read_part(memory):
    """The second and fourth quarter."""
    for quarter in 1, 3:
        for offset in range(SIZE // 4 * quarter, SIZE // 4 * (quarter + 1), PAGE):
            memory[offset]


memory, name = mapped()
held("read_part", address_of_read_only(memory), SIZE)
read_part(memory)
show(file=name)
