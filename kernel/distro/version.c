/* version.c - versions are numbers with dots, compared number by number ("0.10" is above "0.9"); a range is comparisons with blanks between, all of
 * which must hold. */
#include "distro/internal.h"

static int64_t part(struct str *s)
{
    struct str one = str_cut(s, '.');
    int64_t n;
    return str_int(one, &n) && n >= 0 ? n : -1;
}

bool version_ok(struct str version)
{
    unsigned n = 0;
    if (!version.len)
        return false;
    for (; version.at; n++)
        if (part(&version) < 0)
            return false;
    return n <= 6;
}

static int compare(struct str a, struct str b)
{
    while (a.at || b.at) {
        int64_t x = a.at ? part(&a) : 0, y = b.at ? part(&b) : 0;
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* Cuts the comparison off: '<' '>' '=', 'l' for <=, 'g' for >=. */
static char comparison(struct str *s)
{
    char c = s->len && strchr("<>=", s->at[0]) ? s->at[0] : 0;
    if (!c)
        return '=';
    *s = str_skip(*s, 1);
    if (c == '=' || !s->len || s->at[0] != '=')
        return c;
    *s = str_skip(*s, 1);
    return c == '<' ? 'l' : 'g';
}

bool range_ok(struct str range)
{
    while (range.at && range.len) {
        struct str one = str_cut(&range, ' ');
        if (!one.len)
            continue;
        comparison(&one);
        if (!version_ok(one))
            return false;
    }
    return true;
}

bool version_in(struct str version, struct str range)
{
    while (range.at && range.len) {
        struct str one = str_cut(&range, ' ');
        if (!one.len)
            continue;
        char c = comparison(&one);
        int d = compare(version, one);
        if (!(c == '<' ? d < 0 : c == '>' ? d > 0 : c == 'l' ? d <= 0 : c == 'g' ? d >= 0 : d == 0))
            return false;
    }
    return true;
}
