// RSS for the program (rss_probe.h).
#include "capture/rss_probe.h"

#include <errno.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "prim/prim.h"

enum { KIB = 1024 };

static struct {
    bool ready;
    int fd;
    uint64_t old_peak;   // KiB that getrusage may tell of a program that this process was before its exec
} probe = {.fd = -1};

static void
forget_sigsafe(void)
{
    pmt_prim_rss_close_sigsafe(probe.fd);  // it shows the parent
    probe.fd = -1;
    probe.ready = false;
}

static PMT_COLD void
get_ready(void)
{
    static bool watching;
    uint64_t fast = pmt_prim_rss_peak_fast();  // first: what comes in meanwhile must not look like a former program
    uint64_t own = pmt_prim_rss_peak();
    probe.old_peak = fast > own ? fast : 0;
    probe.ready = true;
    if (!watching) {
        pmt_prim_at_fork(NULL, forget_sigsafe);  // cheaper than asking for the pid each time
        watching = true;
    }
}

int
pmt_rss_probe(uint64_t *bytes)
{
    pmt_rss_t rss;
    if (PMT_UNLIKELY(!probe.ready)) {
        get_ready();
    }
    if (PMT_UNLIKELY(probe.fd < 0 || pmt_prim_rss_read_sigsafe(probe.fd, &rss) < 0)) {
        probe.fd = pmt_prim_rss_open_sigsafe();
        int err = probe.fd < 0 ? probe.fd : pmt_prim_rss_read_sigsafe(probe.fd, &rss);
        if (err < 0) {
            return err;
        }
    }
    *bytes = ((uint64_t)rss.anon + rss.shared) * pmt_prim_page_size_sigsafe();
    return 0;
}

int
pmt_rss_probe_peak(uint64_t *bytes)
{
    if (PMT_UNLIKELY(!probe.ready)) {
        get_ready();
    }
    uint64_t peak = pmt_prim_rss_peak_fast();
    if (PMT_UNLIKELY(peak <= probe.old_peak)) {
        peak = pmt_prim_rss_peak();
    }
    *bytes = peak * KIB;
    return peak ? 0 : -ENOENT;
}
