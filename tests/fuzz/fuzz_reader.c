// libFuzzer target of the analysis: reads a trace and makes the tables of a report. Trace files are untrusted: nothing that is in them may crash, leak, or take
// memory out of proportion.
//
// An input that begins like a file is one: as it is, and with its checksums made right, since these stop almost every mutation. Any other input is records: a
// file is put around it, so that the decoder sees them.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/functions.h"
#include "analyze/log.h"
#include "analyze/log_text.h"
#include "analyze/owners.h"
#include "analyze/replay.h"
#include "analyze/tables.h"
#include "c/support.h"
#include "format/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at_tables(const pmt_tables_t *tables, const pmt_profile_t *profile)
{
    const pmt_table_t *rows[] = {&tables->lines, &tables->functions, &tables->files};
    for (int t = 0; t < 3; t++) {
        for (uint32_t i = 0; i < rows[t]->count; i++) {
            const pmt_row_t *row = pmt_table_at(rows[t], i);
            if (row->active || row->key.file >= profile->texts.count || row->key.name >= profile->texts.count) {
                abort();
            }
        }
    }
    for (uint32_t i = 1; i < tables->tree.count; i++) {
        const pmt_tree_node_t *node = pmt_table_at(&tables->tree, i);
        if (node->parent >= i || node->frame >= tables->lines.count) {
            abort();
        }
    }
}

// The events, by all who look at them, in as little room as they can do with: what is beyond it has to go somewhere.
static void
replay(const char *path, const pmt_profile_t *finished)
{
    char error[PMT_ERROR_MAX] = "";
    pmt_profile_t profile;
    pmt_calls_t calls;
    pmt_call_tree_t tree;
    pmt_line_rows_t lines;
    pmt_table_t functions;
    pmt_line_rows_init(&lines, finished, 8);
    pmt_table_init(&functions, sizeof(pmt_function_t), sizeof(pmt_frame_name_t));
    pmt_replay_t events = {.calls = &calls, .tree = &tree};
    if (pmt_calls_init(&calls, 8) < 0 || pmt_call_tree_init(&tree, 16) < 0) {
        abort();
    }
    int err = pmt_replay_read(&events, &profile, path, error);
    if (err == 0) {
        err = pmt_functions_build(&functions, &calls, &profile);
        pmt_replay_t again = {.lines = &lines};
        err = err ? err : pmt_replay_again(&again, finished, path, error);
    } else if (error[0] == '\0') {
        abort();
    }
    pmt_line_rows_fini(&lines);
    pmt_call_tree_fini(&tree);
    pmt_calls_fini(&calls);
    pmt_table_fini(&functions);
    pmt_profile_fini(&profile);
}

// Who held what at three moments: the stacks' sum is what the processes own.
static void
own(const char *path, pmt_profile_t *profile)
{
    char error[PMT_ERROR_MAX] = "";
    const uint64_t times[] = {0, profile->duration / 2, UINT64_MAX - 1};
    pmt_owners_t owners;
    int err = pmt_owners_read(&owners, profile, path, times, 3, error);
    for (uint32_t t = 0; t < 3 && !err; t++) {
        uint64_t owned = 0, stacks = 0;
        pmt_owners_fill(&owners, profile, t, 0);
        for (uint32_t p = 0; p < owners.process_count; p++) {
            for (int k = PMT_HELD_EXACT; k < PMT_HELD_COUNT; k++) {
                owned += (uint64_t)pmt_owners_held(&owners, t, p)->pages[k];
            }
        }
        for (uint32_t i = 0; i < profile->nodes.count; i++) {
            stacks += ((pmt_raw_node_t *)pmt_table_at(&profile->nodes, i))->self.pages;
        }
        if (owned != stacks) {
            abort();
        }
    }
    pmt_owners_fini(&owners);
}

static void
read_log(const char *path)
{
    char error[PMT_ERROR_MAX] = "";
    pmt_log_t *log;
    pmt_log_row_t row;
    pmt_log_text_t text = {0};
    pmt_log_words_t words = {0};
    if (pmt_log_open(&log, path, error) < 0) {
        return;
    }
    for (int more; (more = pmt_log_next(log, &row, error)) == 1 || more == -EAGAIN;) {
        text.size = 0;
        if (more == 1 && pmt_log_text_add(&text, &row, (enum pmt_log_style_e)(row.time % 3), pmt_log_profile(log), &words) < 0) {
            abort();
        }
    }
    free(text.data);
    pmt_log_close(log);
}

static void
analyze(const uint8_t *file, size_t size)
{
    static int fd = -1;
    char path[PMT_TEST_PATH], error[PMT_ERROR_MAX] = "";
    pmt_profile_t profile;
    if (fd < 0) {
        fd = pmt_test_file();
    }
    if (ftruncate(fd, 0) < 0 || pwrite(fd, file, size, 0) != (ssize_t)size) {
        abort();
    }
    int err = pmt_profile_read(&profile, pmt_test_path(fd, path), 0, error);
    if (err == 0) {
        pmt_tables_t tables;
        if (pmt_tables_build(&tables, &profile) == 0) {
            look_at_tables(&tables, &profile);
        }
        pmt_tables_fini(&tables);
        replay(path, &profile);
        read_log(path);
        own(path, &profile);
    } else if (error[0] == '\0') {
        abort();  // refused without a reason
    }
    pmt_profile_fini(&profile);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && memcmp(data, PMT_WIRE_MAGIC, 4) == 0) {
        uint8_t *sealed = malloc(size);
        analyze(data, size);
        memcpy(sealed, data, size);
        pmt_test_seal(sealed, size);
        analyze(sealed, size);
        free(sealed);
    } else {
        size_t file_size;
        uint8_t *file = pmt_test_wrap(data, size, &file_size);
        analyze(file, file_size);
        free(file);
    }
    return 0;
}
