/* plain.h - how much of a text needs no care in JSON, eight bytes at a time. Little-endian, as all machines we build for. */
#ifndef BASE_PLAIN_H
#define BASE_PLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLAIN_EACH(c) (0x0101010101010101ULL * (c))
#define PLAIN_HIGH    PLAIN_EACH(0x80)

/* The high bit of each byte that is zero (exact up to the lowest one, which is all that is looked at). */
static inline uint64_t plain_zero(uint64_t x)
{
    return (x - PLAIN_EACH(0x01)) & ~x & PLAIN_HIGH;
}

/* Marks control characters, quotes, backslashes and all that is not ASCII: where a parser must look. */
static inline uint64_t plain_parse_stops(uint64_t x)
{
    return ((x - PLAIN_EACH(0x20)) & ~x & PLAIN_HIGH) | plain_zero(x ^ PLAIN_EACH('"')) | plain_zero(x ^ PLAIN_EACH('\\')) | (x & PLAIN_HIGH);
}

/* The same and '<', '>', '&': where a writer must look. '"' and '&' differ in one bit, '<' and '>' in another. */
static inline uint64_t plain_write_stops(uint64_t x)
{
    return ((x - PLAIN_EACH(0x20)) & ~x & PLAIN_HIGH) | plain_zero((x | PLAIN_EACH(0x04)) ^ PLAIN_EACH('&')) |
           plain_zero((x | PLAIN_EACH(0x02)) ^ PLAIN_EACH('>')) | plain_zero(x ^ PLAIN_EACH('\\')) | (x & PLAIN_HIGH);
}

/* Bytes from the front without a stop, looking at whole words only: the rest (less than eight, or from the stop on) is the caller's. */
#define PLAIN_SKIP(at, end, stops) \
    do { \
        uint64_t word_; \
        while ((size_t)((end) - (at)) >= sizeof word_) { \
            memcpy(&word_, (at), sizeof word_); \
            uint64_t hit_ = stops(word_); \
            if (hit_) { \
                (at) += __builtin_ctzll(hit_) >> 3; \
                break; \
            } \
            (at) += sizeof word_; \
        } \
    } while (0)

#endif
