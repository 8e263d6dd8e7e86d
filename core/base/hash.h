// Mixing functions for hash tables and fingerprints. Not keyed: who picks the data can make a table slow, but not wrong.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A finaliser with full avalanche (multiply, shift, xor).
static inline uint64_t
pmt_hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    return x;
}

static inline uint64_t
pmt_hash_add(uint64_t hash, uint64_t value)
{
    return pmt_hash_mix(hash ^ (value + 0x9e3779b97f4a7c15ull));
}

static inline uint64_t
pmt_hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *p = data;
    hash = pmt_hash_add(hash, size);
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        hash = pmt_hash_add(hash, word);
    }
    if (size) {
        uint64_t word = 0;
        memcpy(&word, p, size);
        hash = pmt_hash_add(hash, word);
    }
    return hash;
}
