/* text.c - numbers, durations and times as text and back, as Go reads and writes them. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cel/cel-internal.h"

/* --- numbers --- */

static bool digits_of(struct str s, unsigned base, uint64_t *ret)
{
    uint64_t v = 0;
    if (!s.len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        unsigned d = isdigit(c) ? (unsigned)c - '0' : isxdigit(c) ? (unsigned)tolower(c) - 'a' + 10 : 99;
        if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
    }
    *ret = v;
    return true;
}

bool parse_uint(struct str s, uint64_t *ret)
{
    bool hex = str_starts(s, STR("0x"));
    return digits_of(hex ? str_skip(s, 2) : s, hex ? 16 : 10, ret);
}

bool parse_int(struct str s, int64_t *ret)
{
    bool minus = s.len && s.at[0] == '-';
    uint64_t v;
    if (s.len && (s.at[0] == '-' || s.at[0] == '+'))
        s = str_skip(s, 1);
    if (!parse_uint(s, &v) || v > (uint64_t)INT64_MAX + minus)
        return false;
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Words that Go knows and numbers; nothing that only C knows. */
bool parse_double(struct str s, double *ret)
{
    char text[400], *end;
    struct str bare = s.len && (s.at[0] == '-' || s.at[0] == '+') ? str_skip(s, 1) : s;
    static const char *const words[] = { "inf", "infinity", "nan" };
    bool word = false;
    if (!s.len || s.len >= sizeof text)
        return false;
    for (size_t i = 0; i < 3; i++)
        word |= str_eq_nocase(bare, str_of(words[i])) && !(i == 2 && bare.len != s.len);
    for (size_t i = 0; i < s.len && !word; i++)
        if (!isdigit((unsigned char)s.at[i]) && !strchr("+-.eE", s.at[i]))
            return false;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
    errno = 0;
    *ret = strtod(text, &end);
    return end == text + s.len && end != text && (word || !isinf(*ret));
}

void double_text(struct buf *b, double d)
{
    char text[64];
    if (isnan(d) || isinf(d)) {
        buf_add_z(b, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, d);
        if (strtod(text, NULL) == d)
            break;
    }
    /* The exponent's form below 1e-4 and from 1e6 on. */
    char *e = strchr(text, 'e');
    long exp = e ? strtol(e + 1, NULL, 10) : 0;
    if (exp < -4 || exp >= 6) {
        buf_add(b, text, (size_t)(e - text));
        buf_printf(b, "e%c%02ld", exp < 0 ? '-' : '+', labs(exp));
        return;
    }
    size_t digits = 0;
    for (char *p = text; p < e; p++)
        digits += isdigit((unsigned char)*p) != 0;
    long places = (long)digits - 1 - exp;
    buf_printf(b, "%.*f", (int)(places > 0 ? places : 0), d);
}

/* --- durations --- */

#define NS 1000000000LL

void duration_text(struct buf *b, int64_t ns)
{
    double_text(b, (double)(ns / NS) + (double)(ns % NS) / 1e9);
    buf_add_c(b, 's');
}

/* --- times --- */

#define FIRST_SECOND (-62135596800LL)
#define LAST_SECOND  253402300799LL

bool timestamp_in_range(int64_t s)
{
    return s >= FIRST_SECOND && s <= LAST_SECOND;
}

static bool number(struct str s, size_t from, size_t n, int64_t *ret)
{
    *ret = 0;
    for (size_t i = from; i < from + n; i++) {
        if (i >= s.len || !isdigit((unsigned char)s.at[i]))
            return false;
        *ret = *ret * 10 + (s.at[i] - '0');
    }
    return true;
}

static bool is_at(struct str s, size_t i, char c)
{
    return i < s.len && s.at[i] == c;
}

/* "Z" or "+01:30", all of s. */
static bool zone(struct str s, int64_t *ret_s)
{
    int64_t h, m;
    *ret_s = 0;
    if (str_is(s, "Z"))
        return true;
    if (s.len != 6 || (s.at[0] != '+' && s.at[0] != '-') || !number(s, 1, 2, &h) || !is_at(s, 3, ':') || !number(s, 4, 2, &m) || h > 24 || m > 60)
        return false;
    *ret_s = (s.at[0] == '-' ? -1 : 1) * (h * 3600 + m * 60);
    return true;
}

/* RFC 3339; a date alone is its first second. */
bool timestamp_parse(struct str s, int64_t *ret_s, int32_t *ret_ns)
{
    static const int8_t days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t year, month, day, h = 0, m = 0, sec = 0, offset = 0, ns = 0;
    if (!number(s, 0, 4, &year) || !is_at(s, 4, '-') || !number(s, 5, 2, &month) || !is_at(s, 7, '-') || !number(s, 8, 2, &day) || month < 1 ||
        month > 12 || day < 1 || day > days[month - 1] || (month == 2 && day == 29 && !((year % 4 == 0 && year % 100) || year % 400 == 0)))
        return false;
    if (s.len > 10) {
        if (s.at[10] != 'T' || !number(s, 11, 2, &h) || !is_at(s, 13, ':') || !number(s, 14, 2, &m) || !is_at(s, 16, ':') ||
            !number(s, 17, 2, &sec) || h > 23 || m > 59 || sec > 59)
            return false;
        struct str rest = str_skip(s, 19);
        if (is_at(rest, 0, '.') || is_at(rest, 0, ',')) {
            int64_t scale = 100000000;
            size_t n = 1;
            for (; n < rest.len && isdigit((unsigned char)rest.at[n]); n++, scale /= 10)
                ns += scale * (rest.at[n] - '0');
            if (n == 1)
                return false;
            rest = str_skip(rest, n);
        }
        if (!zone(rest, &offset))
            return false;
    }
    *ret_s = clock_days(year, (unsigned)month, (unsigned)day) * 86400 + h * 3600 + m * 60 + sec - offset;
    *ret_ns = (int32_t)ns;
    return true;
}

/* Year, month, day of days since 1970. */
static void civil(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int64_t)yoe + era * 400 + (*m <= 2);
}

void timestamp_text(struct buf *b, int64_t s, int32_t ns)
{
    int64_t days = s / 86400 - (s % 86400 < 0), rest = s - days * 86400, y;
    unsigned m, d;
    civil(days, &y, &m, &d);
    buf_printf(b, "%04lld-%02u-%02uT%02d:%02d:%02d", (long long)y, m, d, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    if (ns) {
        char frac[16];
        int n = snprintf(frac, sizeof frac, "%09d", ns);
        while (n > 1 && frac[n - 1] == '0')
            n--;
        buf_printf(b, ".%.*s", n, frac);
    }
    buf_add_c(b, 'Z');
}

/* --- for messages --- */

const char *value_text(struct arena *a, struct cel_val v)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    switch (v.kind) {
    case CEL_NULL: buf_lit(&b, "null"); break;
    case CEL_BOOL: buf_add_z(&b, v.b ? "true" : "false"); break;
    case CEL_INT: buf_add_int(&b, v.i); break;
    case CEL_UINT: buf_add_uint(&b, v.u); break;
    case CEL_DOUBLE: double_text(&b, v.d); break;
    case CEL_STRING: buf_add_str(&b, str_n(v.s.at, v.s.len > 4000 ? 4000 : v.s.len)); break;
    case CEL_DURATION: duration_text(&b, v.i); break;
    case CEL_TIMESTAMP: timestamp_text(&b, v.seconds, v.nanos); break;
    default: buf_add_z(&b, type_name(cel_type_of(v))); break;
    }
    const char *text = b.failed ? NULL : arena_dup(a, buf_str(&b));
    return text ? text : "";
}
