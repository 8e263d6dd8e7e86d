// Reading a line table (linetable.h). The table is untrusted: every byte is checked to be there.
#include "analyze/linetable.h"

#include <stdbool.h>

enum { NO_COLUMNS = 13, LONG = 14, NO_LINE = 15, ONE_LINE_FIRST = 10, CODE_UNIT = 2 };

typedef struct cursor_s {
    const uint8_t *at, *end;
    bool cut;  // bytes were missing
} cursor_t;

static uint32_t
take(cursor_t *cursor)
{
    cursor->cut |= cursor->at == cursor->end;
    return cursor->cut ? 0 : *cursor->at++;
}

static uint32_t
take_varint(cursor_t *cursor)
{
    uint32_t value = 0, byte;
    unsigned shift = 0;
    do {
        byte = take(cursor);
        value |= shift < 32 ? (byte & 63) << shift : 0;
        shift += 6;
    } while (byte & 64);
    return value;
}

static int64_t
take_signed(cursor_t *cursor)
{
    uint32_t value = take_varint(cursor);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

// Reads the rest of an entry of `kind`; returns its line delta.
static int64_t
take_entry(cursor_t *cursor, uint32_t kind)
{
    int64_t delta = 0;
    if (kind < ONE_LINE_FIRST) {
        take(cursor);
    } else if (kind < NO_COLUMNS) {
        delta = kind - ONE_LINE_FIRST;
        take(cursor);
        take(cursor);
    } else if (kind < NO_LINE) {
        delta = take_signed(cursor);
        for (int i = 0; kind == LONG && i < 3; i++) {
            take_varint(cursor);
        }
    }
    return delta;
}

uint32_t
pmt_linetable_line(const uint8_t *table, size_t size, uint32_t first_line, uint32_t offset)
{
    cursor_t cursor = {table, table + size, false};
    uint64_t covered = 0;
    int64_t line = first_line;
    while (cursor.at < cursor.end) {
        uint32_t head = take(&cursor), kind = head >> 3 & 15;
        line += take_entry(&cursor, kind);
        if (!(head & 0x80) || cursor.cut) {
            return 0;
        }
        covered += ((head & 7) + 1) * CODE_UNIT;
        if (offset < covered) {
            return kind == NO_LINE || line < 0 || line > UINT32_MAX ? 0 : (uint32_t)line;
        }
    }
    return 0;
}
