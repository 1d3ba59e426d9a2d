/* plain.h - how much of a text needs no care in JSON, eight bytes at a time, or sixteen. Little-endian, as all machines we build for. */
#ifndef BASE_PLAIN_H
#define BASE_PLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* Marks quotes and backslashes: where one must look who only wants a string's end. */
static inline uint64_t plain_string_stops(uint64_t x)
{
    return plain_zero(x ^ PLAIN_EACH('"')) | plain_zero(x ^ PLAIN_EACH('\\'));
}

#ifdef __SSE2__
/* The same of sixteen bytes: a bit for each. Control characters and what is not ASCII are less than a space, as signed bytes. */
#define PLAIN_LIKE(x, c) _mm_cmpeq_epi8((x), _mm_set1_epi8(c))
static inline unsigned plain_string_stops16(__m128i x)
{
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(PLAIN_LIKE(x, '"'), PLAIN_LIKE(x, '\\')));
}

static inline unsigned plain_parse_stops16(__m128i x)
{
    return plain_string_stops16(x) | (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(x, _mm_set1_epi8(0x20)));
}

static inline unsigned plain_write_stops16(__m128i x)
{
    __m128i some = _mm_or_si128(PLAIN_LIKE(_mm_or_si128(x, _mm_set1_epi8(0x04)), '&'), PLAIN_LIKE(_mm_or_si128(x, _mm_set1_epi8(0x02)), '>'));
    some = _mm_or_si128(some, _mm_or_si128(PLAIN_LIKE(x, '\\'), _mm_cmplt_epi8(x, _mm_set1_epi8(0x20))));
    return (unsigned)_mm_movemask_epi8(some);
}

#define PLAIN_BY_16(stops) \
    for (; end - at >= 16; at += 16) { \
        unsigned hit = stops(_mm_loadu_si128((const __m128i *)(const void *)at)); \
        if (hit) \
            return at + __builtin_ctz(hit); \
    }
#else
#define PLAIN_BY_16(stops)
#endif

/* Bytes from the front without a stop, looking at whole words only: the rest (less than eight, or from the stop on) is the caller's. */
#define PLAIN_SKIP(NAME, stops) \
    static inline const char *NAME(const char *at, const char *end) \
    { \
        PLAIN_BY_16(stops##16) \
        for (uint64_t word; end - at >= 8; at += 8) { \
            memcpy(&word, at, 8); \
            uint64_t hit = stops(word); \
            if (hit) \
                return at + (__builtin_ctzll(hit) >> 3); \
        } \
        return at; \
    }
PLAIN_SKIP(plain_skip_parse, plain_parse_stops)
PLAIN_SKIP(plain_skip_write, plain_write_stops)
PLAIN_SKIP(plain_skip_string, plain_string_stops)

#endif
