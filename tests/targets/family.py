"""Starts processes of each kind and touches a known number of pages in each: `family.py WAY`.

Prints what the processes printed; a child prints "NAME PID".
"""

import mmap
import os
import subprocess
import sys
import time
import warnings

PAGES = 1000

# From 3.12 on a fork where threads run is warned of; here it is what is tested.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def touch_in_child() -> None:
    memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(PAGES):
        memory[page * mmap.PAGESIZE] = 1


def warm_up() -> None:
    """The same: what of the interpreter's own files it brings in is not touch_in_child's."""
    memory = mmap.mmap(-1, 50 * mmap.PAGESIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(50):
        memory[page * mmap.PAGESIZE] = 1


def child(name: str) -> None:
    warm_up()
    touch_in_child()
    print(name, os.getpid(), flush=True)


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        child("forked")
        os._exit(7)
    os.waitpid(pid, 0)


def fork_and_exit() -> None:
    pid = os.fork()
    if pid == 0:
        child("forked")
        sys.exit(0)
    os.waitpid(pid, 0)


def fork_and_exec() -> None:
    """As os.system's forefathers did it: the fork child, which is traced already, becomes another program."""
    for arguments in [sys.executable, __file__, "child", "image"], ["/bin/true"]:
        pid = os.fork()
        if pid == 0:
            os.execv(arguments[0], arguments)
        if os.waitpid(pid, 0)[1] != 0:
            raise SystemExit("a child failed")


def fork_from_thread() -> None:
    import threading

    thread = threading.Thread(target=fork, name="forker")
    thread.start()
    thread.join()


def grandchild() -> None:
    pid = os.fork()
    if pid == 0:
        fork()
        child("middle")
        os._exit(0)
    os.waitpid(pid, 0)


def python() -> None:
    subprocess.run([sys.executable, __file__, "child", "python"], check=True)


def python_of_python() -> None:
    subprocess.run([sys.executable, __file__, "python"], check=True)


def other() -> None:
    subprocess.run(["/bin/sleep", "0.3"], check=True)


def shell() -> None:
    """A Python below a program that is not."""
    subprocess.run(["/bin/sh", "-c", f"sleep 0.1; {sys.executable} {__file__} child python; true"], check=True)


def isolated() -> None:
    subprocess.run([sys.executable, "-I", __file__, "child", "isolated"], check=True)


def replace() -> None:
    touch_in_child()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, __file__, "child", "image"])


def replace_by_other() -> None:
    touch_in_child()
    sys.stdout.flush()
    os.execv("/bin/sleep", ["/bin/sleep", "0.2"])


def processes(method: str) -> None:
    import multiprocessing

    context = multiprocessing.get_context(method)
    workers = [context.Process(target=child, args=("worker",)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def pool() -> None:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as executor:
        list(executor.map(child, ["pooled"] * 4))


def outlive() -> None:
    pid = os.fork()
    if pid == 0:
        time.sleep(0.6)
        warm_up()
        touch_in_child()
        os._exit(3)
    print("outliving", pid, flush=True)


def bereave() -> None:
    """The parent is killed while its child runs, and before the child touches."""
    pid = os.fork()
    if pid == 0:
        time.sleep(0.6)
        warm_up()
        touch_in_child()
        os._exit(3)
    touch_in_child()
    print("bereaved", pid, flush=True)
    os.kill(os.getpid(), 9)


def many() -> None:
    for _ in range(100):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)


def killed() -> None:
    pid = os.fork()
    if pid == 0:
        child("forked")
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)


def brief() -> None:
    """Children that live for a millisecond, of a program that is large."""
    memory = bytearray(100 << 20)
    for name, command in [("zero", "true")] * 50 + [("one", "false")] * 10:
        process = subprocess.Popen([f"/bin/{command}"])
        process.wait()
        print(name, process.pid, flush=True)
    far = {"PATH": "/nowhere:" * 1000 + "/bin"}  # a child of vfork() looks through it on its parent's memory
    for _ in range(20):
        process = subprocess.Popen(["true"], env=far)
        process.wait()
        print("zero", process.pid, flush=True)
    process = subprocess.Popen(["/bin/sleep", "10"])
    process.kill()
    process.wait()
    print("killed", process.pid, flush=True)
    del memory


def orphan() -> None:
    """The shell ends while its child is being born."""
    for _ in range(10):
        subprocess.run(["/bin/sh", "-c", "/bin/true & exit 4"], check=False)
    time.sleep(0.1)


def threads() -> None:
    import threading

    for _ in range(50):
        thread = threading.Thread(target=time.sleep, args=(0.001,))
        thread.start()
        thread.join()


def looked_at() -> None:
    subprocess.run(["/bin/sleep", "0.1"], check=True)
    subprocess.run(["/bin/true"], check=True)


if __name__ == "__main__":
    way, *arguments = sys.argv[1:]
    {
        "spawn": lambda: processes("spawn"),
        "forkserver": lambda: processes("forkserver"),
        "multiprocessing_fork": lambda: processes("fork"),
    }.get(way, lambda: globals()[way](*arguments))()
