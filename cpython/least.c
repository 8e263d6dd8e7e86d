// The least that an event of a log costs (hooks.h): no frames, no ids, no reader; the words are written over and over.
#include "capture/lane_inline.h"
#include "hooks.h"

static struct {
    int rss;
    uint64_t stale, due, last, head;
    pmt_rss_t read;
    uint64_t words[PMT_LANE_WORDS];
} least = {.rss = -1};

int
pmt_least_begin(uint64_t stale)
{
    if (least.rss < 0) {
        least.rss = pmt_prim_rss_open_sigsafe();
    }
    least.stale = stale;
    least.last = pmt_lane_now();
    return least.rss < 0 ? least.rss : 0;
}

void
pmt_least_event(unsigned kind)
{
    uint64_t now = pmt_lane_now();
    if (PMT_UNLIKELY(now >= least.due)) {
        least.due = now + least.stale;
        pmt_prim_rss_read_sigsafe(least.rss, &least.read);
    }
    least.words[least.head++ % PMT_LANE_WORDS] = (now - least.last) << 32 | kind;
    least.last = now;
}
