// Packing and reading line tables (lines.h).
#include "format/lines.h"

#include "base/varint.h"

// co_linetable: each entry begins with a byte with its top bit set; bits 3..6 are its kind, bits 0..2 the code units it covers, less one. The kinds say how many
// bytes follow and by how much the line moves; see Objects/locations.md in CPython.
enum { ONE_LINE_FIRST = 10, NO_COLUMNS = 13, LONG = 14, NO_LINE = 15, CODE_UNIT = 2 };

typedef struct entry_s {
    uint32_t units;
    int64_t delta;
    bool none;
} entry_t;

// 6 bits a byte, low bits first; bit 6: another one follows.
static bool
take_varint(const uint8_t **at, const uint8_t *end, uint32_t *out)
{
    uint32_t value = 0, byte;
    unsigned shift = 0;
    do {
        if (*at == end) {
            return false;
        }
        byte = *(*at)++;
        value |= shift < 32 ? (byte & 63) << shift : 0;
        shift += 6;
    } while (byte & 64);
    *out = value;
    return true;
}

static bool
take_entry(const uint8_t **at, const uint8_t *end, entry_t *out)
{
    uint32_t head = *at < end ? *(*at)++ : 0, kind = head >> 3 & 15, value;
    *out = (entry_t){.units = (head & 7) + 1, .none = kind == NO_LINE};
    size_t skip = kind < ONE_LINE_FIRST ? 1 : kind < NO_COLUMNS ? 2 : 0;
    if (!(head & 0x80) || (size_t)(end - *at) < skip) {
        return false;
    }
    *at += skip;
    if (kind >= ONE_LINE_FIRST && kind < NO_COLUMNS) {
        out->delta = kind - ONE_LINE_FIRST;
    }
    if (kind == NO_COLUMNS || kind == LONG) {
        if (!take_varint(at, end, &value)) {
            return false;
        }
        out->delta = value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
        for (int i = 0; kind == LONG && i < 3; i++) {
            if (!take_varint(at, end, &value)) {
                return false;
            }
        }
    }
    return true;
}

void
pmt_lines_pack_begin(pmt_lines_packer_t *packer, const uint8_t *table, size_t size)
{
    *packer = (pmt_lines_packer_t){.at = table, .end = table + size};
}

static uint8_t *
put_run(pmt_lines_packer_t *packer, uint8_t *out)
{
    out = pmt_varint_put(out, packer->run_units);
    out = pmt_varint_put(out, packer->run_none ? 0 : 1 + pmt_zigzag(packer->run_line - packer->last_line));
    packer->last_line = packer->run_none ? packer->last_line : packer->run_line;
    packer->run_units = 0;
    return out;
}

size_t
pmt_lines_pack_sigsafe(pmt_lines_packer_t *packer, uint8_t *out, size_t room)
{
    uint8_t *start = out, *last = out + room - PMT_LINES_RUN_MAX;
    entry_t entry;
    while (out <= last) {
        if (!take_entry(&packer->at, packer->end, &entry)) {
            packer->at = packer->end;
            out = packer->run_units ? put_run(packer, out) : out;
            break;
        }
        packer->line += entry.delta;
        bool same = packer->run_none == entry.none && (entry.none || packer->run_line == packer->line);
        if (packer->run_units && !same) {
            out = put_run(packer, out);
        }
        packer->run_units += entry.units;
        packer->run_none = entry.none;
        packer->run_line = packer->line;
    }
    return (size_t)(out - start);
}

void
pmt_lines_begin(pmt_lines_cursor_t *cursor, const uint8_t *packed, size_t size, uint32_t first_line)
{
    *cursor = (pmt_lines_cursor_t){.at = packed, .end = size ? packed + size : packed, .line = first_line};  // a table may be missing
}

uint32_t
pmt_lines_seek(pmt_lines_cursor_t *cursor, uint32_t offset)
{
    uint64_t units, code;
    while (cursor->covered <= offset) {
        if (!pmt_varint_get(&cursor->at, cursor->end, &units) || !pmt_varint_get(&cursor->at, cursor->end, &code)) {
            cursor->at = cursor->end;
            return 0;
        }
        cursor->covered = units > UINT32_MAX ? UINT64_MAX : cursor->covered + units * CODE_UNIT;
        cursor->line += code ? (uint64_t)pmt_unzigzag(code - 1) : 0;
        cursor->none = code == 0;
    }
    return !cursor->none && cursor->line <= UINT32_MAX ? (uint32_t)cursor->line : 0;
}
