// UTF-8 as the trace file has it: lone surrogates are encoded like any other code point (Python's "surrogatepass"), everything else is strict.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of the valid sequence at `p`, or 0.
static inline size_t
pmt_utf8_sequence(const uint8_t *p, size_t size)
{
    uint8_t lead = p[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (n > size || (n > 2 && ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xf0 && p[1] < 0x90) || (lead == 0xf4 && p[1] > 0x8f)))) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

static inline bool
pmt_utf8_valid(const void *text, size_t size)
{
    const uint8_t *p = text;
    while (size > 0) {
        size_t n = pmt_utf8_sequence(p, size);
        if (n == 0) {
            return false;
        }
        p += n;
        size -= n;
    }
    return true;
}

// Copies `text` with each byte that is no UTF-8 as the surrogate U+DC80 + byte - 0x80 (Python's "surrogateescape"); at most `room` bytes. Returns the bytes written.
static inline size_t
pmt_utf8_escape(const void *text, size_t size, uint8_t *out, size_t room)
{
    const uint8_t *p = text;
    size_t done = 0;
    while (size > 0) {
        size_t n = pmt_utf8_sequence(p, size), needed = n ? n : 3;
        if (done + needed > room) {
            break;
        }
        if (n) {
            for (size_t i = 0; i < n; i++) {
                out[done++] = p[i];
            }
        } else {
            out[done++] = 0xed;
            out[done++] = (uint8_t)(0xb0 | *p >> 6);
            out[done++] = (uint8_t)(0x80 | (*p & 0x3f));
            n = 1;
        }
        p += n;
        size -= n;
    }
    return done;
}
