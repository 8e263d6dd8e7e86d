// Rows of the log as text: lines for people, CSV and JSON.
#pragma once

#include "analyze/log.h"

enum pmt_log_style_e { PMT_LOG_PLAIN, PMT_LOG_CSV, PMT_LOG_JSON };

// How texts are to be written, by their number in the profile: escaped and quoted as the style wants it.
typedef struct pmt_log_words_s {
    const char *const *names, *const *files;
    const size_t *name_sizes, *file_sizes;
    uint32_t count;
} pmt_log_words_t;

typedef struct pmt_log_text_s {
    char *data;
    size_t size, room;
} pmt_log_text_t;

// Appends the row's line. 0 or -ENOMEM.
int pmt_log_text_add(pmt_log_text_t *text, const pmt_log_row_t *row, enum pmt_log_style_e style, const pmt_profile_t *profile, const pmt_log_words_t *words);
const char *pmt_log_kind(unsigned kind);
