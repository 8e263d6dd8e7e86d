// What the C library's allocator says of itself (prim.h).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "prim/prim.h"

// mallinfo2's, glibc 2.33: the headers may be older, and a C library without it leaves the figures out.
typedef struct malloc_info_s {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
} malloc_info_t;
typedef malloc_info_t (*mallinfo2_t)(void);

bool
pmt_prim_malloc_totals(pmt_malloc_totals_t *out)
{
    void *found = dlsym(RTLD_DEFAULT, "mallinfo2");
    if (!found) {
        return false;
    }
    malloc_info_t info = ((mallinfo2_t)found)();
    *out = (pmt_malloc_totals_t){.held = info.arena, .mmapped = info.hblkhd, .used = info.uordblks, .free = info.fordblks, .trimmable = info.keepcost};
    return true;
}

void
pmt_prim_malloc_name(char *out, size_t size)
{
    Dl_info memory, library;
    // Not malloc itself: in a program that takes its address, and is not position-independent, that is the program's own jump to it. All allocators have this one too.
    void *found = dlsym(RTLD_DEFAULT, "malloc_usable_size"), *version = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    if (!found || dladdr(found, &memory) == 0 || !memory.dli_fname) {
        snprintf(out, size, "malloc");
    } else if (version && dladdr(version, &library) && library.dli_fbase == memory.dli_fbase) {
        snprintf(out, size, "glibc %s", ((const char *(*)(void))version)());
    } else {
        const char *slash = strrchr(memory.dli_fname, '/');
        snprintf(out, size, "%s", slash ? slash + 1 : memory.dli_fname);
    }
}
