/* clock.c - civil dates by arithmetic (proleptic Gregorian), so that no libc time zone state is touched. */
#include "base/clock.h"

#define NS 1000000000LL

int64_t clock_days(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

static char *put(char *p, unsigned v, int digits)
{
    for (int i = digits; i-- > 0; v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + digits;
}

static char *put_year(char *p, int64_t y)
{
    if (y < 0)
        *p++ = '-', y = -y;
    return put(p, (unsigned)y, y < 10000 ? 4 : y < 100000 ? 5 : 6);
}

/* Written digit by digit: an object has several of these, and printf takes most of what writing one costs. */
void clock_format_parts(int64_t s, int64_t frac, int digits, char ret[CLOCK_TEXT])
{
    char *p = ret;
    int64_t days = s / 86400, rest = s % 86400, y;
    if (rest < 0)
        rest += 86400, days--;
    unsigned m, d;
    civil(days, &y, &m, &d);
    const unsigned parts[] = { m, d, (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60), (unsigned)(rest % 60) };
    p = put_year(p, y);
    for (int i = 0; i < 5; i++) {
        *p++ = "--T::"[i];
        p = put(p, parts[i], 2);
    }
    for (int i = digits; i < 9; i++)
        frac /= 10;
    if (digits) {
        *p++ = '.';
        p = put(p, (unsigned)frac, digits);
    }
    *p++ = 'Z';
    *p = '\0';
}

static void format(int64_t ns, int digits, char *p)
{
    int64_t s = ns / NS, frac = ns % NS;
    if (frac < 0)
        frac += NS, s--;
    clock_format_parts(s, frac, digits, p);
}

void clock_format(int64_t ns, char ret[CLOCK_TEXT])
{
    format(ns, 0, ret);
}
void clock_format_ms(int64_t ns, char ret[CLOCK_TEXT])
{
    format(ns, 3, ret);
}
void clock_format_micro(int64_t ns, char ret[CLOCK_TEXT])
{
    format(ns, 6, ret);
}
void clock_format_nano(int64_t ns, char ret[CLOCK_TEXT])
{
    format(ns, 9, ret);
}

static bool digits(struct str *s, unsigned n, unsigned *ret)
{
    if (s->len < n)
        return false;
    *ret = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned d = (unsigned)(unsigned char)s->at[i] - '0';
        if (d > 9)
            return false;
        *ret = *ret * 10 + d;
    }
    *s = str_skip(*s, n);
    return true;
}

static bool sign(struct str *s, const char *any)
{
    if (!s->len || !strchr(any, s->at[0]))
        return false;
    *s = str_skip(*s, 1);
    return true;
}

static bool parse_zone(struct str *s, int64_t *ret_seconds)
{
    unsigned h, m;
    *ret_seconds = 0;
    if (sign(s, "Zz"))
        return true;
    bool minus = s->len && s->at[0] == '-';
    if (!sign(s, "+-") || !digits(s, 2, &h) || !sign(s, ":") || !digits(s, 2, &m) || h > 24 || m > 59)
        return false;
    *ret_seconds = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
    return true;
}

static unsigned month_days(unsigned y, unsigned m)
{
    if (m == 2)
        return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : 28;
    return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

bool clock_parse_parts(struct str s, int64_t *ret_seconds, int64_t *ret_ns)
{
    unsigned y, mo, d, h, mi, sec, digit;
    if (!digits(&s, 4, &y) || !sign(&s, "-") || !digits(&s, 2, &mo) || !sign(&s, "-") || !digits(&s, 2, &d) ||
        !sign(&s, "Tt") || !digits(&s, 2, &h) || !sign(&s, ":") || !digits(&s, 2, &mi) || !sign(&s, ":") ||
        !digits(&s, 2, &sec))
        return false;
    if (mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo) || h > 23 || mi > 59 || sec > 59)
        return false;
    int64_t frac = 0, unit = NS, zone;
    if (sign(&s, ".,")) {
        if (!s.len || s.at[0] < '0' || s.at[0] > '9')
            return false;
        while (digits(&s, 1, &digit)) {
            unit /= 10;
            frac += digit * unit;
        }
    }
    if (!parse_zone(&s, &zone) || s.len)
        return false;
    *ret_seconds = clock_days(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - zone;
    *ret_ns = frac;
    return true;
}

bool clock_parse(struct str s, int64_t *ret)
{
    int64_t secs, frac;
    if (!clock_parse_parts(s, &secs, &frac))
        return false;
    if (secs > INT64_MAX / NS - 1 || secs < INT64_MIN / NS + 1)
        *ret = secs < 0 ? INT64_MIN / 2 : INT64_MAX / 2;        /* differences still fit */
    else
        *ret = secs * NS + frac;
    return true;
}
