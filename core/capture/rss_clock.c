// The last reading of RSS (rss_clock.h).
#include "capture/rss_clock.h"

#include "base/compiler.h"

enum { TRIES = 3 };

static uint64_t
pack(pmt_rss_t rss)
{
    return (uint64_t)rss.shared << 32 | rss.anon;
}

int
pmt_rss_clock_init(pmt_rss_clock_t *clock, uint32_t loose_reads)
{
    pmt_rss_t rss;
    int fd = loose_reads ? -1 : pmt_prim_rss_open_sigsafe();
    atomic_store_explicit(&clock->fd, fd, memory_order_relaxed);
    atomic_store_explicit(&clock->loose_reads, loose_reads, memory_order_relaxed);
    return loose_reads ? pmt_prim_rss_read_once_sigsafe(&rss) : fd < 0 ? fd : 0;
}

void
pmt_rss_clock_fini(pmt_rss_clock_t *clock)
{
    pmt_prim_rss_close_sigsafe(atomic_exchange_explicit(&clock->fd, -1, memory_order_relaxed));
}

static int
read_rss(pmt_rss_clock_t *clock, pmt_rss_t *out)
{
    int fd = atomic_load_explicit(&clock->fd, memory_order_relaxed);
    int err = fd < 0 ? fd : pmt_prim_rss_read_sigsafe(fd, out);
    if (PMT_LIKELY(err == 0)) {
        return 0;
    }
    uint32_t loose = atomic_load_explicit(&clock->loose_reads, memory_order_relaxed);
    if (loose > 0) {  // two threads may take the same one
        atomic_store_explicit(&clock->loose_reads, loose - 1, memory_order_relaxed);
        return pmt_prim_rss_read_once_sigsafe(out);
    }
    int opened = pmt_prim_rss_open_sigsafe();
    if (opened < 0) {
        return opened;
    }
    if (!atomic_compare_exchange_strong_explicit(&clock->fd, &fd, opened, memory_order_relaxed, memory_order_relaxed)) {
        pmt_prim_close_sigsafe(opened);  // another thread was first
        opened = fd;
    }
    return pmt_prim_rss_read_sigsafe(opened, out);
}

pmt_rss_step_t
pmt_rss_clock_step_sigsafe(pmt_rss_clock_t *clock)
{
    for (int i = 1;; i++) {
        pmt_rss_t rss;
        uint64_t last = atomic_load_explicit(&clock->last, memory_order_acquire);
        if (PMT_UNLIKELY(read_rss(clock, &rss) < 0)) {
            return (pmt_rss_step_t){.anon = 1};
        }
        // Only a reading that began after the last one was stored may replace it, or two threads would count steps backwards.
        if (!atomic_compare_exchange_strong_explicit(&clock->last, &last, pack(rss), memory_order_acq_rel, memory_order_relaxed)) {
            if (i < TRIES) {
                continue;
            }
            last = atomic_exchange_explicit(&clock->last, pack(rss), memory_order_acq_rel);
        }
        return (pmt_rss_step_t){
            .anon = (int64_t)rss.anon - (uint32_t)last,
            .shared = (int64_t)rss.shared - (int64_t)(last >> 32),
            .rss = (uint64_t)rss.anon + rss.shared,
        };
    }
}

uint64_t
pmt_rss_clock_look_sigsafe(pmt_rss_clock_t *clock)
{
    pmt_rss_t rss;
    return read_rss(clock, &rss) < 0 ? 0 : (uint64_t)rss.anon + rss.shared;
}

void
pmt_rss_clock_give_back_sigsafe(pmt_rss_clock_t *clock, uint32_t pages)
{
    uint64_t last = atomic_load_explicit(&clock->last, memory_order_relaxed), earlier;
    do {
        earlier = last - (pages < (uint32_t)last ? pages : (uint32_t)last);
    } while (!atomic_compare_exchange_weak_explicit(&clock->last, &last, earlier, memory_order_acq_rel, memory_order_relaxed));
}

void
pmt_rss_clock_exclude_sigsafe(pmt_rss_clock_t *clock, uint32_t anon, uint32_t shared)
{
    atomic_fetch_add_explicit(&clock->last, (uint64_t)shared << 32 | anon, memory_order_acq_rel);
}
