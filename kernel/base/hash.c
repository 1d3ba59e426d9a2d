/* hash.c - see hash.h. */
#include "base/hash.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

#define SIP_ROUND(v) \
    do { \
        v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32); \
        v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2]; \
        v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0]; \
        v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32); \
    } while (0)

uint64_t hash_sip(const uint64_t key[2], const void *at, size_t n)
{
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL,
                      key[1] ^ 0x7465646279746573ULL };
    const unsigned char *p = at;
    uint64_t m, last = (uint64_t)n << 56;
    for (size_t left = n; left >= 8; left -= 8, p += 8) {
        memcpy(&m, p, 8);
        v[3] ^= m;
        SIP_ROUND(v);
        SIP_ROUND(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < (n & 7); i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    SIP_ROUND(v);
    SIP_ROUND(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        SIP_ROUND(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint32_t crc_soft(uint32_t crc, const unsigned char *p, size_t n)
{
    while (n--) {
        crc ^= *p++;
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_hard(uint32_t crc, const unsigned char *p, size_t n)
{
    uint64_t c = crc, m;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&m, p, 8);
        c = _mm_crc32_u64(c, m);
    }
    crc = (uint32_t)c;
    while (n--)
        crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *at, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_hard(~crc, at, n);
#endif
    return ~crc_soft(~crc, at, n);
}

uint32_t hash_fnv32a(struct str s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.at[i]) * 16777619u;
    return h;
}
