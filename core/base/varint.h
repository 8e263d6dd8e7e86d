// LEB128 integers and zig-zag, as docs/format.md section 4 defines them. No state; used by writer, reader and tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PMT_VARINT_MAX = 10 };  // bytes of the longest encoding

static inline uint64_t
pmt_zigzag(int64_t n)
{
    return ((uint64_t)n << 1) ^ (uint64_t)(n >> 63);
}

static inline int64_t
pmt_unzigzag(uint64_t n)
{
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

// Writes up to PMT_VARINT_MAX bytes at `out`; returns the place behind them.
static inline uint8_t *
pmt_varint_put(uint8_t *out, uint64_t n)
{
    while (n >= 0x80) {
        *out++ = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    *out++ = (uint8_t)n;
    return out;
}

// Reads one integer from [*in, end). False: cut off, or longer than ten bytes or 64 bits.
static inline bool
pmt_varint_get(const uint8_t **in, const uint8_t *end, uint64_t *n)
{
    const uint8_t *p = *in;
    uint64_t value = 0;
    if (p < end && *p < 0x80) {  // most are small
        *n = *p;
        *in = p + 1;
        return true;
    }
    if (end - p >= 2 && p[1] < 0x80) {
        *n = (uint64_t)(*p & 0x7f) | (uint64_t)p[1] << 7;
        *in = p + 2;
        return true;
    }
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *in = p;
            *n = value;
            return true;
        }
    }
    return false;
}
