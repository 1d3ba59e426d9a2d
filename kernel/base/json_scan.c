/* json_scan.c - see json_scan.h. */
#include "base/json_scan.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "base/plain.h"

static inline const char *skip_space(const char *p, const char *end)
{
    if (p < end && *p > ' ')            /* mostly there is none */
        return p;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* p at the opening quote; returns behind the closing one, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++;;) {
        p = plain_skip_string(p, end);
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p + 1;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
}

/* 1 a quote, 2 opens, 3 closes, 4 a comma */
static const uint8_t kinds[256] = { ['"'] = 1, ['{'] = 2, ['['] = 2, ['}'] = 3, [']'] = 3, [','] = 4 };

struct skim {
    unsigned depth;
    bool in_string, escaped;            /* escaped: the next byte says nothing */
    const char *found;                  /* behind the bracket that closes the first one */
};

/* Byte by byte up to stop (or one behind it, after an escape). */
static const char *skim_bytes(struct skim *s, const char *p, const char *stop)
{
    p += s->escaped && p < stop;
    s->escaped = false;
    for (; p < stop && !s->found; p++) {
        unsigned kind = kinds[(unsigned char)*p];
        if (s->in_string) {
            s->in_string = kind != 1;
            p += *p == '\\';
            continue;
        }
        s->in_string = kind == 1;
        s->depth += kind == 2;
        if (kind == 3 && --s->depth == 0)
            s->found = p + 1;
    }
    return p;
}

#ifdef __SSE2__
/* Where the first bracket is closed within a block, or -1. */
#define CLOSED_AT(NAME, TARGET) \
    TARGET static inline int NAME(unsigned depth, uint64_t opens, uint64_t closes) \
    { \
        for (unsigned n = 1; closes; closes &= closes - 1, n++) { \
            int bit = __builtin_ctzll(closes); \
            if (depth + (unsigned)__builtin_popcountll(opens & ((1ULL << bit) - 1)) == n) \
                return bit; \
        } \
        return -1; \
    }

/* The bits behind each backslash that is none itself (managedFields are full of quotes in strings). */
static inline uint64_t escaped_bits(uint64_t backslashes, bool *carry)
{
    uint64_t escaped = *carry;
    backslashes &= ~escaped;
    for (*carry = false; backslashes;) {
        int bit = __builtin_ctzll(backslashes);
        *carry = bit == 63;
        escaped |= bit == 63 ? 0 : 2ULL << bit;
        backslashes &= ~(3ULL << bit);
    }
    return escaped;
}

/* 64 bytes at a time: quotes tell what lies in strings, the rest is counting. LIKE(p, mask, c): a bit for each of 64 bytes that
 * equals c once the bits of mask are set. PARITY(x): each bit says how many of the bits up to it are set, modulo two. */
#define SKIM_BLOCKS(NAME, TARGET, LIKE, PARITY, CLOSED) \
    TARGET static const char *NAME(struct skim *s, const char *p, const char *end) \
    { \
        for (; end - p >= 64; p += 64) { \
            uint64_t escaped = escaped_bits(LIKE(p, 0, '\\'), &s->escaped); \
            uint64_t inside = PARITY(LIKE(p, 0, '"') & ~escaped) ^ (s->in_string ? ~0ULL : 0); \
            uint64_t opens = LIKE(p, 0x20, '{') & ~inside, closes = LIKE(p, 0x20, '}') & ~inside; \
            unsigned n = (unsigned)__builtin_popcountll(closes); \
            int at = n >= s->depth ? CLOSED(s->depth, opens, closes) : -1; \
            if (at >= 0) { \
                s->found = p + at + 1; \
                return p; \
            } \
            s->depth += (unsigned)__builtin_popcountll(opens) - n; \
            s->in_string = inside >> 63; \
        } \
        return p; \
    }

static inline uint64_t like_sse2(const char *p, char mask, char c)
{
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), _mm_set1_epi8(mask));
        bits |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(c))) << 16 * i;
    }
    return bits;
}

static inline uint64_t parity_sse2(uint64_t x)
{
    for (int shift = 1; shift < 64; shift *= 2)
        x ^= x << shift;
    return x;
}

CLOSED_AT(closed_sse2, )
SKIM_BLOCKS(skim_sse2, , like_sse2, parity_sse2, closed_sse2)

/* The same with what processors since 2013 have: half the steps. */
#define AVX2 __attribute__((target("avx2,popcnt,pclmul,bmi")))

AVX2 static inline uint64_t like_avx2(const char *p, char mask, char c)
{
    __m256i m = _mm256_set1_epi8(mask), w = _mm256_set1_epi8(c);
    __m256i a = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), m);
    __m256i b = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)(p + 32)), m);
    return (uint64_t)(unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, w)) |
           (uint64_t)(unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, w)) << 32;
}

AVX2 static inline uint64_t parity_avx2(uint64_t x)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), _mm_set1_epi8(-1), 0));
}

CLOSED_AT(closed_avx2, AVX2)
SKIM_BLOCKS(skim_avx2, AVX2, like_avx2, parity_avx2, closed_avx2)

static const char *skim_blocks(struct skim *s, const char *p, const char *end)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") ? skim_avx2(s, p, end) : skim_sse2(s, p, end);
}
#else
static const char *skim_blocks(struct skim *s, const char *p, const char *end)
{
    (void)s;
    (void)end;
    return p;
}
#endif

/* p at a bracket; returns behind the one that closes it, or NULL. */
static const char *skip_container(const char *p, const char *end)
{
    struct skim s = { 0 };
    while (p < end && !s.found) {
        p = skim_blocks(&s, p, end);
        if (!s.found)
            p = skim_bytes(&s, p, end - p > 64 ? p + 64 : end);
    }
    return s.found;
}

static const char *skip_value(const char *p, const char *end)
{
    if (p < end && *p == '"')
        return skip_string(p, end);
    if (p < end && kinds[(unsigned char)*p] == 2)
        return skip_container(p, end);
    while (p < end && kinds[(unsigned char)*p] < 3)
        p++;
    return p;
}

/* Steps over the opening bracket or the comma; returns where the next part begins, or NULL at the end. */
static const char *step(struct str *at, char open, char close)
{
    const char *end = at->at + at->len, *p = skip_space(at->at, end);
    if (p >= end || (*p != open && *p != ','))
        return NULL;
    p = skip_space(p + 1, end);
    return p < end && *p != close ? p : NULL;
}

bool json_scan_next(struct str *at, struct str *ret_key, struct str *ret_value)
{
    const char *end = at->at + at->len, *p = at->len ? step(at, '{', '}') : NULL;
    if (!p || *p != '"')
        return false;
    const char *k = skip_string(p, end);
    if (!k)
        return false;
    *ret_key = str_n(p + 1, (size_t)(k - p) - 2);
    p = skip_space(k, end);
    if (p >= end || *p != ':')
        return false;
    p = skip_space(p + 1, end);
    const char *v = skip_value(p, end);
    if (!v)
        return false;
    *ret_value = str_n(p, (size_t)(v - p));
    *at = str_n(v, (size_t)(end - v));
    return true;
}

bool json_scan_item(struct str *at, struct str *ret_value)
{
    const char *end = at->at + at->len, *p = at->len ? step(at, '[', ']') : NULL;
    const char *v = p ? skip_value(p, end) : NULL;
    if (!v || v == p)
        return false;
    *ret_value = str_n(p, (size_t)(v - p));
    *at = str_n(v, (size_t)(end - v));
    return true;
}

/* Where the value of that member begins; NULL: it is not there. */
static const char *find_member(const char *p, const char *end, struct str key)
{
    p = skip_space(p, end);
    while (p < end && (*p == '{' || *p == ',')) {
        p = skip_space(p + 1, end);
        if (p >= end || *p != '"')
            return NULL;
        bool found = (size_t)(end - p) > key.len + 1 && p[key.len + 1] == '"' && str_same(p + 1, key.at, key.len);
        p = found ? p + key.len + 2 : skip_string(p, end);
        if (!p)
            return NULL;
        p = skip_space(p, end);
        if (p >= end || *p != ':')
            return NULL;
        p = skip_space(p + 1, end);
        if (found)
            return p;
        p = skip_value(p, end);
        if (!p)
            return NULL;
        p = skip_space(p, end);
    }
    return NULL;
}

static struct str value_at(const char *p, const char *end)
{
    const char *v = p ? skip_value(p, end) : NULL;
    return v ? str_n(p, (size_t)(v - p)) : STR_NONE;
}

struct str json_scan_member(struct str object, struct str key)
{
    const char *end = object.at + object.len;
    return object.len ? value_at(find_member(object.at, end, key), end) : STR_NONE;
}

/* Goes down without looking where the values on the way end. */
struct str json_scan_open(struct str object, const char *path)
{
    struct str rest = str_of(path);
    const char *p = object.len ? object.at : NULL, *end = object.at + object.len;
    while (p && rest.at)
        p = find_member(p, end, str_cut(&rest, '.'));
    return p ? str_n(p, (size_t)(end - p)) : STR_NONE;
}

struct str json_scan_value(struct str open)
{
    return open.len ? value_at(open.at, open.at + open.len) : STR_NONE;
}

struct str json_scan_path(struct str object, const char *path)
{
    return json_scan_value(json_scan_open(object, path));
}

/* The part of path behind "key.", or NULL; "" when the path is the key itself. */
static const char *path_below(const char *path, struct str key)
{
    if (strncmp(path, key.at, key.len) != 0 || (path[key.len] && path[key.len] != '.'))
        return NULL;
    return path[key.len] ? path + key.len + 1 : path + key.len;
}

/* Members of one group, p at its bracket; returns behind it, or NULL. below: their names, or NULL or "" where a path is of another group. */
static const char *scan_group(const char *p, const char *end, const char *const *below, unsigned n, struct str *ret)
{
    struct str at = str_n(p, (size_t)(end - p)), key, value;
    while (json_scan_next(&at, &key, &value))
        for (unsigned i = 0; i < n; i++)
            if (below[i] && key.at[0] == below[i][0] && !ret[i].at && str_is(key, below[i]))
                ret[i] = value;
    p = skip_space(at.at, end);
    if (p < end && *p == '{')           /* it has no members */
        p = skip_space(p + 1, end);
    return p < end && *p == '}' ? p + 1 : NULL;
}

void json_scan_paths(struct str object, const char *const *paths, unsigned n, struct str *ret)
{
    const char *end = object.at + object.len, *p = object.len ? skip_space(object.at, end) : end;
    const char *below[JSON_SCAN_PATHS];
    memset(ret, 0, n * sizeof *ret);
    while (p && p < end && (*p == '{' || *p == ',')) {
        p = skip_space(p + 1, end);
        const char *k = p < end && *p == '"' ? skip_string(p, end) : NULL;
        struct str key = k ? str_n(p + 1, (size_t)(k - p) - 2) : STR_NONE;
        p = k ? skip_space(k, end) : end;
        if (p >= end || *p != ':')
            return;
        p = skip_space(p + 1, end);
        bool within = false;
        for (unsigned i = 0; i < n; i++) {
            below[i] = path_below(paths[i], key);
            within |= below[i] && *below[i];
        }
        const char *v = within && p < end && *p == '{' ? scan_group(p, end, below, n, ret) : skip_value(p, end);
        for (unsigned i = 0; i < n && v; i++)
            if (below[i] && !*below[i] && !ret[i].at)
                ret[i] = str_n(p, (size_t)(v - p));
        p = v ? skip_space(v, end) : NULL;
    }
}

struct str json_scan_text(struct str v)
{
    return v.len >= 2 && v.at[0] == '"' ? str_n(v.at + 1, v.len - 2) : STR_NONE;
}
