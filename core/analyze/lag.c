// The lag of RSS (lag.h).
#include "analyze/lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_MAJOR = 6, EXACT_MINOR = 16, PAGES_A_CPU = 64, CPUS_MAX = 8192 };

static const char *
meta(const pmt_profile_t *profile, const pmt_pairs_t *pairs, const char *key)
{
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (strcmp(profile->texts.texts[pairs->list[i].key], key) == 0) {
            return profile->texts.texts[pairs->list[i].text];
        }
    }
    return "";
}

uint64_t
pmt_lag_peak_pages(const pmt_profile_t *profile)
{
    unsigned long cpus = profile->process_count ? strtoul(meta(profile, &profile->processes[0].meta, "cpus"), NULL, 10) : 0;
    return PAGES_A_CPU * (cpus == 0 ? 1 : cpus < CPUS_MAX ? cpus : CPUS_MAX);  // older traces have no "cpus"
}

uint64_t
pmt_lag_pages(const pmt_profile_t *profile)
{
    unsigned major, minor;
    if (sscanf(meta(profile, &profile->meta, "kernel"), "Linux %4u.%4u", &major, &minor) != 2 || major > EXACT_MAJOR ||
        (major == EXACT_MAJOR && minor >= EXACT_MINOR)) {
        return 0;
    }
    return pmt_lag_peak_pages(profile);
}
