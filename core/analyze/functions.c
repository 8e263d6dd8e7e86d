// Functions by name (functions.h).
#include "analyze/functions.h"

#include <errno.h>

static const char no_room[] = "[more functions]";

int
pmt_function_name(pmt_frame_name_t *name, pmt_profile_t *profile, uint32_t process, uint32_t code)
{
    const pmt_code_t *known = pmt_profile_code(profile, process, code);
    if (known && known->named) {
        *name = (pmt_frame_name_t){.file = known->file, .name = known->name, .first_line = known->first_line};
        return 0;
    }
    int64_t empty = pmt_texts_add(&profile->texts, "", 0);
    int64_t text = process == UINT32_MAX ? pmt_texts_add(&profile->texts, no_room, sizeof no_room - 1) : empty;
    *name = (pmt_frame_name_t){.file = (uint32_t)empty, .name = (uint32_t)text};
    return empty < 0 || text < 0 ? -ENOMEM : 0;
}

int
pmt_functions_build(pmt_table_t *functions, const pmt_calls_t *calls, pmt_profile_t *profile)
{
    for (uint32_t i = 0; i < calls->rows.count; i++) {
        const pmt_calls_row_t *row = pmt_calls_row(calls, i);
        pmt_function_t function = {.sum = {.process = row->process, .code = row->code}};
        if (i == PMT_CALLS_REST && !row->time && !row->calls) {
            continue;
        }
        int err = pmt_function_name(&function.key, profile, row->process, row->code);
        int64_t number = err ? err : pmt_table_add(functions, &function);
        if (number < 0) {
            return -ENOMEM;
        }
        pmt_calls_sum(&((pmt_function_t *)pmt_table_at(functions, (uint32_t)number))->sum, row);
    }
    return 0;
}
