"""Eight threads at once, each with memory of its own, of which every other gives back half: threads.py"""

import mmap
import threading

from _truth import MIB, address_of, fresh, held, moment, resident, show, touch

kept = {}
shares = []
grown = threading.Barrier(9)
go_on = threading.Barrier(9)
done = threading.Barrier(9)


def work(number):
    size = (6 + 2 * number) * MIB
    memory = kept[number] = fresh(size)
    touch(memory, 0, size)
    held("work", address_of(memory), size)
    shares.append({"tid": threading.get_native_id(), "address": address_of(memory), "size": size})
    grown.wait()
    go_on.wait()
    if number % 2:
        memory.madvise(mmap.MADV_DONTNEED, 0, size // 2)
    done.wait()


workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for worker in workers:
    worker.start()
grown.wait()
moment()
peaks = {share["tid"]: resident(share["address"], share["size"]) for share in shares}
go_on.wait()
done.wait()
for worker in workers:
    worker.join()
show(
    threads=[
        {"tid": share["tid"], "peak": peaks[share["tid"]], "end": resident(share["address"], share["size"])}
        for share in shares
    ]
)
