// Encodes definitions and facts (docs/format.md, section 5). The mirror image is reader_definitions.c.
#include "format/writer_inline.h"

enum { FACT_TEXT = 256 };  // a longer META is a detail

void
pmt_writer_meta(pmt_writer_t *writer, uint64_t scope, const char *key, const char *value, size_t length)
{
    if (scope && !is_known(writer, scope - 1)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_META);
    put_u(writer, scope);
    pmt_put_text(writer, key, strlen(key));
    pmt_put_text(writer, value, length);
    end_definition(writer, start, length <= FACT_TEXT ? FACT : DETAIL);
}

void
pmt_writer_process(pmt_writer_t *writer, uint64_t pid, uint64_t parent, uint64_t time)
{
    if (writer->processes++ != writer->held.processes) {
        return;  // one before it was dropped: it would get that one's number
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS);
    writer->adding.processes = 1;
    put_all(writer, pid, parent, time);
    end_definition(writer, start, FACT);
}

void
pmt_writer_process_end(pmt_writer_t *writer, uint64_t process, unsigned kind, uint64_t value, uint64_t time)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_PROCESS_END);
    put_all(writer, process, kind, value, time);
    end_definition(writer, start, FACT);
}

void
pmt_writer_thread(pmt_writer_t *writer, uint64_t process, uint64_t tid, uint64_t time, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD);
    put_all(writer, process, tid, time);
    pmt_put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_thread_name(pmt_writer_t *writer, uint64_t thread, const char *name, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_THREAD_NAME);
    put_u(writer, thread);
    pmt_put_text(writer, name, length);
    end_definition(writer, start, DETAIL);
}

static void
write_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length, const char *name, size_t name_length,
           enum kind kind)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE);
    put_all(writer, process, id, first_line);
    pmt_put_text(writer, file, file_length);
    pmt_put_text(writer, name, name_length);
    end_definition(writer, start, kind);
}

void
pmt_writer_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length,
                const char *name, size_t name_length)
{
    write_code(writer, process, id, first_line, file, file_length, name, name_length, DETAIL);
}

void
pmt_writer_code_lines(pmt_writer_t *writer, uint64_t process, uint64_t id, const void *piece, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE_LINES);
    put_all(writer, process, id);
    pmt_put_bytes(writer, piece, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_code_module(pmt_writer_t *writer, uint64_t process, uint64_t id, const char *module, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_CODE_MODULE);
    put_all(writer, process, id);
    pmt_put_text(writer, module, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_module(pmt_writer_t *writer, uint64_t process, uint64_t start, uint64_t size, uint64_t offset, const char *path)
{
    uint8_t *length = begin_definition(writer, PMT_WIRE_MODULE);
    put_all(writer, process, start, size, offset);
    pmt_put_text(writer, path, strlen(path));
    end_definition(writer, length, DETAIL);
}

void
pmt_writer_mark(pmt_writer_t *writer, uint64_t process, uint64_t time, unsigned kind, uint64_t rss)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_MARK);
    put_all(writer, process, time, kind, rss);
    end_definition(writer, start, FACT);
}

void
pmt_writer_period(pmt_writer_t *writer, uint64_t process, uint64_t time, uint64_t period)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_PERIOD);
    put_all(writer, process, time, period);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_lost(pmt_writer_t *writer, uint64_t thread, uint64_t time, uint64_t count)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_LOST);
    put_all(writer, thread, time, count);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_counter(pmt_writer_t *writer, uint64_t process, const char *name, uint64_t value)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_COUNTER);
    put_u(writer, process);
    pmt_put_text(writer, name, strlen(name));
    put_u(writer, value);
    end_definition(writer, start, FACT);
}

void
pmt_writer_note(pmt_writer_t *writer, uint64_t thread, uint64_t time, unsigned what, uint64_t number, const char *text, size_t length)
{
    uint8_t *start = begin_definition(writer, PMT_WIRE_NOTE);
    put_all(writer, thread, time, what, number);
    pmt_put_text(writer, text, length);
    end_definition(writer, start, DETAIL);
}

void
pmt_writer_summary(pmt_writer_t *writer, uint64_t process, uint64_t code, const uint64_t sums[PMT_SUMMARY_SUMS], int64_t largest)
{
    if (!is_known(writer, process)) {
        return;
    }
    uint8_t *start = begin_definition(writer, PMT_WIRE_SUMMARY);
    put_all(writer, process, code);
    for (int i = 0; i < PMT_SUMMARY_SUMS; i++) {
        put_u(writer, sums[i]);
    }
    put_s(writer, largest);
    end_definition(writer, start, FACT);
}

void
pmt_writer_summary_code(pmt_writer_t *writer, uint64_t process, uint64_t id, uint64_t first_line, const char *file, size_t file_length, const char *name,
                        size_t name_length)
{
    if (is_known(writer, process)) {
        write_code(writer, process, id, first_line, file, file_length, name, name_length, FACT);
    }
}

static void
write_left_out(pmt_writer_t *writer)
{
    pmt_left_out_t left_out;
    if (pmt_writer_left_out(writer, &left_out)) {
        uint8_t *start = begin_definition(writer, PMT_WIRE_LEFT_OUT);
        put_all(writer, left_out.time, left_out.faults, left_out.pages, (uint64_t)-writer->error, left_out.events);
        end_definition(writer, start, END);
    }
}

void
pmt_writer_trailer(pmt_writer_t *writer, uint64_t time)
{
    write_left_out(writer);
    uint8_t *start = begin_definition(writer, PMT_WIRE_TRAILER);
    put_u(writer, time);
    end_definition(writer, start, END);
}
