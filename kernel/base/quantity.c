/* quantity.c - see quantity.h. */
#include "base/quantity.h"

#include <stdio.h>

#define NANO 1000000000
#define MOST ((__int128)INT64_MAX * NANO)

struct suffix {
    int power;                          /* of 10, or of 2 when binary */
    enum quantity_format format;
};

/* A thousand from one to the next, or 1024 with an "i" behind. */
static const char thousands[] = "num kMGTPE", powers[] = "KMGTPE";

static bool place_in(const char *row, char c, int *ret)
{
    const char *at = c && c != ' ' ? strchr(row, c) : NULL;
    *ret = at ? (int)(at - row) : 0;
    return at != NULL;
}

static bool parse_suffix(struct str s, struct suffix *ret)
{
    int64_t e;
    int at;
    if (!s.len || (s.len == 1 && place_in(thousands, s.at[0], &at))) {
        *ret = (struct suffix){ s.len ? 3 * (at - 3) : 0, QUANTITY_DECIMAL };
        return true;
    }
    if (s.len == 2 && s.at[1] == 'i' && place_in(powers, s.at[0], &at)) {
        *ret = (struct suffix){ 10 * (at + 1), QUANTITY_BINARY };
        return true;
    }
    if (s.len < 2 || (s.at[0] != 'e' && s.at[0] != 'E'))
        return false;
    s = str_skip(s, 1);
    if (s.at[0] == '+') {
        s = str_skip(s, 1);
        if (!s.len || s.at[0] == '-')
            return false;
    }
    if (!str_int(s, &e) || e > 1000 || e < -1000)
        return false;
    *ret = (struct suffix){ (int)e, QUANTITY_EXPONENT };
    return true;
}

/* v * 10^power in nano units, rounded away from zero, capped at MOST. v >= 0. */
static __int128 scale10(__int128 v, int power)
{
    for (; power > 0 && v <= MOST; power--)
        v *= 10;
    bool rest = false;
    for (; power < 0 && v; power++) {
        rest |= v % 10 != 0;
        v /= 10;
    }
    return v > MOST ? MOST : v + rest;
}

bool quantity_parse(struct str s, struct quantity *ret)
{
    bool minus = s.len && s.at[0] == '-';
    if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
        s = str_skip(s, 1);
    __int128 v = 0;
    int places = 0;
    unsigned n_digits = 0;
    bool point = false, rest = false;
    size_t i = 0;
    for (; i < s.len; i++) {
        char c = s.at[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        n_digits++;
        if (point && places == 12) {
            rest |= c != '0';
            continue;
        }
        if (v < (__int128)1 << 100)
            v = v * 10 + (c - '0');
        places += point;
    }
    struct suffix x;
    if (!n_digits || !parse_suffix(str_skip(s, i), &x))
        return false;
    if (rest)
        v++;
    if (x.format == QUANTITY_BINARY) {
        for (int k = 0; k < x.power; k += 10)
            v = v > (__int128)1 << 110 ? v : v * 1024;
        x.power = 0;
    }
    v = scale10(v, 9 + x.power - places);
    *ret = (struct quantity){ minus ? -v : v, x.format };
    return true;
}

/* v may be larger than 64 bits: the finest unit of the largest values. */
static size_t put(char *ret, bool minus, __int128 v, const char *suffix)
{
    char digits[40], *p = digits + sizeof digits, *o = ret;
    for (; v > INT64_MAX; v /= 10)
        *--p = (char)('0' + (int)(v % 10));
    uint64_t small = (uint64_t)v;
    do
        *--p = (char)('0' + small % 10);
    while (small /= 10);
    size_t n = (size_t)(digits + sizeof digits - p), m = strlen(suffix);
    if (minus)
        *o++ = '-';
    memcpy(o, p, n);
    memcpy(o + n, suffix, m + 1);
    return (size_t)(o - ret) + n + m;
}

size_t quantity_format(struct quantity q, char ret[QUANTITY_TEXT])
{
    static const char *const decimal[] = { "n", "u", "m", "", "k", "M", "G", "T", "P", "E" };
    static const char *const exponent[] = { "e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18" };
    static const char *const binary[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    bool minus = q.nano < 0;
    __int128 v = minus ? -q.nano : q.nano;
    unsigned i = 0;
    if (v == 0)
        return put(ret, false, 0, "");
    if (q.format == QUANTITY_BINARY && v >= (__int128)1024 * NANO && v % NANO == 0) {
        for (v /= NANO; v % 1024 == 0 && i < 6; i++)
            v /= 1024;
        return put(ret, minus, v, binary[i]);
    }
    for (; v % 1000 == 0 && i < 9; i++)
        v /= 1000;
    return put(ret, minus, v, q.format == QUANTITY_EXPONENT ? exponent[i] : decimal[i]);
}

static int64_t divide_up(__int128 nano, __int128 unit)
{
    __int128 v = nano / unit;
    if (nano > 0 && nano % unit)
        v++;
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

int64_t quantity_value(struct quantity q)
{
    return divide_up(q.nano, NANO);
}

int64_t quantity_milli(struct quantity q)
{
    return divide_up(q.nano, NANO / 1000);
}

struct quantity quantity_of(int64_t value, enum quantity_format f)
{
    return (struct quantity){ (__int128)value * NANO, f };
}

int quantity_cmp(struct quantity a, struct quantity b)
{
    return (a.nano > b.nano) - (a.nano < b.nano);
}

struct quantity quantity_add(struct quantity a, struct quantity b)
{
    return (struct quantity){ a.nano + b.nano, a.nano ? a.format : b.format };
}

struct quantity quantity_sub(struct quantity a, struct quantity b)
{
    return (struct quantity){ a.nano - b.nano, a.nano ? a.format : b.format };
}

int64_t quantity_text_value(struct str s, int64_t fallback)
{
    struct quantity q;
    return quantity_parse(s, &q) ? quantity_value(q) : fallback;
}

int64_t quantity_text_milli(struct str s, int64_t fallback)
{
    struct quantity q;
    return quantity_parse(s, &q) ? quantity_milli(q) : fallback;
}
