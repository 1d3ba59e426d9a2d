/* duration.c - durations as Go writes them. */
#include "base/duration.h"

#include <ctype.h>

#define NS 1000000000LL

static const struct {
    const char *unit;
    int64_t ns;
} units[] = { { "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ms", 1000000 }, { "s", NS }, { "m", 60 * NS }, { "h", 3600 * NS } };

/* One "1.5h" from the front of *s, added to *total. */
static bool duration_part(struct str *s, unsigned __int128 *total)
{
    unsigned __int128 whole = 0, frac = 0, scale = 1;
    bool any = false;
    while (s->len && isdigit((unsigned char)s->at[0]) && whole < ((unsigned __int128)1 << 70)) {
        whole = whole * 10 + (unsigned)(s->at[0] - '0');
        *s = str_skip(*s, 1);
        any = true;
    }
    if (s->len && s->at[0] == '.')
        for (*s = str_skip(*s, 1); s->len && isdigit((unsigned char)s->at[0]); *s = str_skip(*s, 1)) {
            if (scale < 1000000000000000ULL) {
                frac = frac * 10 + (unsigned)(s->at[0] - '0');
                scale *= 10;
            }
            any = true;
        }
    for (size_t i = 0; i < sizeof units / sizeof *units && any; i++) {
        struct str unit = str_of(units[i].unit), rest = str_skip(*s, unit.len);
        if (!str_starts(*s, unit) || (rest.len && !isdigit((unsigned char)rest.at[0]) && rest.at[0] != '.'))
            continue;
        *s = rest;
        *total += whole * (unsigned __int128)units[i].ns + frac * (unsigned __int128)units[i].ns / scale;
        return *total < (unsigned __int128)1 << 64;
    }
    return false;
}

bool duration_parse(struct str s, int64_t *ret_ns)
{
    bool minus = s.len && s.at[0] == '-';
    unsigned __int128 total = 0;
    if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
        s = str_skip(s, 1);
    if (!s.len)
        return false;
    if (str_is(s, "0")) {
        *ret_ns = 0;
        return true;
    }
    while (s.len)
        if (!duration_part(&s, &total))
            return false;
    if (total > (unsigned __int128)INT64_MAX + minus)
        return false;
    *ret_ns = minus ? (int64_t)(0 - (uint64_t)total) : (int64_t)total;
    return true;
}
