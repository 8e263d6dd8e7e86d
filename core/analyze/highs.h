// The highest RSS within each of some hundred equal parts of a run whose length is not known before: what a chart with few points must not lose.
#pragma once

#include <stdint.h>
#include <string.h>

enum { PMT_HIGHS = 512, PMT_HIGHS_FIRST_NS = 1 << 17 };  // parts; how long one is at first

typedef struct pmt_highs_s {
    uint64_t width;            // ns, of a part; 0: nothing was seen
    int64_t base, risen;       // bytes: RSS as last read, and by how much it rose since
    uint64_t times[PMT_HIGHS]; // when RSS was highest within the part
    int64_t rss[PMT_HIGHS];    // bytes; 0: unknown
} pmt_highs_t;

static inline void
pmt_highs_halve(pmt_highs_t *highs)
{
    for (uint32_t i = 0; i < PMT_HIGHS / 2; i++) {
        uint32_t from = 2 * i + (highs->rss[2 * i + 1] > highs->rss[2 * i]);
        highs->times[i] = highs->times[from];
        highs->rss[i] = highs->rss[from];
    }
    memset(highs->rss + PMT_HIGHS / 2, 0, sizeof highs->rss / 2);
    highs->width *= 2;
}

static inline void
pmt_highs_saw(pmt_highs_t *highs, uint64_t time)
{
    int64_t rss = (int64_t)((uint64_t)highs->base + (uint64_t)highs->risen);
    highs->width = highs->width ? highs->width : PMT_HIGHS_FIRST_NS;
    while (time / highs->width >= PMT_HIGHS && highs->width <= UINT64_MAX / 4) {
        pmt_highs_halve(highs);
    }
    uint64_t part = time / highs->width;
    if (part < PMT_HIGHS && rss > highs->rss[part]) {
        highs->rss[part] = rss;
        highs->times[part] = time;
    }
}
