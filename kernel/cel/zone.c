/* zone.c - /usr/share/zoneinfo: the 64-bit block of a TZif file, searched for the last change before the moment. */
#include "cel/zone.h"

#include <stdio.h>

#include "base/cleanup.h"

#define ZONE_FILE (1u << 20)
#define HEAD 44

static int64_t number(const unsigned char *at, int n)
{
    int64_t v = n == 8 || !(at[0] & 0x80) ? 0 : -1;
    for (int i = 0; i < n; i++)
        v = (int64_t)((uint64_t)v << 8 | at[i]);
    return v;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '/';
        if (!good)
            return false;
    }
    return s.len && s.len < 100 && s.at[0] != '/';
}

/* Counts of a header: isutc, isstd, leap, times, types, chars. */
static size_t block_size(const unsigned char *head, int width, size_t *times, size_t *types)
{
    size_t isutc = (size_t)number(head + 20, 4), isstd = (size_t)number(head + 24, 4), leap = (size_t)number(head + 28, 4);
    size_t chars = (size_t)number(head + 40, 4), w = (size_t)width;
    *times = (size_t)number(head + 32, 4);
    *types = (size_t)number(head + 36, 4);
    return *times * w + *times + *types * 6 + chars + leap * (w + 4) + isstd + isutc;
}

bool zone_offset(struct str name, int64_t at, int64_t *ret)
{
    char path[160];
    size_t times, types, skip;
    if (!is_name(name))
        return false;
    snprintf(path, sizeof path, "/usr/share/zoneinfo/" STR_FMT, STR_ARG(name));
    _cleanup_file_ FILE *f = fopen(path, "rbe");
    _cleanup_free_ unsigned char *file = f ? mem_alloc(ZONE_FILE) : NULL;
    size_t n = file ? fread(file, 1, ZONE_FILE, f) : 0;
    if (n < HEAD || memcmp(file, "TZif", 4) != 0 || file[4] < '2')
        return false;
    skip = HEAD + block_size(file, 4, &times, &types);
    if (skip + HEAD > n)
        return false;
    const unsigned char *head = file + skip;
    size_t size = block_size(head, 8, &times, &types);
    if (!types || skip + HEAD + size > n)
        return false;
    const unsigned char *when = head + HEAD, *which = when + times * 8, *rules = which + times;
    size_t i = times;
    while (i > 0 && number(when + (i - 1) * 8, 8) > at)
        i--;
    size_t rule = i ? which[i - 1] : 0;
    if (rule >= types)
        return false;
    *ret = number(rules + rule * 6, 4);
    return true;
}
