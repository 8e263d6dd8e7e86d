// From instruction offsets to lines (offsets.h).
#include "analyze/offsets.h"

#include <errno.h>
#include <stdlib.h>

#include "format/lines.h"

static pmt_offset_t
offset_of(const pmt_raw_node_t *node)
{
    return (pmt_offset_t){.process = node->process, .code = node->code, .offset = node->offset};
}

static int
collect(pmt_table_t *offsets, const pmt_table_t *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        pmt_offset_t offset = offset_of(pmt_table_at(nodes, i));
        if (pmt_table_add(offsets, &offset) < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int
in_order(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int
compare(const void *left, const void *right)
{
    const pmt_offset_t *a = *(pmt_offset_t *const *)left, *b = *(pmt_offset_t *const *)right;
    int order = in_order(a->process, b->process);
    order = order ? order : in_order(a->code, b->code);
    return order ? order : in_order(a->offset, b->offset);
}

// `order`: ascending.
static void
find_lines(pmt_offset_t *const *order, uint32_t count, const pmt_profile_t *profile)
{
    pmt_lines_cursor_t cursor;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || order[i]->process != order[i - 1]->process || order[i]->code != order[i - 1]->code) {
            const pmt_code_t *code = pmt_profile_code(profile, order[i]->process, order[i]->code);
            pmt_lines_begin(&cursor, code ? code->lines : NULL, code ? code->lines_size : 0, code ? code->first_line : 0);
        }
        order[i]->line = pmt_lines_seek(&cursor, order[i]->offset);
    }
}

int
pmt_offsets_resolve(pmt_table_t *offsets, const pmt_profile_t *profile)
{
    int err = collect(offsets, &profile->nodes);
    pmt_offset_t **order = err ? NULL : malloc((offsets->count + 1) * sizeof *order);
    if (!order) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < offsets->count; i++) {
        order[i] = pmt_table_at(offsets, i);
    }
    qsort(order, offsets->count, sizeof *order, compare);
    find_lines(order, offsets->count, profile);
    free(order);
    return 0;
}

uint32_t
pmt_offsets_line(const pmt_table_t *offsets, const pmt_raw_node_t *node)
{
    pmt_offset_t offset = offset_of(node);
    int64_t number = pmt_table_find(offsets, &offset);
    return number < 0 ? 0 : ((pmt_offset_t *)pmt_table_at(offsets, (uint32_t)number))->line;
}
