// Windows (windows.h).
#include "analyze/windows.h"

#include <errno.h>

enum { KEY = sizeof(uint64_t), FEW = 1 << 16 };

void
pmt_windows_init(pmt_windows_t *windows)
{
    *windows = (pmt_windows_t){0};
    pmt_table_init(&windows->table, sizeof(pmt_window_t), KEY);
}

void
pmt_windows_fini(pmt_windows_t *windows)
{
    pmt_table_fini(&windows->table);
}

static int
put(pmt_windows_t *windows, const pmt_window_t *window)
{
    uint32_t before = windows->table.count;
    int64_t number = pmt_table_add(&windows->table, window);
    if (number < 0) {
        return (int)number;
    }
    windows->of_size[window->key & 15] += windows->table.count - before;
    *(pmt_window_t *)pmt_table_at(&windows->table, (uint32_t)number) = *window;
    return 0;
}

int
pmt_windows_add(pmt_windows_t *windows, uint64_t page, uint64_t rise, uint32_t owner, uint64_t birth)
{
    unsigned bits = pmt_window_bits(rise);
    uint64_t first = page >> bits << bits;
    return put(windows, &(pmt_window_t){.key = first << 4 | bits, .page = page, .birth = birth, .owner = owner});
}

const pmt_window_t *
pmt_windows_find(const pmt_windows_t *windows, uint64_t first, unsigned bits)
{
    uint64_t key = first << 4 | bits;
    int64_t number = windows->of_size[bits] ? pmt_table_find(&windows->table, &key) : -1;
    return number < 0 ? NULL : pmt_table_at(&windows->table, (uint32_t)number);
}

int
pmt_windows_sweep(pmt_windows_t *windows, bool (*alive)(const void *context, const pmt_window_t *window), const void *context)
{
    pmt_windows_t old = *windows;
    int err = 0;
    if (old.table.count < FEW || old.table.count / 2 < old.kept) {
        return 0;
    }
    pmt_windows_init(windows);
    for (uint32_t i = 0; i < old.table.count && !err; i++) {
        const pmt_window_t *window = pmt_table_at(&old.table, i);
        err = alive(context, window) ? put(windows, window) : 0;
    }
    windows->kept = windows->table.count;
    pmt_windows_fini(&old);
    return err;
}
