// Lines of the log (log_text.h), a million a second and more: numbers are written by hand.
#include "analyze/log_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIXED_MAX = 512, INDENT_MAX = 30 };  // bytes of a line without its texts; levels that are indented

static const char *const kinds[PMT_LOG_KINDS] = {
    "", "call", "return", "yield", "resume", "throw", "unwind", "c_call", "c_return", "c_raise", "line", "fault", "mark", "lost",
};

const char *
pmt_log_kind(unsigned kind)
{
    return kinds[kind < PMT_LOG_KINDS ? kind : 0];
}

static char *
put_text(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

static char *
put_word(char *out, const char *word)
{
    return put_text(out, word, strlen(word));
}

static char *
put_spaces(char *out, int count)
{
    for (; count > 0; count--) {
        *out++ = ' ';
    }
    return out;
}

// To the right in `width`, with leading zeros if `fill` is '0'.
static char *
put_number(char *out, uint64_t number, int width, char fill)
{
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    for (int i = count; i < width; i++) {
        *out++ = fill;
    }
    while (count > 0) {
        *out++ = digits[--count];
    }
    return out;
}

static char *
put_signed(char *out, int64_t number)
{
    if (number < 0) {
        *out++ = '-';
    }
    return put_number(out, number < 0 ? -(uint64_t)number : (uint64_t)number, 0, ' ');
}

static char *
put_seconds(char *out, uint64_t ns, int width, int digits)
{
    uint64_t unit = 1;
    for (int i = digits; i < 9; i++) {
        unit *= 10;
    }
    out = put_number(out, ns / 1000000000, width - digits - 1, ' ');
    *out++ = '.';
    return put_number(out, ns % 1000000000 / unit, digits, '0');
}

static int64_t
bytes(const pmt_profile_t *profile, int64_t pages)
{
    return (int64_t)((uint64_t)pages * profile->info.page_size);
}

static uint64_t
tid_of(const pmt_log_row_t *row, const pmt_profile_t *profile)
{
    return row->thread == PMT_LOG_NONE ? profile->processes[row->process].pid : profile->threads[row->thread].tid;
}

static char *
put_name(char *out, uint32_t text, const pmt_log_words_t *words, const char *none)
{
    return text < words->count ? put_text(out, words->names[text], words->name_sizes[text]) : put_word(out, none);
}

static char *
put_file(char *out, uint32_t text, const pmt_log_words_t *words, const char *none)
{
    return text < words->count ? put_text(out, words->files[text], words->file_sizes[text]) : put_word(out, none);
}

static char *
put_change(char *out, int64_t kib)
{
    char number[24], *end = number;
    if (kib > 0) {
        *end++ = '+';
    }
    end = kib ? put_signed(end, kib) : put_word(end, "-");
    out = put_spaces(out, 10 - (int)(end - number));
    return put_text(out, number, (size_t)(end - number));
}

// What stands behind the kind: function and place, a mark's text, a loss.
static char *
put_plain_what(char *out, const pmt_log_row_t *row, const pmt_log_words_t *words)
{
    if (row->kind == PMT_LOG_LOST) {
        return put_word(put_number(out, row->count, 0, ' '), " events were lost here");
    }
    if (row->kind == PMT_LOG_MARK) {
        return put_name(out, row->text, words, "");
    }
    out = put_name(out, row->name, words, "[unknown]");
    if (row->kind == 6 && row->text != PMT_LOG_NONE) {
        out = put_name(put_text(out, " ! ", 3), row->text, words, "");
    }
    if (row->file != PMT_LOG_NONE) {
        out = put_file(put_spaces(out, 2), row->file, words, "");
    }
    if (row->line) {
        *out++ = ':';
        out = put_number(out, row->line, 0, ' ');
    }
    return out;
}

static char *
put_plain(char *out, const pmt_log_row_t *row, const pmt_profile_t *profile, const pmt_log_words_t *words)
{
    out = put_seconds(out, row->time, 14, 6);
    out = put_number(out, tid_of(row, profile), 9, ' ');
    out = put_number(out, (uint64_t)bytes(profile, row->rss) >> 10, 12, ' ');
    out = put_change(put_spaces(out, 2), bytes(profile, row->change) / 1024);
    const char *kind = pmt_log_kind(row->kind);
    out = put_word(put_spaces(out, 2), kind);
    out = put_spaces(out, 10 - (int)strlen(kind) + 2 * (int)(row->depth < INDENT_MAX ? row->depth : INDENT_MAX));
    if (row->depth > INDENT_MAX) {
        *out++ = '[';
        out = put_word(put_number(out, row->depth, 0, ' '), "] ");
    }
    return put_plain_what(out, row, words);
}

static char *
put_csv(char *out, const pmt_log_row_t *row, const pmt_profile_t *profile, const pmt_log_words_t *words)
{
    out = put_seconds(out, row->time, 0, 9);
    *out++ = ',';
    out = put_number(out, profile->processes[row->process].pid, 0, ' ');
    *out++ = ',';
    out = put_number(out, tid_of(row, profile), 0, ' ');
    *out++ = ',';
    out = put_number(out, row->depth, 0, ' ');
    *out++ = ',';
    out = put_word(out, pmt_log_kind(row->kind));
    *out++ = ',';
    out = put_name(out, row->name, words, "");
    *out++ = ',';
    out = put_file(out, row->file, words, "");
    *out++ = ',';
    out = row->line ? put_number(out, row->line, 0, ' ') : out;
    *out++ = ',';
    out = put_signed(out, bytes(profile, row->rss));
    *out++ = ',';
    out = put_signed(out, bytes(profile, row->change));
    *out++ = ',';
    out = row->kind == PMT_LOG_FAULT ? put_signed(out, bytes(profile, (int64_t)row->count)) : out;
    *out++ = ',';
    out = row->kind == PMT_LOG_LOST ? put_number(out, row->count, 0, ' ') : out;
    return put_name(out, row->text, words, "");
}

static char *
put_json(char *out, const pmt_log_row_t *row, const pmt_profile_t *profile, const pmt_log_words_t *words)
{
    out = put_seconds(put_word(out, "{\"t\":"), row->time, 0, 9);
    out = put_number(put_word(out, ",\"pid\":"), profile->processes[row->process].pid, 0, ' ');
    out = put_number(put_word(out, ",\"tid\":"), tid_of(row, profile), 0, ' ');
    out = put_number(put_word(out, ",\"depth\":"), row->depth, 0, ' ');
    out = put_word(put_word(out, ",\"kind\":\""), pmt_log_kind(row->kind));
    out = put_name(put_word(out, "\",\"function\":"), row->name, words, "null");
    out = put_file(put_word(out, ",\"file\":"), row->file, words, "null");
    out = put_word(out, ",\"line\":");
    out = row->line ? put_number(out, row->line, 0, ' ') : put_word(out, "null");
    out = put_signed(put_word(out, ",\"rss\":"), bytes(profile, row->rss));
    out = put_signed(put_word(out, ",\"change\":"), bytes(profile, row->change));
    if (row->kind == PMT_LOG_LOST) {
        out = put_number(put_word(out, ",\"events\":"), row->count, 0, ' ');
    } else if (row->kind == PMT_LOG_FAULT) {
        out = put_signed(put_word(out, ",\"touched\":"), bytes(profile, (int64_t)row->count));
    } else if (row->text != PMT_LOG_NONE) {
        out = put_name(put_word(out, row->kind == PMT_LOG_MARK ? ",\"text\":" : ",\"exception\":"), row->text, words, "null");
    }
    *out++ = '}';
    return out;
}

static int
reserve(pmt_log_text_t *text, size_t size)
{
    if (text->room - text->size >= size) {
        return 0;
    }
    size_t room = 2 * (text->size + size);
    char *data = realloc(text->data, room);
    if (!data) {
        return -ENOMEM;
    }
    text->data = data;
    text->room = room;
    return 0;
}

int
pmt_log_text_add(pmt_log_text_t *text, const pmt_log_row_t *row, enum pmt_log_style_e style, const pmt_profile_t *profile, const pmt_log_words_t *words)
{
    size_t size = FIXED_MAX;
    size += row->name < words->count ? words->name_sizes[row->name] : 0;
    size += row->file < words->count ? words->file_sizes[row->file] : 0;
    size += row->text < words->count ? words->name_sizes[row->text] : 0;
    if (reserve(text, size) < 0) {
        return -ENOMEM;
    }
    char *out = text->data + text->size;
    out = style == PMT_LOG_PLAIN ? put_plain(out, row, profile, words) : style == PMT_LOG_CSV ? put_csv(out, row, profile, words) : put_json(out, row, profile, words);
    *out++ = '\n';
    text->size = (size_t)(out - text->data);
    return 0;
}
